// A dense layer for one example, as it acts.

#ifndef TF_SPARSE_RL_NATIVE_SINGLE_H_
#define TF_SPARSE_RL_NATIVE_SINGLE_H_

#include <cstdint>
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
  float poison = 0;
  for (int64_t i = 0; i < s.inputs; ++i) {
    const float value = x[i * width];
    poison += value * 0.0f;
    if (value == 0.0f) continue;
    for (int32_t k = s.input_begin[i]; k < s.input_begin[i + 1]; ++k) {
      sum[s.output[k]] += by_input[k] * value;
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
