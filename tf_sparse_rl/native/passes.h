// Passes through one layer, in parts that other threads may share.

#ifndef TF_SPARSE_RL_NATIVE_PASSES_H_
#define TF_SPARSE_RL_NATIVE_PASSES_H_

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "conv_shapes.h"
#include "kernels.h"
#include "packed.h"
#include "structure.h"
#include "tensorflow/core/platform/cpu_info.h"

namespace tf_sparse_rl {

// Calls `work(begin, end)` on parts of 0 to `total`, on a second thread too if
// there is one to spare. This thread takes whatever part nobody has taken, so
// it never waits for a thread that is not at work already.
inline void InParts(OpKernelContext* ctx, int64_t total, int64_t parts,
                    const std::function<void(int64_t, int64_t)>& work) {
  struct Shared {
    std::atomic<int64_t> next{0}, done{0};
  };
  if (parts < 2 || total < 2) return work(0, total);
  const auto shared = std::make_shared<Shared>();
  const auto take = [shared, total, parts](const auto& work) {
    for (;;) {
      const int64_t part = shared->next++;
      if (part >= parts) return;
      work(part * total / parts, (part + 1) * total / parts);
      ++shared->done;
    }
  };
  // On one core another thread would only be in the way.
  static const bool has_cores = tensorflow::port::NumSchedulableCPUs() > 1;
  // By reference: whoever comes after all parts are taken does not call it.
  if (has_cores) (*ctx->runner())([take, &work] { take(work); });
  take(work);
  while (shared->done < parts) std::this_thread::yield();
}

// Parts of so much work that a second thread is worth waking.
inline int64_t NumParts(int64_t multiplications) {
  return multiplications < (1 << 20) ? 1 : 4;
}

inline Activation ActivationNamed(const std::string& name, bool* known) {
  const std::pair<const char*, Activation> all[] = {
      {"linear", Activation::kLinear},   {"relu", Activation::kRelu},
      {"tanh", Activation::kTanh},       {"sigmoid", Activation::kSigmoid},
      {"elu", Activation::kElu},
  };
  for (const auto& each : all) {
    if (name == each.first) return each.second;
  }
  *known = false;
  return Activation::kLinear;
}

inline int64_t PaddedBatch(int64_t batch) {
  return NumBlocks(batch) * BlockWidth(batch);
}

inline Connections ToOutputs(const Structure& s, const float* weight) {
  return {s.outputs, s.inputs, s.output_begin.data(), s.input.data(), weight};
}

inline Connections ToInputs(const Structure& s, const float* weight) {
  return {s.inputs, s.outputs, s.input_begin.data(), s.output.data(), weight};
}

// A part of a layer's work: some examples of the batch, or some of its units.
struct Part {
  int64_t example, examples;  // the first, and how many
  int64_t unit, units;
};

// Calls `work(part)` on parts of one pass through a layer.
inline void OverLayer(OpKernelContext* ctx, int64_t batch, int64_t units,
                      int64_t connections,
                      const std::function<void(Part)>& work) {
  const int64_t width = BlockWidth(batch), blocks = NumBlocks(batch);
  const int64_t parts = NumParts(connections * blocks * width);
  if (parts < 2 || blocks < 1) return work({0, batch, 0, units});
  if (blocks == 1) {
    return InParts(ctx, units, 2, [&](int64_t begin, int64_t end) {
      work({0, batch, begin, end - begin});
    });
  }
  // Whole blocks of full width, so that a part is a batch of its own.
  InParts(ctx, blocks, std::min(blocks, parts),
          [&](int64_t begin, int64_t end) {
            work({begin * width, (end - begin) * width, 0, units});
          });
}

// The connections of some units.
inline Connections Of(Connections all, int64_t unit, int64_t units) {
  all.begin += unit;
  all.units = static_cast<int32_t>(units);
  return all;
}

// y = activation(weights x + bias).
inline void ForwardLayer(OpKernelContext* ctx, const Structure& s,
                         const float* by_output, const float* bias,
                         Activation activation, int64_t batch, const float* x,
                         float* y) {
  const Connections all = ToOutputs(s, by_output);
  OverLayer(ctx, batch, s.outputs, s.nonzero(), [&](Part p) {
    BestKernels().forward(
        Of(all, p.unit, p.units), bias + p.unit, activation, p.examples,
        x + p.example * s.inputs,
        y + p.example * s.outputs + p.unit * BlockWidth(batch));
  });
}

// dx = (weights^T dy) * activation'(x), of the inputs from `first` to before
// `last`: dx has only these, x has all, and may be null if it is linear.
inline void BackwardLayer(OpKernelContext* ctx, const Structure& s,
                          const float* by_input, Activation activation,
                          int64_t batch, const float* dy, const float* x,
                          int64_t first, int64_t last, float* dx) {
  const Connections all = ToInputs(s, by_input);
  const int64_t inputs = last - first;
  OverLayer(ctx, batch, inputs, s.input_begin[last] - s.input_begin[first],
            [&](Part p) {
              const int64_t unit = p.unit * BlockWidth(batch);
              BestKernels().backward(
                  Of(all, first + p.unit, p.units), activation, p.examples,
                  dy + p.example * s.outputs,
                  x ? x + p.example * s.inputs + unit : nullptr,
                  dx + p.example * inputs + unit);
            });
}

// How many tiles of the outputs their gradients are read by, so that a cache
// holds those of one. An input with few connections to each is not worth it.
inline int64_t OutputTiles(const Structure& s, int64_t padded) {
  constexpr int64_t kBytes = 512 << 10, kFew = 16;
  const int64_t tiles =
      CeilDiv(s.outputs * padded * int64_t{sizeof(float)}, kBytes);
  return s.nonzero() < kFew * tiles * s.inputs ? 1 : std::max<int64_t>(1, tiles);
}

// Packed gradients of the weights from the inputs from `first` to before `last`.
// To one tile of the outputs after the other.
inline void WeightGradientOf(const Structure& s, int64_t padded, int64_t first,
                             int64_t last, const float* x, const float* dz,
                             float* gradient) {
  if (s.is_full()) {
    return BestKernels().dense_gradient(padded, s.inputs, s.outputs, first,
                                        last, x, dz,
                                        gradient + first * s.outputs);
  }
  const auto weight_gradient = [&](const int32_t* begin, const int32_t* end) {
    BestKernels().weight_gradient(begin, end, s.output.data(), padded, s.inputs,
                                  s.outputs, first, last, x, dz, gradient);
  };
  const int64_t tiles = OutputTiles(s, padded);
  if (tiles == 1) {
    return weight_gradient(s.input_begin.data(), s.input_begin.data() + 1);
  }
  std::vector<int32_t> begin(s.input_begin.begin(), s.input_begin.end() - 1);
  std::vector<int32_t> end(s.inputs);
  for (int64_t tile = 1; tile <= tiles; ++tile) {
    for (int64_t i = first; i < last; ++i) {
      const auto row = s.output.begin();
      end[i] = std::lower_bound(row + begin[i], row + s.input_begin[i + 1],
                                tile * s.outputs / tiles) -
               row;
    }
    weight_gradient(begin.data(), end.data());
    begin.swap(end);
  }
}

// Of all inputs. `padded` is the batch in whole blocks.
inline void WeightGradient(OpKernelContext* ctx, const Structure& s,
                           int64_t padded, const float* x, const float* dz,
                           float* gradient) {
  InParts(ctx, s.inputs, NumParts(s.nonzero() * padded),
          [&](int64_t first, int64_t last) {
            WeightGradientOf(s, padded, first, last, x, dz, gradient);
          });
}

// The numbers of Adam's step after `train_step` others.
inline AdamStep AdamStepOf(float learning_rate, float beta_1, float beta_2,
                           float epsilon, int64_t train_step) {
  const float t = train_step + 1;
  const float rate = learning_rate * std::sqrt(1.0f - std::pow(beta_2, t)) /
                     (1.0f - std::pow(beta_1, t));
  return {rate, beta_1, beta_2, epsilon};
}

// Adam of the packed weights of a kernel, whose moments lie by input.
struct PackedAdam {
  const AdamStep& step;
  const float decay;
  const Structure& s;
  float *weight, *by_output, *m, *v;

