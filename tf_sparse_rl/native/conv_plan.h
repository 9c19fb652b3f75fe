// The passes through a sparse convolution as lists of taps.

#ifndef TF_SPARSE_RL_NATIVE_CONV_PLAN_H_
#define TF_SPARSE_RL_NATIVE_CONV_PLAN_H_

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "conv.h"
#include "conv_shapes.h"
#include "structure.h"

namespace tf_sparse_rl {

// Sums over taps, for all units of one pass.
struct Pass {
  int32_t units = 0, chunks = 1;
  std::vector<int32_t> begin;   // see Taps
  std::vector<int32_t> offset;
  std::vector<int32_t> entry;   // of a tap, in the order of the mask's ones
  std::vector<Span> spans;      // of a group of images
  int64_t plane = 0;            // the first of the units, for a phase

  Taps taps() const { return {units, chunks, begin.data(), offset.data()}; }
};

// The three passes through a convolution. Its outputs have their places in
// the planes of its input: the first of those that they are made of.
struct ConvPlan {
  Convolution shape;
  Planes input, delta;
  Pass forward;                // outputs from the input; weight gradients too
  std::vector<Pass> backward;  // by phase: the input's gradient from the delta
};

namespace internal {

struct Tap {
  int32_t unit, source, offset, entry;
};

// Bytes of the source that a cache should hold.
constexpr int64_t kChunkBytes = 24 << 10;
// Fewer taps of a unit in a chunk are not worth loading its sum.
constexpr int64_t kChunkTaps = 16;

// Sorts taps into a pass from `sources` channels, of which each has so many
// rows, with `places` in each, that are read at once.
inline Pass MakePass(std::vector<Tap> taps, int32_t units, int32_t sources,
                     int64_t rows, int64_t places, int32_t lanes) {
  const int64_t bytes = sources * rows * places * lanes * sizeof(float);
  const int64_t enough = taps.size() / std::max<int64_t>(1, units) / kChunkTaps;
  Pass pass;
  pass.units = units;
  pass.chunks = std::max<int64_t>(
      1, std::min<int64_t>({bytes / kChunkBytes, enough, sources}));
  const auto chunk = [&](const Tap& tap) {
    return int64_t{tap.source} * pass.chunks / sources * units + tap.unit;
  };
  std::stable_sort(taps.begin(), taps.end(), [&](const Tap& a, const Tap& b) {
    return chunk(a) != chunk(b) ? chunk(a) < chunk(b) : a.offset < b.offset;
  });
  pass.begin.assign(pass.chunks * units + 1, 0);
  for (const Tap& tap : taps) {
    ++pass.begin[chunk(tap) + 1];
    pass.offset.push_back(tap.offset);
    pass.entry.push_back(tap.entry);
  }
  for (size_t i = 1; i < pass.begin.size(); ++i) {
    pass.begin[i] += pass.begin[i - 1];
  }
  return pass;
}

// The places from (y, x) on, so many rows and columns. With one example to a
// group rows are not divided: what is between them is computed as well.
inline std::vector<Span> Rectangle(const Planes& planes, int32_t y, int32_t x,
                                   int32_t rows, int32_t columns) {
  std::vector<Span> spans;
  if (rows <= 0 || columns <= 0) return spans;
  const int32_t lanes = planes.lanes;
  const auto at = [&](int32_t row) {
    return (row * planes.columns + x) * lanes;
  };
  if (lanes == 1) return {{at(y), (rows - 1) * planes.columns + columns}};
  for (int32_t row = y; row < y + rows; ++row) {
    spans.push_back({at(row), columns * lanes});
  }
  return spans;
}

}  // namespace internal

// The rows and columns of an input's phase that hold pixels of the image.
inline std::vector<Span> PixelSpans(const Convolution& c, const Planes& input,
                                    int32_t phase_y, int32_t phase_x) {
  const auto range = [](int32_t phase, int32_t stride, int32_t before,
                        int32_t size, int32_t rows) {
    const int32_t first = CeilDiv(std::max(before - phase, 0), stride);
    const int32_t end = CeilDiv(std::max(before + size - phase, 0), stride);
    return std::pair(first, std::min(end, rows) - first);
  };
  const auto [y, rows] =
      range(phase_y, c.stride_y, c.top, c.height, input.rows);
  const auto [x, columns] =
      range(phase_x, c.stride_x, c.left, c.width, input.columns);
  return internal::Rectangle(input, y, x, rows, columns);
}

// Plans a convolution whose kernel, as a matrix [height * width * channels,
// outputs], has this structure. `sums`: floats that kernels sum at once.
inline ConvPlan MakeConvPlan(const Structure& s, const Convolution& c,
                             int32_t lanes, int64_t sums) {
  using internal::Tap;
  ConvPlan plan;
  plan.shape = c;
  plan.input = InputPlanes(c, lanes);
  plan.delta = DeltaPlanes(c, lanes);
  const Planes& in = plan.input;
  std::vector<Tap> forward;
  std::vector<std::vector<Tap>> backward(in.phases_y * in.phases_x);
  for (int32_t i = 0; i < s.inputs; ++i) {
    const int32_t channel = i % c.channels, x = i / c.channels % c.kernel_width;
    const int32_t y = i / c.channels / c.kernel_width;
    const int32_t phase =
        y % c.stride_y * in.phases_x + x % c.stride_x;
    const int32_t shift =
        (y / c.stride_y * in.columns + x / c.stride_x) * lanes;
    const int32_t from = channel * in.channel() + phase * in.plane + shift;
    for (int32_t k = s.input_begin[i]; k < s.input_begin[i + 1]; ++k) {
      const int32_t output = s.output[k];
      const int32_t back = output * plan.delta.plane - shift;
      forward.push_back({output, channel, from, k});
      backward[phase].push_back({channel, output, back, k});
    }
  }
  // Rows of a channel that are read for one row of sums, in tiles.
  const int64_t rows = int64_t{c.kernel_height} * in.phases_x;
  const int64_t places = sums / 16 + 1;  // Taps reach beyond them.
  plan.forward = internal::MakePass(std::move(forward), c.outputs, c.channels,
                                    rows, places, lanes);
  plan.forward.spans =
      internal::Rectangle(in, 0, 0, c.out_height, c.out_width);
  for (size_t phase = 0; phase < backward.size(); ++phase) {
    Pass pass = internal::MakePass(std::move(backward[phase]), c.channels,
                                   c.outputs, CeilDiv(c.kernel_height, c.stride_y),
                                   places, lanes);
    pass.plane = phase * in.plane;
    pass.spans =
        PixelSpans(c, in, phase / in.phases_x, phase % in.phases_x);
    plan.backward.push_back(std::move(pass));
  }
  return plan;
}

// Where the outputs of a convolution are to be stored, by place: `to(y, x)`.
template <typename To>
std::vector<int32_t> OutputPlaces(const ConvPlan& plan, const To& to) {
  const Planes& in = plan.input;
  std::vector<int32_t> at(in.plane / in.lanes + kConvSlack, -1);
  for (int32_t y = 0; y < plan.shape.out_height; ++y) {
    for (int32_t x = 0; x < plan.shape.out_width; ++x) {
      at[y * in.columns + x] = to(y, x);
    }
  }
  return at;
}

// Where the gradients of the input's pixels are, by place in a phase's plane.
inline std::vector<int32_t> PhasePlaces(const ConvPlan& plan, size_t phase,
                                        const Planes& to) {
  const Planes& in = plan.input;
  const Convolution& c = plan.shape;
  std::vector<int32_t> at(in.plane / in.lanes + kConvSlack, -1);
  const int32_t first_y = phase / in.phases_x - c.top;
  const int32_t first_x = phase % in.phases_x - c.left;
  for (int32_t row = 0; row < in.rows; ++row) {
    const int32_t y = row * c.stride_y + first_y;
    if (y < 0 || y >= c.height) continue;
    for (int32_t column = 0; column < in.columns; ++column) {
      const int32_t x = column * c.stride_x + first_x;
      if (x < 0 || x >= c.width) continue;
      at[row * in.columns + column] = to.At(y, x);
    }
  }
  return at;
}

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_CONV_PLAN_H_
