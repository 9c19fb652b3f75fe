// Compiled once for each instruction set, see vectors.h.

#include "conv.h"
#include "vectors.h"

namespace tf_sparse_rl {
namespace TF_SPARSE_RL_CPU {
namespace {

// Registers that hold something for one place each: sums, or gradients of outputs.
constexpr int kMaxVecs = 11;
constexpr int kGroup = 16;                    // examples side by side
constexpr int kVecsOfGroup = kGroup / kLanes;  // of one pixel

// Calls a function with a number of vectors, 1 to kVecs, as a Constant.
template <int kVecs, typename Function>
INLINE void ByCount(int64_t vecs, Function function) {
  if constexpr (kVecs == 1) {
    function(Constant<1>());
  } else {
    if (vecs == kVecs) return function(Constant<kVecs>());
    ByCount<kVecs - 1>(vecs, function);
  }
}

// Calls `function(place, vectors)` on tiles of about the same size, of at most
// kMaxVecs, that make up a span.
template <typename Function>
INLINE void ByTile(const Span& span, Function function) {
  const int64_t vecs = (span.size + kLanes - 1) / kLanes;
  const int64_t tiles = (vecs + kMaxVecs - 1) / kMaxVecs;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t begin = i * vecs / tiles, end = (i + 1) * vecs / tiles;
    function(span.begin + begin * kLanes, end - begin);
  }
}

// A pointer that stays one: the compiler would keep a pointer for each load in a
// loop, which are more than there are registers, and add to all of them.
INLINE const float* Whole(const float* p) {
  __asm__("" : "+r"(p));
  return p;
}

// Sums of one unit, at so many places one after the other.
template <int kVecs>
struct Sums {
  Vec sum[kVecs];

  INLINE void Clear() {
    for (int v = 0; v < kVecs; ++v) sum[v] = Vec{};
  }
  INLINE void Load(const float* kept) {
    for (int v = 0; v < kVecs; ++v) {
      sum[v] = tf_sparse_rl::Load(kept + v * kLanes);
    }
  }
  INLINE void Store(float* kept) const {
    for (int v = 0; v < kVecs; ++v) {
      tf_sparse_rl::Store(kept + v * kLanes, sum[v]);
    }
  }

  // Adds some taps of the source.
  INLINE void Add(const Taps& taps, const float* weight, int64_t begin,
                  int64_t end, const float* source) {
    for (int64_t k = begin; k < end; ++k) {
      const float* from = Whole(source + taps.offset[k]);
      const Vec w = Fill(weight[k]);
      for (int v = 0; v < kVecs; ++v) {
        sum[v] += w * tf_sparse_rl::Load(from + v * kLanes);
      }
    }
  }

