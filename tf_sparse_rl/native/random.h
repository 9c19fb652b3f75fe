// Random numbers of a seed, as TensorFlow draws them.

#ifndef TF_SPARSE_RL_NATIVE_RANDOM_H_
#define TF_SPARSE_RL_NATIVE_RANDOM_H_

#include <algorithm>
#include <cstdint>

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

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_RANDOM_H_
