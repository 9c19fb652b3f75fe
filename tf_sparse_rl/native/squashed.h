// Actions of SAC: a Gaussian squashed by tanh.

#ifndef TF_SPARSE_RL_NATIVE_SQUASHED_H_
#define TF_SPARSE_RL_NATIVE_SQUASHED_H_

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels.h"
#include "network.h"
#include "step.h"
#include "tensorflow/core/lib/random/philox_random.h"
#include "tensorflow/core/lib/random/random_distributions.h"

namespace tf_sparse_rl {

// Standard normal numbers as tf.random.stateless_normal has them.
inline void StatelessNormal(int64_t seed_0, int64_t seed_1, int64_t size,
                            float* numbers) {
  using tensorflow::random::PhiloxRandom;
  const auto words = [](int64_t low, int64_t high) {
    PhiloxRandom::ResultType counter;
    counter[0] = static_cast<uint32_t>(low);
    counter[1] = static_cast<uint32_t>(static_cast<uint64_t>(low) >> 32);
    counter[2] = static_cast<uint32_t>(high);
    counter[3] = static_cast<uint32_t>(static_cast<uint64_t>(high) >> 32);
    return counter;
  };
  // TensorFlow mixes seeds by a key of its own.
  PhiloxRandom::Key key;
  key[0] = 0x3ec8f720;
  key[1] = 0x02461e29;
  const auto mixed = PhiloxRandom(words(seed_0, seed_1), key)();
  key[0] = mixed[0];
  key[1] = mixed[1];
  PhiloxRandom::ResultType counter;
  counter[0] = counter[1] = 0;
  counter[2] = mixed[2];
  counter[3] = mixed[3];
  PhiloxRandom generator(counter, key);
  tensorflow::random::NormalDistribution<PhiloxRandom, float> normal;
  for (int64_t i = 0; i < size; i += 4) {
    const auto four = normal(&generator);
    for (int64_t k = 0; k < std::min<int64_t>(4, size - i); ++k) {
      numbers[i + k] = four[k];
    }
  }
}

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
