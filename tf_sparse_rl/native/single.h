// A dense layer for one example, as it acts.

#ifndef TF_SPARSE_RL_NATIVE_SINGLE_H_
#define TF_SPARSE_RL_NATIVE_SINGLE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels.h"
#include "structure.h"

namespace tf_sparse_rl {

// As Kernels::forward with a batch of 1. By input, so that the connections of
// an input that is 0, as many are after a ReLU, are not even read.
inline void ForwardSingle(const Structure& s, const float* by_input,
                          const float* bias, Activation activation,
                          const float* x, float* y) {
  const int64_t width = BlockWidth(1);
  std::vector<float> sum(bias, bias + s.outputs);
  // The inputs that are not 0 first: they are not foreseeable, so that a branch
  // for each would cost as much as what goes out from it.
  const std::unique_ptr<int32_t[]> active(new int32_t[s.inputs + 1]);
  int64_t size = 0;
  float poison = 0;
  for (int64_t i = 0; i < s.inputs; ++i) {
    const float value = x[i * width];
    poison += value * 0.0f;
    active[size] = i;
    size += value == 0.0f ? 0 : 1;
  }
  const int32_t *begin_of = s.input_begin.data(), *output = s.output.data();
  constexpr int64_t kAhead = 6, kLine = 16;
  for (int64_t a = 0; a < size; ++a) {
    if (a + kAhead < size) {
      const int32_t next = active[a + kAhead];
      for (int32_t k = begin_of[next]; k < begin_of[next + 1]; k += kLine) {
        __builtin_prefetch(by_input + k);
        __builtin_prefetch(output + k);
      }
    }
    const int32_t i = active[a];
    const float value = x[i * width];
    for (int32_t k = begin_of[i]; k < begin_of[i + 1]; ++k) {
      sum[output[k]] += by_input[k] * value;
    }
  }
  for (float& each : sum) each += poison;
  // What units without connections return is the activation of their bias.
  const std::vector<int32_t> begin(s.outputs + 1);
  BestKernels().forward({s.outputs, 0, begin.data(), nullptr, nullptr},
                        sum.data(), activation, 1, x, y);
}

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_SINGLE_H_
