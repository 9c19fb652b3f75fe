// Sizes of convolutions, and how their images lie in memory.
//
// Images are held in groups of `lanes` examples side by side, 16 of them or 1.
// A group is planes of pixels: those of a channel whose row and column leave
// the same remainders by the stride, with the zeros of the padding around them.
// So what a tap takes for the outputs of a row lies in a row, and rows of
// outputs are as far apart as rows of inputs.

#ifndef TF_SPARSE_RL_NATIVE_CONV_SHAPES_H_
#define TF_SPARSE_RL_NATIVE_CONV_SHAPES_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "conv.h"

namespace tf_sparse_rl {

// Examples side by side: of few each is alone.
inline int32_t ConvLanes(int64_t batch) { return batch < 10 ? 1 : 16; }

inline int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// A convolution, by its sizes.
struct Convolution {
  int32_t height, width, channels;  // of its input
  int32_t kernel_height, kernel_width, outputs;
  int32_t stride_y, stride_x;
  int32_t top, left;  // zeros before the first row and column
  int32_t out_height, out_width;
};

// With zeros around the image as TensorFlow has them, or without.
inline Convolution MakeConvolution(int32_t height, int32_t width,
                                   int32_t channels, int32_t kernel_height,
                                   int32_t kernel_width, int32_t outputs,
                                   int32_t stride_y, int32_t stride_x,
                                   bool same) {
  Convolution c{height,  width,    channels, kernel_height, kernel_width,
                outputs, stride_y, stride_x, 0,             0,
                0,       0};
  c.out_height = CeilDiv(same ? height : height - kernel_height + 1, stride_y);
  c.out_width = CeilDiv(same ? width : width - kernel_width + 1, stride_x);
  const auto before = [same](int32_t size, int32_t kernel, int32_t stride,
                             int32_t out) {
    return same ? std::max((out - 1) * stride + kernel - size, 0) / 2 : 0;
  };
  c.top = before(height, kernel_height, stride_y, c.out_height);
  c.left = before(width, kernel_width, stride_x, c.out_width);
  return c;
}

// Where the pixels of a group of images lie, in floats.
struct Planes {
  int32_t lanes, channels;
  int32_t rows, columns;                          // of a plane
  int32_t stride_y = 1, stride_x = 1;             // see Convolution
  int32_t top = 0, left = 0;
  int32_t phases_y = 1, phases_x = 1;             // planes of a channel
  int64_t front = 0;                              // zeros before the first row
  int64_t plane = 0, group = 0;                   // sizes

  int64_t channel() const { return plane * phases_y * phases_x; }

  // Of a pixel of channel 0; -1 if no output depends on it.
  int64_t At(int32_t y, int32_t x) const {
    const int32_t py = (y + top) % stride_y, px = (x + left) % stride_x;
    const int32_t row = (y + top) / stride_y, column = (x + left) / stride_x;
    if (py >= phases_y || px >= phases_x || row >= rows || column >= columns) {
      return -1;
    }
    return (py * phases_x + px) * plane + front +
           (static_cast<int64_t>(row) * columns + column) * lanes;
  }
};

inline Planes Sized(Planes p) {
  // An odd number of cache lines, or planes would be in each other's way.
  const int64_t lines =
      CeilDiv(p.front + int64_t{p.rows} * p.columns * p.lanes, 16);
  p.plane = 16 * (lines | 1);
  p.group = p.channels * p.channel() + kConvSlack;
  return p;
}

// What goes into a convolution.
inline Planes InputPlanes(const Convolution& c, int32_t lanes) {
  Planes p;
  p.lanes = lanes;
  p.channels = c.channels;
  p.rows = c.out_height - 1 + CeilDiv(c.kernel_height, c.stride_y);
  p.columns = c.out_width - 1 + CeilDiv(c.kernel_width, c.stride_x);
  p.stride_y = c.stride_y;
  p.stride_x = c.stride_x;
  p.top = c.top;
  p.left = c.left;
  p.phases_y = std::min(c.stride_y, c.kernel_height);
  p.phases_x = std::min(c.stride_x, c.kernel_width);
  return Sized(p);
}

// The gradient of what comes out: rows as far apart as those of the input, and
// zeros around them, so that taps reach it from there as well.
inline Planes DeltaPlanes(const Convolution& c, int32_t lanes) {
  const Planes input = InputPlanes(c, lanes);
  Planes p;
  p.lanes = lanes;
  p.channels = c.outputs;
  p.rows = input.rows;
  p.columns = input.columns;
  const int64_t above = input.rows - c.out_height;
  const int64_t beside = input.columns - c.out_width;
  p.front = CeilDiv((above * p.columns + beside) * lanes, 16) * 16;
  return Sized(p);
}

// Images as they are.
inline Planes PlainPlanes(int32_t height, int32_t width, int32_t channels,
                          int32_t lanes) {
  Planes p;
  p.lanes = lanes;
  p.channels = channels;
  p.rows = height;
  p.columns = width;
  return Sized(p);
}

// Of each pixel of images, see `Planes::At`.
inline std::vector<int32_t> PixelPlaces(int32_t height, int32_t width,
                                        const Planes& planes) {
  std::vector<int32_t> at, of_column;
  at.reserve(height * width);
  // `At` divides; it is the sum of what row and column add.
  const int64_t first = planes.At(-planes.top, -planes.left);
  for (int32_t x = 0; x < width; ++x) {
    of_column.push_back(planes.At(-planes.top, x));
  }
  for (int32_t y = 0; y < height; ++y) {
    const int64_t of_row = planes.At(y, -planes.left);
    for (const int32_t column : of_column) {
      at.push_back(of_row < 0 || column < 0 ? -1 : of_row + column - first);
    }
  }
  return at;
}

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_CONV_SHAPES_H_