  // Stores the sums of a unit from a place on. Comparisons are so written that
  // NaN stays NaN. Returns 0, or NaN if a sum is not finite.
  INLINE Vec Finished(const Finish& finish, const Target& target, int64_t unit,
                      int64_t place) {
    if (finish.poison) {
      for (int v = 0; v < kVecs; ++v) {
        sum[v] += tf_sparse_rl::Load(finish.poison + place + v * kLanes);
      }
    }
    if (finish.bias) {
      for (int v = 0; v < kVecs; ++v) sum[v] += finish.bias[unit];
    }
    if (finish.relu) {
      for (int v = 0; v < kVecs; ++v) sum[v] = sum[v] < 0.0f ? Vec{} : sum[v];
    }
    if (finish.slope) {
      const float* slope = finish.slope + unit * finish.slope_plane + place;
      for (int v = 0; v < kVecs; ++v) {
        const Vec y = tf_sparse_rl::Load(slope + v * kLanes);
        sum[v] *= y > 0.0f ? Fill(1.0f) : Vec{};
      }
    }
    Vec bad{};
    for (int v = 0; v < kVecs; ++v) bad += sum[v] * 0.0f;
    float* to = target.to + unit * target.unit;
    for (int v = 0; v < kVecs; ++v, place += kLanes) {
      if (target.lanes == kGroup) {
        const int32_t at = target.at[place / kGroup];
        if (at >= 0) tf_sparse_rl::Store(to + at + place % kGroup, sum[v]);
      } else {
        for (int e = 0; e < kLanes; ++e) {
          if (target.at[place + e] >= 0) to[target.at[place + e]] = sum[v][e];
        }
      }
    }
    return bad;
  }
};

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
  const auto tile = [&](int64_t place, auto count) ALWAYS_INLINE {
    constexpr int kVecs = decltype(count)::value;
    for (int64_t chunk = 0; chunk <= last_chunk; ++chunk) {
      for (int64_t unit = 0; unit < taps.units; ++unit) {
        const int64_t i = chunk * taps.units + unit;
        Sums<kVecs> sums;
        float* kept = scratch + unit * kMaxVecs * kLanes;
        if (chunk) {
          sums.Load(kept);
        } else {
          sums.Clear();
        }
        sums.Add(taps, weight, taps.begin[i], taps.begin[i + 1],
                 source + place);
        if (chunk == last_chunk) {
          bad += sums.Finished(finish, target, unit, place);
        } else {
          sums.Store(kept);
        }
      }
    }
  };
  for (int64_t s = first; s < last; ++s) {
    ByTile(spans[s], [&](int64_t place, int64_t vecs) ALWAYS_INLINE {
      ByCount<kMaxVecs>(
          vecs, [&](auto count) ALWAYS_INLINE { tile(place, count); });
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
          const float* from = Whole(source + taps.offset[k] + place);
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
      ByCount<kMaxVecs>(
          vecs, [&](auto count) ALWAYS_INLINE { tile(place, count); });
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

// Where the floats of an image lie, one after the other; kByChannel: see Images.
template <bool kByChannel>
class Places {
 public:
  explicit Places(const Images& images)
      : images_(images), at_(images.at), place_(*at_) {}

  // Floats from the beginning of a group; -1: nowhere.
  INLINE int64_t Next() {
    const int64_t place = place_;
    if constexpr (kByChannel) {
      if (++pixel_ == images_.pixels) {
        pixel_ = 0;
        before_ += images_.channel;
      }
      place_ = at_[pixel_] < 0 ? -1 : at_[pixel_] + before_;
    } else if (++channel_ < images_.channels) {
      place_ += place_ < 0 ? 0 : images_.channel;
    } else if (++pixel_ < images_.pixels) {
      channel_ = 0;
      place_ = at_[pixel_];
    }
    return place;
  }

 private:
  const Images& images_;
  const int32_t* at_;
  // before_: floats before the channel, if one comes after the other.
  int64_t pixel_ = 0, channel_ = 0, before_ = 0, place_;
};

// Calls `function(first, floats, example, examples)` on blocks of kLanes floats
// of kLanes examples, or what there is of them, all examples of some floats
// first; and `next(floats)` before.
template <typename Next, typename Function>
INLINE void ByBlock(const Images& images, Next next, Function function) {
  const int64_t size = images.pixels * images.channels;
  for (int64_t i = 0; i < size; i += kLanes) {
    const int64_t floats = size - i < kLanes ? size - i : kLanes;
    next(floats);
    for (int64_t e = 0; e < images.examples; e += kLanes) {
      const int64_t left = images.examples - e;
      function(i, floats, e, left < kLanes ? left : kLanes);
    }
  }
}

// Calls `function(float, place)` for all floats of an image that is alone in its
// group; a place is that of `Places::Next`.
template <bool kByChannel, typename Function>
INLINE void ByFloat(const Images& images, Function function) {
  for (int64_t c = 0; c < images.channels; ++c) {
    for (int64_t p = 0; p < images.pixels; ++p) {
      const int64_t at = images.at[p];
      function(kByChannel ? c * images.pixels + p : p * images.channels + c,
               at < 0 ? -1 : at + c * images.channel);
    }
  }
}

bool ToPlanes(const Images& images, const float* from, const float* slope,
              float scale, float* planes) {
  if (images.lanes == 1) {
    float bad = 0;
    ByFloat<false>(images, [&](int64_t i, int64_t at) ALWAYS_INLINE {
      float x = from[i] * scale;
      if (slope && !(slope[i] > 0.0f)) x *= 0.0f;
      bad += x * 0.0f;
      if (at >= 0) planes[at] = x;
    });
    return bad == 0.0f;
  }
  const int64_t size = images.pixels * images.channels;
  Places<false> places(images);
  Vec bad{};
  int64_t at[kLanes];
  ByBlock(
      images,
      [&](int64_t floats) ALWAYS_INLINE {
        for (int64_t i = 0; i < floats; ++i) at[i] = places.Next();
      },
      [&](int64_t first, int64_t floats, int64_t e,
          int64_t examples) ALWAYS_INLINE {
        Vec rows[kLanes] = {};
        for (int64_t i = 0; i < examples; ++i) {
          const int64_t place = (e + i) * size + first;
          Vec x = LoadFew(from + place, floats) * scale;
          if (slope) {
            x *= LoadFew(slope + place, floats) > 0.0f ? Fill(1.0f) : Vec{};
          }
          bad += x * 0.0f;
          rows[i] = x;
        }
        Transpose(rows);
        for (int64_t i = 0; i < floats; ++i) {
          if (at[i] >= 0) Store(planes + at[i] + e, rows[i]);
        }
      });
  return IsZero(bad);
}

template <bool kByChannel>
void OrderedBytesToPlanes(const Images& images, const uint8_t* from,
                          float scale, float* planes) {
  if (images.lanes == 1) {
    return ByFloat<kByChannel>(
        images, [&](int64_t i, int64_t at) ALWAYS_INLINE {
          if (at >= 0) planes[at] = from[i] * scale;
        });
  }
  const int64_t size = images.pixels * images.channels;
  Places<kByChannel> places(images);
  int64_t i = 0;
  // A register of each example at a time, whose numbers are four bytes each.
  for (; i + 4 * kLanes <= size; i += 4 * kLanes) {
    int64_t at[4 * kLanes];
    for (int64_t& each : at) each = places.Next();
    for (int64_t e = 0; e < images.examples; e += kLanes) {
      Vec rows[kLanes] = {};
      for (int64_t l = 0; l < kLanes && e + l < images.examples; ++l) {
        __builtin_memcpy(&rows[l], from + (e + l) * size + i, sizeof(Vec));
      }
      Transpose(rows);
      for (int w = 0; w < kLanes; ++w) {
        const IntVec words = reinterpret_cast<IntVec&>(rows[w]);
        for (int j = 0; j < 4; ++j) {
          const IntVec byte = words >> (8 * j) & 255;
          const int64_t to = at[4 * w + j];
          if (to < 0) continue;
          Store(planes + to + e, __builtin_convertvector(byte, Vec) * scale);
        }
      }
    }
  }
  for (; i < size; ++i) {
    const int64_t at = places.Next();
    for (int64_t e = 0; at >= 0 && e < images.examples; ++e) {
      planes[at + e] = static_cast<float>(from[e * size + i]) * scale;
    }
  }
}

void BytesToPlanes(const Images& images, const uint8_t* from, float scale,
                   float* planes) {
  (images.by_channel ? OrderedBytesToPlanes<true>
                     : OrderedBytesToPlanes<false>)(images, from, scale, planes);
}

void FromPlanes(const Images& images, const float* planes, float* to) {
  if (images.lanes == 1) {
    return ByFloat<false>(images, [&](int64_t i, int64_t at) ALWAYS_INLINE {
      to[i] = at < 0 ? 0.0f : planes[at];
    });
  }
  const int64_t size = images.pixels * images.channels;
  Places<false> places(images);
  int64_t at[kLanes];
  ByBlock(
      images,
      [&](int64_t floats) ALWAYS_INLINE {
        for (int64_t i = 0; i < floats; ++i) at[i] = places.Next();
      },
      [&](int64_t first, int64_t floats, int64_t e,
          int64_t examples) ALWAYS_INLINE {
        Vec rows[kLanes] = {};
        for (int64_t i = 0; i < floats; ++i) {
          if (at[i] >= 0) rows[i] = Load(planes + at[i] + e);
        }
        Transpose(rows);
        for (int64_t i = 0; i < examples; ++i) {
          float* p = to + (e + i) * size + first;
          if (floats == kLanes) {
            Store(p, rows[i]);
          } else {
            for (int64_t j = 0; j < floats; ++j) p[j] = rows[i][j];
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