  // Calls `work(first, last)` on parts of the inputs, so small that a cache
  // holds what goes out from them.
  void InParts(OpKernelContext* ctx, int64_t multiplications,
               const std::function<void(int64_t, int64_t)>& work) const {
    const int64_t parts =
        std::max(s.nonzero() / (1 << 13), NumParts(multiplications));
    tf_sparse_rl::InParts(ctx, s.inputs, parts, work);
  }

  // Updates what goes out from some inputs by its gradients.
  void Update(int64_t first, int64_t last, const float* gradient) const {
    const int64_t begin = s.input_begin[first];
    BestKernels().adam(step, decay, s.input_begin[last] - begin, gradient,
                       weight + begin, m + begin, v + begin);
  }

  void WriteByOutput(int64_t first, int64_t last) const {
    tf_sparse_rl::WriteByOutput(s, first, last, weight, by_output);
  }
};

// One step by all gradients. Calls `then(first, last)` on parts of the inputs
// that have been updated, which the cache has still.
inline void AdamPacked(OpKernelContext* ctx, const PackedAdam& adam,
                       const float* gradient,
                       const std::function<void(int64_t, int64_t)>& then) {
  adam.InParts(ctx, adam.s.nonzero(), [&](int64_t first, int64_t last) {
    adam.Update(first, last, gradient + adam.s.input_begin[first]);
    then(first, last);
    adam.WriteByOutput(first, last);
  });
}

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_PASSES_H_
