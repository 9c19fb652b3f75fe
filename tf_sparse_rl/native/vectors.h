// The compiler's own vectors, for files that are compiled once for each
// instruction set: TF_SPARSE_RL_CPU is its name, TF_SPARSE_RL_LANES the floats
// of its registers. In a namespace without a name: the linker would keep the
// copy of any one instruction set for all of them.

#ifndef TF_SPARSE_RL_NATIVE_VECTORS_H_
#define TF_SPARSE_RL_NATIVE_VECTORS_H_

#include <cstdint>
#include <utility>

#define ALWAYS_INLINE __attribute__((always_inline))
#define INLINE inline ALWAYS_INLINE

namespace tf_sparse_rl {
namespace {

constexpr int kLanes = TF_SPARSE_RL_LANES;

typedef float Vec
    __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
typedef int32_t IntVec
    __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

INLINE Vec Load(const float* p) { return *reinterpret_cast<const Vec*>(p); }
INLINE void Store(float* p, Vec v) { *reinterpret_cast<Vec*>(p) = v; }
INLINE Vec Fill(float x) { return x - Vec{}; }

// Vectors of the compiler's shuffle from vectors a and b, by a function of the
// place: below kLanes from a, above from b.
template <int (*kFrom)(int), int... kPlaces>
INLINE Vec Shuffle(Vec a, Vec b, std::integer_sequence<int, kPlaces...>) {
  return __builtin_shufflevector(a, b, kFrom(kPlaces)...);
}
constexpr std::make_integer_sequence<int, kLanes> kPlaces;

template <int kValue>
struct Constant {
  static constexpr int value = kValue;
};

}  // namespace
}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_VECTORS_H_
