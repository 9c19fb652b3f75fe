// The highest of many scores, which are not sorted.

#ifndef TF_SPARSE_RL_NATIVE_TOP_K_H_
#define TF_SPARSE_RL_NATIVE_TOP_K_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "structure.h"

namespace tf_sparse_rl {

// In the order of the scores; of NaN as of minus infinity.
inline uint32_t ScoreKey(float score) {
  uint32_t bits;
  std::memcpy(&bits, &score, sizeof(bits));
  const uint32_t magnitude = bits & 0x7fffffff;
  constexpr uint32_t kZero = 0x80000000, kInfinity = 0x7f800000;
  if (magnitude > kInfinity) return kZero - kInfinity;
  return bits == magnitude ? kZero + magnitude : kZero - magnitude;
}

// Calls `mark(i)` for the `left` highest of `score(i)`, i from 0 to `size`, for
// which `may(i)`; the lower i wins a tie.
template <typename Score, typename May, typename Mark>
void MarkTopK(int64_t size, int64_t left, const Score& score, const May& may,
              const Mark& mark) {
  if (left <= 0) return;
  // The key of the last one marked, from its highest bits on. `left`: how many
  // of those with these bits are marked.
  uint32_t threshold = 0;
  for (int shift = 24; shift >= 0; shift -= 8) {
    int64_t counts[256] = {};
    // Bits that are known already.
    const uint32_t above = ~((uint64_t{1} << (shift + 8)) - 1);
    for (int64_t i = 0; i < size; ++i) {
      const uint32_t key = ScoreKey(score(i));
      if (may(i) && (key & above) == (threshold & above)) {
        ++counts[key >> shift & 0xff];
      }
    }
    int digit = 255;
    while (digit > 0 && counts[digit] < left) left -= counts[digit--];
    threshold |= static_cast<uint32_t>(digit) << shift;
  }
  for (int64_t i = 0; i < size; ++i) {
    if (!may(i)) continue;
    const uint32_t key = ScoreKey(score(i));
    if (key > threshold || (key == threshold && left-- > 0)) mark(i);
  }
}

// The `count` highest of scores that come one after another; the earlier one wins
// a tie. It holds twice as many.
class Highest {
 public:
  explicit Highest(int64_t count) : count_(count) { found_.reserve(2 * count); }

  void Offer(float score, uint32_t at) {
    const uint32_t key = ScoreKey(score);
    if (count_ == 0 || (is_full_ && key <= least_)) return;
    found_.push_back({key, at});
    if (static_cast<int64_t>(found_.size()) == 2 * count_) Prune();
  }

  // Calls `mark(at)` for each, in any order.
  template <typename Mark>
  void ForEach(const Mark& mark) {
    Prune();
    for (const Scored& each : found_) mark(each.at);
  }

 private:
  struct Scored {
    uint32_t key, at;
  };

  void Prune() {
    if (static_cast<int64_t>(found_.size()) <= count_) return;
    const auto last = found_.begin() + (count_ - 1);
    std::nth_element(found_.begin(), last, found_.end(),
                     [](const Scored& a, const Scored& b) {
                       return a.key != b.key ? a.key > b.key : a.at < b.at;
                     });
    is_full_ = true;
    least_ = last->key;
    found_.resize(count_);
  }

  const int64_t count_;
  std::vector<Scored> found_;
  bool is_full_ = false;
  uint32_t least_ = 0;
};

// What `mask_ops.drop_and_grow` makes of a mask, with the scores of RigL.
//
// `weight` has the active entries by input. `gradient(first, last)` returns
// gradients of all weights [last - first, outputs] from these inputs, of which
// there are `at_a_time`, or what is left.
template <typename Gradient>
Structure DropAndGrow(const Structure& s, const float* weight,
                      float drop_fraction, int64_t at_a_time,
                      const Gradient& gradient) {
  const int64_t active = s.nonzero(), words = (s.outputs + 15) / 16;
  const int64_t dropped =
      static_cast<int32_t>(static_cast<float>(active) * drop_fraction);
  std::vector<uint8_t> kept(active, 0);
  MarkTopK(
      active, active - dropped, [&](int64_t k) { return std::abs(weight[k]); },
      [](int64_t) { return true; }, [&](int64_t k) { kept[k] = 1; });
  std::vector<uint16_t> bits(s.inputs * words, 0);
  for (int64_t i = 0; i < s.inputs; ++i) {
    for (int64_t k = s.input_begin[i]; k < s.input_begin[i + 1]; ++k) {
      bits[i * words + s.output[k] / 16] |= kept[k] << s.output[k] % 16;
    }
  }
  Highest grown(dropped);
  for (int64_t first = 0; first < s.inputs; first += at_a_time) {
    const int64_t last = std::min<int64_t>(first + at_a_time, s.inputs);
    const float* score = gradient(first, last);
    for (int64_t i = first; i < last; ++i) {
      for (int64_t j = 0; j < s.outputs; ++j, ++score) {
        if (bits[i * words + j / 16] >> j % 16 & 1) continue;
        grown.Offer(std::abs(*score), i * s.outputs + j);
      }
    }
  }
  grown.ForEach([&](uint32_t at) {
    const int64_t j = at % s.outputs;
    bits[at / s.outputs * words + j / 16] |= 1 << j % 16;
  });
  return StructureOfBits(std::move(bits), s.inputs, s.outputs);
}

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_TOP_K_H_
