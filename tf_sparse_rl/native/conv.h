// The arithmetic of sparse convolutions, one set of functions per instruction
// set. Images lie in planes, see conv_shapes.h. Nothing here knows of
// TensorFlow.

#ifndef TF_SPARSE_RL_NATIVE_CONV_H_
#define TF_SPARSE_RL_NATIVE_CONV_H_

#include <cstdint>

namespace tf_sparse_rl {

// Floats that a kernel may read, not use, behind what it was asked for.
constexpr int64_t kConvSlack = 16;

// A tap is one entry of a kernel: the sum of a unit has, times its weight, what
// lies at its offset from there. They are sorted by chunk of the source,
// so that a cache holds what is read, then by unit.
struct Taps {
  int32_t units, chunks;
  const int32_t* begin;   // [chunks * units + 1]
  const int32_t* offset;  // in the source, from the place of the sum
};

// Consecutive floats of a plane, of which sums are made.
struct Span {
  int32_t begin, size;
};

// What is made of a sum before it is stored; null stands for nothing.
struct Finish {
  const float* bias;    // [units]
  bool relu;
  const float* slope;   // times ReLU's derivative by this, where it returned
  int64_t slope_plane;  // from unit to unit
  const float* poison;  // [of a plane], NaN where some input was not finite
};

// Where sums are stored.
struct Target {
  float* to;
  int64_t unit;       // floats from unit to unit
  const int32_t* at;  // by place in lanes; -1: nowhere
  int32_t lanes;
};

// Images of a group, and where their pixels lie in planes.
struct Images {
  int64_t examples, pixels, channels;
  const int32_t* at;  // [pixels], of channel 0; -1: nowhere
  int32_t lanes;
  int64_t channel;  // floats from channel to channel
  bool by_channel;  // whether bytes are [channels, pixels]
};

struct ConvKernels {
  // Floats of scratch that `sum` takes for each unit if there are chunks.
  int64_t scratch;

  // The sums over all taps of each unit, for the spans from `first` to before
  // `last`. Returns whether all of them are finite.
  bool (*sum)(const Taps& taps, const float* weight, const Span* spans,
              int64_t first, int64_t last, const float* source,
              const Finish& finish, const Target& target, float* scratch);

  // Adds to `sums` [taps, 16] and `bias_sums` [units, 16], for units from
  // `first` to before `last`: their sums are the gradients. `delta` is
  // the first place of unit 0.
  void (*weight_gradient)(const Taps& taps, const Span* spans,
                          int64_t num_spans, int64_t first, int64_t last,
                          const float* source, const float* delta,
                          int64_t delta_plane, float* sums, float* bias_sums);
  // The sum of each of `size` rows of those.
  void (*reduce)(const float* sums, int64_t size, float* gradient);

  // From up to `lanes` images [pixels, channels] to planes that are 0; times
  // `scale`, and ReLU's derivative where it returned `slope`, if that is not
  // null. Returns whether all of them are finite.
  bool (*to_planes)(const Images& images, const float* from,
                    const float* slope, float scale, float* planes);
  void (*bytes_to_planes)(const Images& images, const uint8_t* from,
                          float scale, float* planes);
  // And back; pixels that have no place become 0.
  void (*from_planes)(const Images& images, const float* planes, float* to);
};

// Those of BestKernels().
const ConvKernels& BestConvKernels();

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_CONV_H_
