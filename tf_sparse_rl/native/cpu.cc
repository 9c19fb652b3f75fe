// Chooses the instruction set at run time.

#include <cstdlib>
#include <cstring>

#include "conv.h"
#include "kernels.h"

namespace tf_sparse_rl {

namespace portable {
extern const Kernels kKernels;
extern const ConvKernels kConvKernels;
}
#ifdef __x86_64__
namespace avx2 {
extern const Kernels kKernels;
extern const ConvKernels kConvKernels;
}
namespace avx512 {
extern const Kernels kKernels;
extern const ConvKernels kConvKernels;
}
#endif

namespace {

struct Set {
  const Kernels& kernels;
  const ConvKernels& conv_kernels;
};

Set Choose() {
  const char* named = std::getenv("TF_SPARSE_RL_CPU");
  const auto wanted = [named](const Kernels& kernels) {
    return !named || !*named || std::strcmp(named, kernels.name) == 0;
  };
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && wanted(avx512::kKernels)) {
    return {avx512::kKernels, avx512::kConvKernels};
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      wanted(avx2::kKernels)) {
    return {avx2::kKernels, avx2::kConvKernels};
  }
#else
  (void)wanted;
#endif
  return {portable::kKernels, portable::kConvKernels};
}

const Set& Best() {
  static const Set best = Choose();
  return best;
}

}  // namespace

const Kernels& BestKernels() { return Best().kernels; }

const ConvKernels& BestConvKernels() { return Best().conv_kernels; }

}  // namespace tf_sparse_rl

// For Python: the name of the chosen instruction set.
extern "C" const char* tf_sparse_rl_instruction_set() {
  return tf_sparse_rl::BestKernels().name;
}
