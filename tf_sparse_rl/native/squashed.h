// Actions of SAC: a Gaussian squashed by tanh.

#ifndef TF_SPARSE_RL_NATIVE_SQUASHED_H_
#define TF_SPARSE_RL_NATIVE_SQUASHED_H_

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels.h"
#include "network.h"
#include "random.h"
#include "step.h"

namespace tf_sparse_rl {

// Actions of a Gaussian squashed by tanh, as heads.TanhGaussian makes them.
class Squashed {
 public:
  std::vector<float> middle, scale;  // of the bounds

  int64_t size() const { return middle.size(); }

  // Draws actions by the actor's outputs, means and logarithms of standard
  // deviations, in blocks. `actions` are units of blocks that have `all` units,
  // from the unit `at` on; log_pi is [batch in whole blocks].
  void Sample(int64_t batch, const float* outputs, int64_t seed,
              int64_t train_step, int64_t all, int64_t at, float* actions,
              float* log_pi) {
    const int64_t n = size(), width = BlockWidth(batch);
    const int64_t padded = PaddedBatch(batch);
    float* drawn = Sized(&drawn_, batch * n);
    StatelessNormal(seed, train_step, batch * n, drawn);
    BestKernels().to_blocks(drawn, batch, n, Sized(&noise_, padded * n));
    Sized(&tanh_, padded * n);
    Sized(&std_, padded * n);
    float constants = 0;
    for (float each : scale) constants += std::log(each) + kHalfLog2Pi;
    std::fill_n(log_pi, padded, -constants);
    for (int64_t b = 0; b < NumBlocks(batch); ++b) {
      for (int64_t j = 0; j < n; ++j) {
        const float* mean = outputs + (b * 2 * n + j) * width;
        const int64_t mine = (b * n + j) * width;
        float* tanh = Data(&tanh_) + mine;
        BestKernels().squash(width, mean, mean + n * width, Data(noise_) + mine,
                             tanh, Data(&std_) + mine, log_pi + b * width);
        float* action = actions + (b * all + at + j) * width;
        for (int64_t e = 0; e < width; ++e) {
          action[e] = middle[j] + scale[j] * tanh[e];
        }
      }
    }
  }

  // The gradient of the outputs, from those of the actions and of log_pi, one
  // for all examples, of what was sampled last. All but log_pi's in blocks, of
  // which missing examples stay 0.
  void Gradient(int64_t batch, const float* of_actions, float of_log_pi,
                float* of_outputs) const {
    const int64_t n = size(), width = BlockWidth(batch);
    for (int64_t b = 0; b < NumBlocks(batch); ++b) {
      const int64_t examples = std::min(width, batch - b * width);
      for (int64_t j = 0; j < n; ++j) {
        const int64_t mine = (b * n + j) * width;
        const float *t = Data(tanh_) + mine, *z = Data(noise_) + mine;
        const float *std = Data(std_) + mine, *of_action = of_actions + mine;
        float* of_mean = of_outputs + (b * 2 * n + j) * width;
        float* of_log_std = of_mean + n * width;
        for (int64_t e = 0; e < examples; ++e) {
          of_mean[e] = of_action[e] * scale[j] * (1 - t[e] * t[e]) +
                       of_log_pi * 2 * t[e];
          of_log_std[e] = of_mean[e] * std[e] * z[e] - of_log_pi;
        }
      }
    }
  }

  // An action of one example by noise.
  void Act(const float* outputs, int64_t batch, int64_t example,
           const float* noise, float* action) const {
    const int64_t n = size();
    for (int64_t j = 0; j < n; ++j) {
      const float x = outputs[Place(batch, example, j, 2 * n)] +
                      std::exp(outputs[Place(batch, example, n + j, 2 * n)]) *
                          noise[j];
      action[j] = middle[j] + scale[j] * std::tanh(x);
    }
  }

 private:
  static constexpr float kHalfLog2Pi = 0.91893853320f;
  Tensor drawn_;               // [batch, size]
  Tensor noise_, tanh_, std_;  // in blocks, of the last Sample
};

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_SQUASHED_H_
