// Chooses the instruction set at run time.

#include <cstdlib>
#include <cstring>

#include "kernels.h"

namespace tf_sparse_rl {

namespace portable {
extern const Kernels kKernels;
}
#ifdef __x86_64__
namespace avx2 {
extern const Kernels kKernels;
}
namespace avx512 {
extern const Kernels kKernels;
}
#endif

namespace {

const Kernels& Choose() {
  const char* named = std::getenv("TF_SPARSE_RL_CPU");
  const auto wanted = [named](const Kernels& kernels) {
    return !named || !*named || std::strcmp(named, kernels.name) == 0;
  };
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && wanted(avx512::kKernels)) {
    return avx512::kKernels;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      wanted(avx2::kKernels)) {
    return avx2::kKernels;
  }
#else
  (void)wanted;
#endif
  return portable::kKernels;
}

}  // namespace

const Kernels& BestKernels() {
  static const Kernels& best = Choose();
  return best;
}

}  // namespace tf_sparse_rl

// For Python: the name of the chosen instruction set.
extern "C" const char* tf_sparse_rl_instruction_set() {
  return tf_sparse_rl::BestKernels().name;
}
