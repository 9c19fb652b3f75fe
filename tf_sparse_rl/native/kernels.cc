// Compiled once for each instruction set: TF_SPARSE_RL_CPU is its name,
// TF_SPARSE_RL_LANES the floats of its registers. The vectors are the
// compiler's own. No templates of the standard library here: the linker would
// keep the copy of any one instruction set for all of them.

#include "kernels.h"
#include "vectors.h"

#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace tf_sparse_rl {
namespace TF_SPARSE_RL_CPU {
namespace {

// Registers that the examples of a block take at a time.
constexpr int kMaxVecs = 4;
constexpr Activation kActivations[] = {
    Activation::kLinear, Activation::kRelu, Activation::kTanh,
    Activation::kSigmoid, Activation::kElu};

typedef float Quad __attribute__((vector_size(16), aligned(4), may_alias));

INLINE Vec Sqrt(Vec x) {
  for (int i = 0; i < kLanes; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
}

constexpr int Evens(int i) { return i % 2 ? i - 1 + kLanes : i; }
constexpr int Odds(int i) { return i % 2 ? i + kLanes : i + 1; }
constexpr int Lows(int i) { return i % 4 < 2 ? i : i - 2 + kLanes; }
constexpr int Highs(int i) { return i % 4 < 2 ? i + 2 : i + kLanes; }

// The sums of four vectors.
INLINE Quad SumFour(const Vec x[4]) {
  const Vec a = Shuffle<Evens>(x[0], x[1], kPlaces) +
                Shuffle<Odds>(x[0], x[1], kPlaces);
  const Vec b = Shuffle<Evens>(x[2], x[3], kPlaces) +
                Shuffle<Odds>(x[2], x[3], kPlaces);
  const Vec c =
      Shuffle<Lows>(a, b, kPlaces) + Shuffle<Highs>(a, b, kPlaces);
  Quad sum = __builtin_shufflevector(c, c, 0, 1, 2, 3);
#if TF_SPARSE_RL_LANES >= 8
  sum += __builtin_shufflevector(c, c, 4, 5, 6, 7);
#endif
#if TF_SPARSE_RL_LANES >= 16
  sum += __builtin_shufflevector(c, c, 8, 9, 10, 11) +
         __builtin_shufflevector(c, c, 12, 13, 14, 15);
#endif
  return sum;
}

// e^x: 2^n times a polynomial in what is left (Cephes' coefficients).
INLINE Vec Exp(Vec x) {
  x = x < -87.0f ? Fill(-87.0f) : x;
  x = x > 88.0f ? Fill(88.0f) : x;
  // Adding and taking away 1.5 * 2^23 rounds to a whole number.
  const Vec n = (x * 1.44269504f + 12582912.0f) - 12582912.0f;
  const Vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const IntVec bits = (__builtin_convertvector(n, IntVec) + 127) << 23;
  return p * reinterpret_cast<const Vec&>(bits);
}

// log(1 + x) for x in [0, 1], to about 1e-7 (Cephes' coefficients).
INLINE Vec Log1p(Vec x) {
  // The logarithm of half of it, plus that of 2, where it is beyond sqrt(2).
  const auto far = x > 0.41421356f;
  const Vec z = far ? 0.5f * x - 0.5f : x;
  Vec p = z * 7.0376836292e-2f - 1.1514610310e-1f;
  p = p * z + 1.1676998740e-1f;
  p = p * z - 1.2420140846e-1f;
  p = p * z + 1.4249322787e-1f;
  p = p * z - 1.6668057665e-1f;
  p = p * z + 2.0000714765e-1f;
  p = p * z - 2.4999993993e-1f;
  p = p * z + 3.3333331174e-1f;
  const Vec s = z * z;
  const Vec log = z * s * p - 0.5f * s + z;
  return far ? log + 0.69314718f : log;
}

INLINE Vec Tanh(Vec x) {
  const Vec size = x < 0.0f ? -x : x;
  const Vec far = 1.0f - 2.0f / (Exp(2.0f * size) + 1.0f);
  // Near 0 the difference would cancel (Cephes' coefficients again).
  const Vec s = x * x;
  Vec p = s * -5.70498872745e-3f + 2.06390887954e-2f;
  p = p * s - 5.37397155531e-2f;
  p = p * s + 1.33314422036e-1f;
  p = p * s - 3.33332819422e-1f;
  const Vec close = size + size * s * p;
  const Vec result = size < 0.625f ? close : far;
  return x < 0.0f ? -result : result;
}

// Comparisons are so written that NaN stays NaN.
template <Activation kind>
INLINE Vec Activate(Vec x) {
  if (kind == Activation::kRelu) return x < 0.0f ? Vec{} : x;
  if (kind == Activation::kTanh) return x == x ? Tanh(x) : x;
  if (kind == Activation::kSigmoid) {
    return x == x ? 1.0f / (1.0f + Exp(-x)) : x;
  }
  if (kind == Activation::kElu) {
    // e^x - 1 = tanh(x / 2) * (e^x + 1), which does not cancel.
    return x < 0.0f ? Tanh(0.5f * x) * (Exp(x) + 1.0f) : x;
  }
  return x;
}

// The derivative, of y = activation(x).
template <Activation kind>
INLINE Vec Slope(Vec y) {
  if (kind == Activation::kRelu) return y > 0.0f ? Fill(1.0f) : Vec{};
  if (kind == Activation::kTanh) return 1.0f - y * y;
  if (kind == Activation::kSigmoid) return y * (1.0f - y);
  if (kind == Activation::kElu) return y < 0.0f ? y + 1.0f : Fill(1.0f);
  return Fill(1.0f);
}

// Sums for two units that every source goes to, whose weights begin at `p` and
// at `q`: a row of x is read once for both. `finish(unit, vector, sum)` takes the
// sums, those that SumConnections has for one unit, bit for bit.
template <int kVecs, typename Finish>
INLINE void SumOfAll(int64_t sources, int64_t width, const float* x,
                     const float* p, const float* q, const Vec* poison,
                     Finish finish) {
  Vec even[2][kVecs], odd[2][kVecs] = {};
  for (int v = 0; v < kVecs; ++v) even[0][v] = even[1][v] = poison[v];
  const auto add = [&](int64_t i, Vec sum[2][kVecs]) ALWAYS_INLINE {
    for (int v = 0; v < kVecs; ++v) {
      const Vec row = Load(x + i * width + v * kLanes);
      sum[0][v] += Fill(p[i]) * row;
      sum[1][v] += Fill(q[i]) * row;
    }
  };
  int64_t i = 0;
  for (; i + 1 < sources; i += 2) {
    add(i, even);
    add(i + 1, odd);
  }
  if (i < sources) add(i, even);
  for (int u = 0; u < 2; ++u) {
    for (int v = 0; v < kVecs; ++v) finish(u, v, even[u][v] + odd[u][v]);
  }
}

// Sums over the connections of each unit, for kVecs vectors of a block whose
// rows are `width` apart: the heart of it all. `finish(unit, place, sum)` makes
// of a sum what is stored.
template <int kVecs, typename Finish>
INLINE void SumConnections(const Connections& c, int64_t width, const float* x,
                           float* y, Finish finish) {
  Vec poison[kVecs] = {};
  for (int64_t i = 0; i < c.sources; ++i) {
    for (int v = 0; v < kVecs; ++v) {
      poison[v] += Load(x + i * width + v * kLanes) * 0.0f;
    }
  }
  // As many vectors as leave registers free.
  constexpr int kAtOnce = kLanes == 16 || kVecs < 2 ? kVecs : 2;
  for (int64_t j = 0; j < c.units; ++j) {
    if (j + 1 < c.units && c.begin[j + 2] - c.begin[j] == 2 * c.sources) {
      for (int first = 0; first < kVecs; first += kAtOnce) {
        SumOfAll<kAtOnce>(
            c.sources, width, x + first * kLanes, c.weight + c.begin[j],
            c.weight + c.begin[j + 1], poison + first,
            [&](int u, int v, Vec sum) ALWAYS_INLINE {
              const int64_t place = (j + u) * width + (first + v) * kLanes;
              Store(y + place, finish(j + u, place, sum));
            });
      }
      ++j;
      continue;
    }
    Vec even[kVecs], odd[kVecs] = {};
    for (int v = 0; v < kVecs; ++v) even[v] = poison[v];
    int64_t k = c.begin[j];
    const int64_t end = c.begin[j + 1];
    for (; k + 1 < end; k += 2) {
      const float* a = x + c.source[k] * width;
      const float* b = x + c.source[k + 1] * width;
      const Vec p = Fill(c.weight[k]), q = Fill(c.weight[k + 1]);
      for (int v = 0; v < kVecs; ++v) {
        even[v] += p * Load(a + v * kLanes);
        odd[v] += q * Load(b + v * kLanes);
      }
    }
    if (k < end) {
      const float* a = x + c.source[k] * width;
      const Vec p = Fill(c.weight[k]);
      for (int v = 0; v < kVecs; ++v) even[v] += p * Load(a + v * kLanes);
    }
    for (int v = 0; v < kVecs; ++v) {
      const int64_t place = j * width + v * kLanes;
      Store(y + place, finish(j, place, even[v] + odd[v]));
    }
  }
}

// Calls a function with the vectors that a block's examples are taken by: all
// at once, or as many at a time as leave registers free.
template <typename Function>
INLINE void ByVecs(int64_t width, Function function) {
  if (width >= kMaxVecs * kLanes) return function(Constant<kMaxVecs>());
  if (width == 2 * kLanes) return function(Constant<2>());
  return function(Constant<1>());
}

// Calls a function with the activation, as a Constant.
template <typename Function>
INLINE void ByActivation(Activation activation, Function function) {
  switch (activation) {
    case Activation::kLinear: return function(Constant<0>());
    case Activation::kRelu: return function(Constant<1>());
    case Activation::kTanh: return function(Constant<2>());
    case Activation::kSigmoid: return function(Constant<3>());
    case Activation::kElu: return function(Constant<4>());
  }
}

void ToBlocks(const float* matrix, int64_t batch, int64_t units,
              float* blocks) {
  const int64_t width = BlockWidth(batch);
  for (int64_t b = 0; b < NumBlocks(batch); ++b) {
    float* block = blocks + b * units * width;
    for (int64_t i = 0; i < units; ++i) {
      for (int64_t e = 0; e < width; ++e) {
        const int64_t example = b * width + e;
        block[i * width + e] =
            example < batch ? matrix[example * units + i] : 0.0f;
      }
    }
  }
}

void FromBlocks(const float* blocks, int64_t batch, int64_t units,
                float* matrix) {
  const int64_t width = BlockWidth(batch);
  // Few units at a time, which the first level of the cache holds for all
  // examples of a block.
  constexpr int64_t kUnits = 16;
  for (int64_t b = 0; b < NumBlocks(batch); ++b) {
    const float* block = blocks + b * units * width;
    const int64_t last = batch < (b + 1) * width ? batch : (b + 1) * width;
    for (int64_t first = 0; first < units; first += kUnits) {
      const int64_t end = first + kUnits < units ? first + kUnits : units;
      for (int64_t example = b * width; example < last; ++example) {
        const float* from = block + example - b * width;
        float* to = matrix + example * units;
        for (int64_t j = first; j < end; ++j) to[j] = from[j * width];
      }
    }
  }
}

void Forward(const Connections& to_outputs, const float* bias,
             Activation activation, int64_t batch, const float* x, float* y) {
  const Connections c = to_outputs;
  const int64_t width = BlockWidth(batch);
  ByActivation(activation, [&](auto kind) {
    ByVecs(width, [&](auto vecs) {
      constexpr int kVecs = decltype(vecs)::value;
      for (int64_t b = 0; b < NumBlocks(batch); ++b) {
        for (int64_t e = 0; e < width; e += kVecs * kLanes) {
          SumConnections<kVecs>(
              c, width, x + b * c.sources * width + e,
              y + b * c.units * width + e,
              [bias](int64_t j, int64_t, Vec sum) ALWAYS_INLINE {
                return Activate<kActivations[decltype(kind)::value]>(sum +
                                                                     bias[j]);
              });
        }
      }
    });
  });
}

void Backward(const Connections& to_inputs, Activation activation,
              int64_t batch, const float* dy, const float* x, float* dx) {
  const Connections c = to_inputs;
  const int64_t width = BlockWidth(batch);
  ByActivation(activation, [&](auto kind) {
    constexpr Activation kKind = kActivations[decltype(kind)::value];
    ByVecs(width, [&](auto vecs) {
      constexpr int kVecs = decltype(vecs)::value;
      for (int64_t b = 0; b < NumBlocks(batch); ++b) {
        for (int64_t e = 0; e < width; e += kVecs * kLanes) {
          // Null for a linear activation, which does not read it.
          const float* returned = x ? x + b * c.units * width + e : nullptr;
          SumConnections<kVecs>(
              c, width, dy + b * c.sources * width + e,
              dx + b * c.units * width + e,
              [returned](int64_t, int64_t place, Vec sum) ALWAYS_INLINE {
                if (kKind == Activation::kLinear) return sum;
                return sum * Slope<kKind>(Load(returned + place));
              });
        }
      }
    });
  });
}

void Through(Activation activation, int64_t size, const float* dy,
             const float* y, float* dz) {
  ByActivation(activation, [&](auto kind) {
    constexpr Activation kKind = kActivations[decltype(kind)::value];
    for (int64_t i = 0; i < size; i += kLanes) {
      Vec d = Load(dy + i);
      if (kKind != Activation::kLinear) d = d * Slope<kKind>(Load(y + i));
      Store(dz + i, d);
    }
  });
}

// Products, summed over the batch, of kRows rows of x with the kColumns rows of
// dz, at most four, that `column` names: `product[row][column]`. Rows of one
// block are `width` apart, which should be a constant where this is called.
template <int kRows, int kColumns>
INLINE void Dot(int64_t width, int64_t blocks, int64_t inputs, int64_t outputs,
                const float* x, const float* dz, const int32_t* column,
                Quad product[kRows]) {
  Vec sum[kRows][4] = {};
  // A pointer for each and constant distances: with more addresses than
  // registers compilers would fetch them from memory each time.
  const float* from[kColumns];
  for (int c = 0; c < kColumns; ++c) from[c] = dz + column[c] * width;
  for (int64_t b = 0; b < blocks; ++b) {
    for (int64_t e = 0; e < width; e += kLanes) {
      Vec left[kRows];
      for (int r = 0; r < kRows; ++r) left[r] = Load(x + r * width + e);
      for (int c = 0; c < kColumns; ++c) {
        const Vec right = Load(from[c] + e);
        for (int r = 0; r < kRows; ++r) sum[r][c] += left[r] * right;
      }
    }
    x += inputs * width;
    for (int c = 0; c < kColumns; ++c) from[c] += outputs * width;
  }
  for (int r = 0; r < kRows; ++r) product[r] = SumFour(sum[r]);
}

// The first kCount of four floats.
template <int kCount>
INLINE void StoreFew(float* p, Quad q) {
  for (int i = 0; i < kCount; ++i) p[i] = q[i];
}
template <>
INLINE void StoreFew<4>(float* p, Quad q) {
  *reinterpret_cast<Quad*>(p) = q;
}

// Calls a function with where each four from `begin` to before `end` begin, and
// what is left after them; and with how many these are, as a Constant.
template <typename Function>
INLINE void ByFours(int64_t begin, int64_t end, Function function) {
  int64_t k = begin;
  for (; k + 4 <= end; k += 4) function(k, Constant<4>());
  switch (end - k) {
    case 1: return function(k, Constant<1>());
    case 2: return function(k, Constant<2>());
    case 3: return function(k, Constant<3>());
  }
}

// Calls a function with the width of a block and with the number of blocks, as
// Constants where batches are often so large: without a loop over two or four
// blocks, whose end comes again and again, gradients take a fifth less time.
template <typename Function>
INLINE void ByBlocks(int64_t batch, Function function) {
  struct {
    int64_t value;
  } const blocks{NumBlocks(batch)};
  switch (BlockWidth(batch)) {
    case 16: return function(Constant<16>(), Constant<1>());
    case 32: return function(Constant<32>(), Constant<1>());
  }
  switch (blocks.value) {
    case 2: return function(Constant<64>(), Constant<2>());
    case 4: return function(Constant<64>(), Constant<4>());
    default: return function(Constant<64>(), blocks);
  }
}

void WeightGradient(const int32_t* begin, const int32_t* end,
                    const int32_t* output, int64_t batch, int64_t inputs,
                    int64_t outputs, int64_t first, int64_t last,
                    const float* x, const float* dz, float* gradient) {
  ByBlocks(batch, [&](auto width, auto blocks) {
    constexpr int64_t kWidth = decltype(width)::value;
    for (int64_t i = first; i < last; ++i) {
      ByFours(begin[i], end[i], [&](int64_t k, auto count) ALWAYS_INLINE {
        constexpr int kCount = decltype(count)::value;
        Quad product[1];
        Dot<1, kCount>(kWidth, blocks.value, inputs, outputs, x + i * kWidth,
                       dz, output + k, product);
        StoreFew<kCount>(gradient + k, product[0]);
      });
    }
  });
}

void BiasGradient(int64_t batch, int64_t outputs, const float* dz,
                  float* gradient) {
  const int64_t width = BlockWidth(batch);
  ByFours(0, outputs, [&](int64_t j, auto count) ALWAYS_INLINE {
    constexpr int kCount = decltype(count)::value;
    Vec sum[4] = {};
    for (int64_t b = 0; b < NumBlocks(batch); ++b) {
      const float* row = dz + (b * outputs + j) * width;
      for (int64_t e = 0; e < width; e += kLanes) {
        for (int c = 0; c < kCount; ++c) sum[c] += Load(row + c * width + e);
      }
    }
    StoreFew<kCount>(gradient + j, SumFour(sum));
  });
}

void DenseGradient(int64_t batch, int64_t inputs, int64_t outputs,
                   int64_t first, int64_t last, const float* x,
                   const float* dz, float* gradient) {
  ByBlocks(batch, [&](auto width, auto blocks) {
    constexpr int64_t kWidth = decltype(width)::value;
    const auto rows = [&](int64_t i, auto count) ALWAYS_INLINE {
      constexpr int kRows = decltype(count)::value;
      ByFours(0, outputs, [&](int64_t j, auto columns) ALWAYS_INLINE {
        constexpr int kCount = decltype(columns)::value;
        const int32_t j32 = static_cast<int32_t>(j);
        const int32_t column[] = {j32, j32 + 1, j32 + 2, j32 + 3};
        Quad product[kRows];
        Dot<kRows, kCount>(kWidth, blocks.value, inputs, outputs,
                           x + i * kWidth, dz, column, product);
        for (int r = 0; r < kRows; ++r) {
          StoreFew<kCount>(gradient + (i - first + r) * outputs + j,
                           product[r]);
        }
      });
    };
    // As many rows at a time as leave registers free.
    constexpr int kRows = kLanes == 16 ? 4 : 2;
    int64_t i = first;
    for (; i + kRows <= last; i += kRows) rows(i, Constant<kRows>());
    for (; i < last; ++i) rows(i, Constant<1>());
  });
}

// As TensorFlow's own fused Adam has it.
INLINE void AdamVec(const AdamStep& step, Vec gradient, Vec* variable, Vec* m,
                    Vec* v) {
  *m += (gradient - *m) * (1.0f - step.beta_1);
  *v += (gradient * gradient - *v) * (1.0f - step.beta_2);
  *variable -= (*m * step.rate) / (Sqrt(*v) + step.epsilon);
}

void Adam(const AdamStep& step, float decay, int64_t size,
          const float* gradient, float* variable, float* m, float* v) {
  const auto update = [&](const float* g, float* a, float* b,
                          float* c) ALWAYS_INLINE {
    Vec va = Load(a), vb = Load(b), vc = Load(c);
    AdamVec(step, Load(g) + va * decay, &va, &vb, &vc);
    Store(a, va);
    Store(b, vb);
    Store(c, vc);
  };
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    update(gradient + i, variable + i, m + i, v + i);
  }
  if (i == size) return;
  float g[kLanes] = {}, a[kLanes] = {}, b[kLanes] = {}, c[kLanes] = {};
  for (int64_t e = 0; e < size - i; ++e) {
    g[e] = gradient[i + e];
    a[e] = variable[i + e];
    b[e] = m[i + e];
    c[e] = v[i + e];
  }
  update(g, a, b, c);
  for (int64_t e = 0; e < size - i; ++e) {
    variable[i + e] = a[e];
    m[i + e] = b[e];
    v[i + e] = c[e];
  }
}

// TanhGaussian.sample of networks/heads.py.
void Squash(int64_t size, const float* mean, const float* log_std,
            const float* noise, float* tanh, float* std, float* log_pi) {
  for (int64_t i = 0; i < size; i += kLanes) {
    const Vec z = Load(noise + i), logarithm = Load(log_std + i);
    const Vec deviation = Exp(logarithm);
    const Vec x = Load(mean + i) + deviation * z;
    Store(std + i, deviation);
    Store(tanh + i, x == x ? Tanh(x) : x);
    // log(1 - tanh(x)^2) = 2 (log 2 - x - log(1 + e^-2x)), without overflow.
    const Vec far = x < 0.0f ? -x : x;
    const Vec log_slope =
        2.0f * (0.69314718f - far - Log1p(Exp(-2.0f * far)));
    Store(log_pi + i,
          Load(log_pi + i) - (0.5f * z * z + logarithm + log_slope));
  }
}

#ifdef __AVX512F__
// Sixteen outputs at a time: the CPU foresees stores in the order of memory.
template <typename Put>
INLINE void UnpackRow(int64_t words, const uint16_t* active,
                      const float* packed, float* row, Put put) {
  for (int64_t word = 0; word < words; ++word) {
    const __mmask16 bits = active[word];
    const int count = __builtin_popcount(bits);
    // No more than there are: the last row's are not followed by others.
    const __m512 few = _mm512_maskz_loadu_ps((1 << count) - 1, packed);
    put(row + 16 * word, bits, _mm512_maskz_expand_ps(bits, few));
    packed += count;
  }
}
#endif

void Unpack(int64_t inputs, int64_t outputs, const int32_t* input_begin,
            const int32_t* output, const uint16_t* active, const float* packed,
            bool past_cache, float* kernel) {
  const int64_t words = (outputs + 15) / 16;
#ifdef __AVX512F__
  if (past_cache && outputs % 16 == 0 &&
      reinterpret_cast<uintptr_t>(kernel) % 64 == 0) {
    // Whole lines, so that none has to be fetched first.
    UnpackRow(inputs * words, active, packed + input_begin[0], kernel,
              [](float* p, __mmask16, __m512 x)
                  ALWAYS_INLINE { _mm512_stream_ps(p, x); });
    return _mm_sfence();
  }
#else
  (void)past_cache;
#endif
  for (int64_t i = 0; i < inputs; ++i, active += words, kernel += outputs) {
    int64_t k = input_begin[i];
#ifdef __AVX512F__
    if (input_begin[i + 1] - k > words / 2) {
      UnpackRow(words, active, packed + k, kernel,
                [](float* p, __mmask16 bits, __m512 x)
                    ALWAYS_INLINE { _mm512_mask_storeu_ps(p, bits, x); });
      continue;
    }
#endif
    for (; k < input_begin[i + 1]; ++k) kernel[output[k]] = packed[k];
  }
}

}  // namespace

#define TF_SPARSE_RL_STRING(name) #name
#define TF_SPARSE_RL_NAME(name) TF_SPARSE_RL_STRING(name)

extern const Kernels kKernels;
const Kernels kKernels = {
    TF_SPARSE_RL_NAME(TF_SPARSE_RL_CPU),
    ToBlocks,
    FromBlocks,
    Forward,
    Backward,
    Through,
    WeightGradient,
    BiasGradient,
    DenseGradient,
    Adam,
    Squash,
    Unpack,
};

}  // namespace TF_SPARSE_RL_CPU
}  // namespace tf_sparse_rl
