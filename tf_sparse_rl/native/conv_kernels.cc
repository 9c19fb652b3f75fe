// Compiled once for each instruction set, see vectors.h.

#include "conv.h"
#include "vectors.h"

namespace tf_sparse_rl {
namespace TF_SPARSE_RL_CPU {
namespace {

// Registers that hold sums.
constexpr int kMaxVecs = 11;
constexpr int kGroup = 16;                    // examples side by side
constexpr int kVecsOfGroup = kGroup / kLanes;  // of one pixel

// Calls a function with a number of vectors, 1 to kMaxVecs, as a Constant.
template <int kVecs = kMaxVecs, typename Function>
INLINE void ByCount(int64_t vecs, Function function) {
  if constexpr (kVecs == 1) {
    function(Constant<1>());
  } else {
    if (vecs == kVecs) return function(Constant<kVecs>());
    ByCount<kVecs - 1>(vecs, function);
  }
}

// Calls `function(place, vectors)` on tiles of about the same size, as large as
// the registers hold, that make up a span.
template <typename Function>
INLINE void ByTile(const Span& span, Function function) {
  const int64_t vecs = (span.size + kLanes - 1) / kLanes;
  const int64_t tiles = (vecs + kMaxVecs - 1) / kMaxVecs;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t begin = i * vecs / tiles, end = (i + 1) * vecs / tiles;
    function(span.begin + begin * kLanes, end - begin);
  }
}

// Adds some taps of the source to sums.
template <int kVecs>
INLINE void AddTaps(const Taps& taps, const float* weight, int64_t begin,
                    int64_t end, const float* source, Vec* sums) {
  Vec sum[kVecs];
  for (int v = 0; v < kVecs; ++v) sum[v] = sums[v];
  for (int64_t k = begin; k < end; ++k) {
    const float* from = source + taps.offset[k];
    const Vec w = Fill(weight[k]);
    for (int v = 0; v < kVecs; ++v) sum[v] += w * Load(from + v * kLanes);
  }
  for (int v = 0; v < kVecs; ++v) sums[v] = sum[v];
}

// Stores the sums of a unit from a place on. Comparisons are so written that
// NaN stays NaN. Returns 0, or NaN if a sum is not finite.
INLINE Vec StoreSums(const Finish& finish, const Target& target, int64_t unit,
                     int64_t place, int64_t vecs, const Vec* sums) {
  Vec bad{};
  float* to = target.to + unit * target.unit;
  for (int64_t v = 0; v < vecs; ++v, place += kLanes) {
    Vec x = sums[v];
    if (finish.poison) x += Load(finish.poison + place);
    if (finish.bias) x += finish.bias[unit];
    if (finish.relu) x = x < 0.0f ? Vec{} : x;
    if (finish.slope) {
      const Vec y = Load(finish.slope + unit * finish.slope_plane + place);
      x *= y > 0.0f ? Fill(1.0f) : Vec{};
    }
    bad += x * 0.0f;
    if (target.lanes == kGroup) {
      const int32_t at = target.at[place / kGroup];
      if (at >= 0) Store(to + at + place % kGroup, x);
    } else {
      for (int e = 0; e < kLanes; ++e) {
        if (target.at[place + e] >= 0) to[target.at[place + e]] = x[e];
      }
    }
  }
  return bad;
}

INLINE bool IsZero(Vec x) {
  for (int e = 0; e < kLanes; ++e) {
    if (!(x[e] == 0.0f)) return false;
  }
  return true;
}

bool Sum(const Taps& taps, const float* weight, const Span* spans,
         int64_t first, int64_t last, const float* source,
         const Finish& finish, const Target& target, float* scratch) {
  Vec bad{};
  const int64_t last_chunk = taps.chunks - 1;
  for (int64_t s = first; s < last; ++s) {
    ByTile(spans[s], [&](int64_t place, int64_t vecs) ALWAYS_INLINE {
      for (int64_t chunk = 0; chunk <= last_chunk; ++chunk) {
        for (int64_t unit = 0; unit < taps.units; ++unit) {
          const int64_t i = chunk * taps.units + unit;
          Vec sums[kMaxVecs];
          float* kept = scratch + unit * kMaxVecs * kLanes;
          for (int v = 0; v < kMaxVecs; ++v) {
            sums[v] = chunk ? Load(kept + v * kLanes) : Vec{};
          }
          ByCount(vecs, [&](auto count) ALWAYS_INLINE {
            AddTaps<decltype(count)::value>(taps, weight, taps.begin[i],
                                            taps.begin[i + 1], source + place,
                                            sums);
          });
          if (chunk == last_chunk) {
            bad += StoreSums(finish, target, unit, place, vecs, sums);
          } else {
            for (int v = 0; v < kMaxVecs; ++v) Store(kept + v * kLanes, sums[v]);
          }
        }
      }
    });
  }
  return IsZero(bad);
}

void WeightGradient(const Taps& taps, const Span* spans, int64_t num_spans,
                    int64_t first, int64_t last, const float* source,
                    const float* delta, int64_t delta_plane, float* sums,
                    float* bias_sums) {
  const auto tile = [&](int64_t place, auto count) ALWAYS_INLINE {
    constexpr int kVecs = decltype(count)::value;
    for (int64_t chunk = 0; chunk < taps.chunks; ++chunk) {
      for (int64_t unit = first; unit < last; ++unit) {
        Vec d[kVecs];
        for (int v = 0; v < kVecs; ++v) {
          d[v] = Load(delta + unit * delta_plane + place + v * kLanes);
        }
        if (chunk == 0) {
          Vec sum = Load(bias_sums + unit * kGroup);
          for (int v = 0; v < kVecs; ++v) sum += d[v];
          Store(bias_sums + unit * kGroup, sum);
        }
        const int64_t i = chunk * taps.units + unit;
        for (int64_t k = taps.begin[i]; k < taps.begin[i + 1]; ++k) {
          const float* from = source + taps.offset[k] + place;
          // Two chains of additions, which do not wait for each other.
          Vec even = Load(sums + k * kGroup), odd{};
          for (int v = 0; v < kVecs; ++v) {
            (v % 2 ? odd : even) += d[v] * Load(from + v * kLanes);
          }
          Store(sums + k * kGroup, even + odd);
        }
      }
    }
  };
  for (int64_t s = 0; s < num_spans; ++s) {
    ByTile(spans[s], [&](int64_t place, int64_t vecs) ALWAYS_INLINE {
      ByCount(vecs, [&](auto count) ALWAYS_INLINE { tile(place, count); });
    });
  }
}

void Reduce(const float* sums, int64_t size, float* gradient) {
  for (int64_t i = 0; i < size; ++i) {
    const Vec x = Load(sums + i * kGroup);
    float sum = 0;
    for (int e = 0; e < kLanes; ++e) sum += x[e];
    gradient[i] = sum;
  }
}

// Where the low and the high halves of pairs of rows go in a transposition.
template <int kStep>
constexpr int Low(int i) {
  return i & kStep ? i - kStep + kLanes : i;
}
template <int kStep>
constexpr int High(int i) {
  return i & kStep ? i + kLanes : i + kStep;
}

// Transposes kLanes vectors.
template <int kStep = 1>
INLINE void Transpose(Vec* rows) {
  for (int i = 0; i < kLanes; ++i) {
    if (i & kStep) continue;
    const Vec a = rows[i], b = rows[i + kStep];
    rows[i] = Shuffle<Low<kStep>>(a, b, kPlaces);
    rows[i + kStep] = Shuffle<High<kStep>>(a, b, kPlaces);
  }
  if constexpr (2 * kStep < kLanes) Transpose<2 * kStep>(rows);
}

INLINE Vec LoadFew(const float* p, int64_t size) {
  if (size >= kLanes) return Load(p);
  Vec x{};
  for (int64_t e = 0; e < size; ++e) x[e] = p[e];
  return x;
}

// Calls `function(pixel, place, channel, channels, example, examples)` on
// blocks of kLanes channels of kLanes examples, or what there is of them.
template <typename Function>
INLINE void ByBlock(const Images& images, Function function) {
  for (int64_t pixel = 0; pixel < images.pixels; ++pixel) {
    for (int64_t c = 0; c < images.channels; c += kLanes) {
      const int64_t channels =
          images.channels - c < kLanes ? images.channels - c : kLanes;
      for (int64_t e = 0; e < images.examples; e += kLanes) {
        const int64_t examples =
            images.examples - e < kLanes ? images.examples - e : kLanes;
        function(pixel, images.at[pixel], c, channels, e, examples);
      }
    }
  }
}

bool ToPlanes(const Images& images, const float* from, const float* slope,
              float scale, float* planes) {
  const auto value = [&](const float* p) ALWAYS_INLINE {
    const float x = *p * scale;
    return slope && !(slope[p - from] > 0.0f) ? x * 0.0f : x;
  };
  if (images.lanes == 1) {
    float bad = 0;
    for (int64_t pixel = 0; pixel < images.pixels; ++pixel) {
      const int32_t at = images.at[pixel];
      if (at < 0) continue;
      for (int64_t c = 0; c < images.channels; ++c) {
        const float x = value(from + pixel * images.channels + c);
        bad += x * 0.0f;
        planes[at + c * images.channel] = x;
      }
    }
    return bad == 0.0f;
  }
  Vec bad{};
  ByBlock(images, [&](int64_t pixel, int32_t at, int64_t c, int64_t channels,
                      int64_t e, int64_t examples) ALWAYS_INLINE {
    if (at < 0) return;
    Vec rows[kLanes] = {};
    for (int64_t i = 0; i < examples; ++i) {
      const int64_t place =
          ((e + i) * images.pixels + pixel) * images.channels + c;
      Vec x = LoadFew(from + place, channels) * scale;
      if (slope) {
        x *= LoadFew(slope + place, channels) > 0.0f ? Fill(1.0f) : Vec{};
      }
      bad += x * 0.0f;
      rows[i] = x;
    }
    Transpose(rows);
    for (int64_t i = 0; i < channels; ++i) {
      Store(planes + at + (c + i) * images.channel + e, rows[i]);
    }
  });
  return IsZero(bad);
}

void BytesToPlanes(const Images& images, const uint8_t* from, float scale,
                   float* planes) {
  const int64_t size = images.pixels * images.channels;
  for (int64_t pixel = 0; pixel < images.pixels; ++pixel) {
    const int32_t at = images.at[pixel];
    if (at < 0) continue;
    const uint8_t* image = from + pixel * images.channels;
    int64_t c = 0;
    // Four channels of an example at a time, as one number.
    for (; images.lanes == kGroup && c + 4 <= images.channels; c += 4) {
      for (int64_t e = 0; e < images.examples; e += kLanes) {
        IntVec words{};
        for (int64_t i = 0; i < kLanes && e + i < images.examples; ++i) {
          int32_t word;
          __builtin_memcpy(&word, image + (e + i) * size + c, 4);
          words[i] = word;
        }
        for (int j = 0; j < 4; ++j) {
          const IntVec byte = words >> (8 * j) & 255;
          Store(planes + at + (c + j) * images.channel + e,
                __builtin_convertvector(byte, Vec) * scale);
        }
      }
    }
    for (; c < images.channels; ++c) {
      for (int64_t e = 0; e < images.examples; ++e) {
        planes[at + c * images.channel + e] =
            static_cast<float>(image[e * size + c]) * scale;
      }
    }
  }
}

void FromPlanes(const Images& images, const float* planes, float* to) {
  if (images.lanes == 1) {
    for (int64_t pixel = 0; pixel < images.pixels; ++pixel) {
      const int32_t at = images.at[pixel];
      for (int64_t c = 0; c < images.channels; ++c) {
        *to++ = at < 0 ? 0.0f : planes[at + c * images.channel];
      }
    }
    return;
  }
  ByBlock(images, [&](int64_t pixel, int32_t at, int64_t c, int64_t channels,
                      int64_t e, int64_t examples) ALWAYS_INLINE {
    Vec rows[kLanes] = {};
    for (int64_t i = 0; at >= 0 && i < channels; ++i) {
      rows[i] = Load(planes + at + (c + i) * images.channel + e);
    }
    Transpose(rows);
    for (int64_t i = 0; i < examples; ++i) {
      float* p = to + ((e + i) * images.pixels + pixel) * images.channels + c;
      if (channels == kLanes) {
        Store(p, rows[i]);
      } else {
        for (int64_t j = 0; j < channels; ++j) p[j] = rows[i][j];
      }
    }
  });
}

}  // namespace

extern const ConvKernels kConvKernels;
const ConvKernels kConvKernels = {
    kMaxVecs * kLanes, Sum,           WeightGradient, Reduce,
    ToPlanes,          BytesToPlanes, FromPlanes,
};

}  // namespace TF_SPARSE_RL_CPU
}  // namespace tf_sparse_rl
