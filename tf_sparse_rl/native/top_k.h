// The highest of many scores, which are not sorted.

#ifndef TF_SPARSE_RL_NATIVE_TOP_K_H_
#define TF_SPARSE_RL_NATIVE_TOP_K_H_

#include <cmath>
#include <cstdint>
#include <cstring>
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

// What `mask_ops.drop_and_grow` makes of a mask, with the scores of RigL.
//
// `weight` has the active entries by input, `gradient` all [inputs, outputs].
inline Structure DropAndGrow(const Structure& s, const float* weight,
                             const float* gradient, float drop_fraction) {
  const int64_t active = s.nonzero();
  const int64_t dropped =
      static_cast<int32_t>(static_cast<float>(active) * drop_fraction);
  std::vector<uint8_t> kept(active, 0);
  MarkTopK(
      active, active - dropped, [&](int64_t k) { return std::abs(weight[k]); },
      [](int64_t) { return true; }, [&](int64_t k) { kept[k] = 1; });
  const int64_t size = static_cast<int64_t>(s.inputs) * s.outputs;
  std::vector<uint8_t> mask(size, 0);
  for (int64_t i = 0; i < s.inputs; ++i) {
    for (int64_t k = s.input_begin[i]; k < s.input_begin[i + 1]; ++k) {
      mask[i * s.outputs + s.output[k]] = kept[k];
    }
  }
  MarkTopK(
      size, dropped, [&](int64_t i) { return std::abs(gradient[i]); },
      [&](int64_t i) { return !mask[i]; }, [&](int64_t i) { mask[i] = 1; });
  return MakeStructure(mask.data(), s.inputs, s.outputs);
}

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_TOP_K_H_
