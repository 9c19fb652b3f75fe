// From convolutions to Dense layers and back: a Dense layer behind a convolution
// takes what comes out of it as units [rows, columns, channels], in blocks.

#ifndef TF_SPARSE_RL_NATIVE_CONV_BLOCKS_H_
#define TF_SPARSE_RL_NATIVE_CONV_BLOCKS_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "conv_passes.h"
#include "conv_plan.h"
#include "kernels.h"

namespace tf_sparse_rl {

// Where groups of images lie in blocks: their examples are side by side there
// too.
struct GroupsInBlocks {
  GroupsInBlocks(const Convolution& c, int64_t batch)
      : lanes(ConvLanes(batch)),
        width(BlockWidth(batch)),
        block(int64_t{c.out_height} * c.out_width * c.outputs * width) {}

  // Floats from the first group's beginning to that of another.
  int64_t operator()(int64_t group) const {
    const int64_t example = group * lanes;
    return example / width * block + example % width;
  }

  int64_t lanes, width, block;
};

// As ForwardConv, into the units of a Dense layer.
inline bool ForwardConvToBlocks(OpKernelContext* ctx, const ConvPlan& plan,
                                const float* packed, const float* bias,
                                bool relu, bool finite, int64_t batch,
                                const float* input, float* blocks) {
  const Convolution& c = plan.shape;
  const GroupsInBlocks places(c, batch);
  const std::vector<int32_t> at =
      OutputPlaces(plan, [&](int32_t y, int32_t x) {
        return (y * c.out_width + x) * c.outputs * places.width;
      });
  return ForwardConvTo(
      ctx, plan, packed, bias, relu, finite, CeilDiv(batch, places.lanes),
      input,
      {blocks, places.width, at.data(), static_cast<int32_t>(places.lanes)},
      places);
}

// Gradients of what comes out of a convolution, from blocks to planes whose other
// places are 0; returns whether all are finite.
inline bool BlocksToDeltas(const ConvPlan& plan, int64_t batch,
                           const float* blocks, float* planes) {
  const Convolution& c = plan.shape;
  const Planes& to = plan.delta;
  const GroupsInBlocks places(c, batch);
  const int64_t groups = CeilDiv(batch, places.lanes);
  const std::vector<int32_t> at =
      PixelPlaces(c.out_height, c.out_width, to);
  float bad[16] = {};
  for (int64_t group = 0; group < groups; ++group) {
    const float* from = blocks + places(group);
    for (const int32_t pixel : at) {
      float* x = planes + group * to.group + pixel;
      for (int32_t j = 0; j < c.outputs; ++j) {
        if (places.lanes == 16) {
          for (int e = 0; e < 16; ++e) {
            x[e] = from[e];
            bad[e] += from[e] * 0.0f;
          }
        } else {
          *x = *from;
          bad[0] += *from * 0.0f;
        }
        x += to.plane;
        from += places.width;
      }
    }
  }
  return std::all_of(bad, bad + 16, [](float each) { return each == 0.0f; });
}

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_CONV_BLOCKS_H_
