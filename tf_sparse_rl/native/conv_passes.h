// Passes through one convolution, in parts that other threads may share.

#ifndef TF_SPARSE_RL_NATIVE_CONV_PASSES_H_
#define TF_SPARSE_RL_NATIVE_CONV_PASSES_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <utility>
#include <vector>

#include "conv.h"
#include "conv_plan.h"
#include "packed.h"
#include "passes.h"
#include "structure.h"

namespace tf_sparse_rl {

// Plans of the convolutions in use; one goes with its structure.
class ConvPlans {
 public:
  static std::shared_ptr<const ConvPlan> Of(
      const std::shared_ptr<const Structure>& structure, const Convolution& c,
      int32_t lanes) {
    static ConvPlans* all = new ConvPlans;
    return all->Find(structure, c, lanes);
  }

 private:
  using Key = std::tuple<const Structure*, std::array<int32_t, 13>>;
  struct Entry {
    std::weak_ptr<const Structure> structure;
    std::shared_ptr<const ConvPlan> plan;
  };

  std::shared_ptr<const ConvPlan> Find(
      const std::shared_ptr<const Structure>& structure, const Convolution& c,
      int32_t lanes) {
    const Key key{structure.get(),
                  {c.height, c.width, c.channels, c.kernel_height,
                   c.kernel_width, c.outputs, c.stride_y, c.stride_x, c.top,
                   c.left, c.out_height, c.out_width, lanes}};
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = entries_.find(key);
    // Another structure may be where one was that is no more.
    if (found != entries_.end() && !found->second.structure.expired()) {
      return found->second.plan;
    }
    for (auto it = entries_.begin(); it != entries_.end();) {
      it = it->second.structure.expired() ? entries_.erase(it) : ++it;
    }
    auto made =
        std::make_shared<const ConvPlan>(MakeConvPlan(
            *structure, c, lanes, BestConvKernels().scratch));
    entries_[key] = Entry{structure, made};
    return made;
  }

  std::mutex mutex_;
  std::map<Key, Entry> entries_;
};

// Calls `work(group, begin, end)` on parts of `size` things of each group.
inline void OverGroups(
    OpKernelContext* ctx, int64_t groups, int64_t size, int64_t multiplications,
    const std::function<void(int64_t, int64_t, int64_t)>& work) {
  InParts(ctx, groups * size, NumParts(multiplications),
          [&](int64_t begin, int64_t end) {
            while (begin < end) {
              const int64_t group = begin / size;
              const int64_t last = std::min(end, (group + 1) * size);
              work(group, begin - group * size, last - group * size);
              begin = last;
            }
          });
}

// Weights, in the order of the mask's ones, in that of a pass.
inline std::vector<float> InOrder(const Pass& pass, const float* packed) {
  std::vector<float> weight(pass.entry.size());
  for (size_t k = 0; k < weight.size(); ++k) weight[k] = packed[pass.entry[k]];
  return weight;
}

// Floats from the beginning of a cache line on, not initialized.
class AlignedFloats {
 public:
  explicit AlignedFloats(int64_t size)
      : size_(size), room_(new float[size + 16]) {}

  float* data() {
    const auto at = reinterpret_cast<uintptr_t>(room_.get()) / sizeof(float);
    return room_.get() + (16 - at % 16) % 16;
  }
  float* zeros() { return std::fill_n(data(), size_, 0.0f) - size_; }

 private:
  int64_t size_;
  std::unique_ptr<float[]> room_;
};

// Zeroes what is not a pixel in the planes of all groups, of images so high and
// wide. Where examples are alone in a group, or the last group has not all of
// them, everything: it is read, or not written.
inline void ZeroBorders(OpKernelContext* ctx, const Planes& planes,
                        int32_t height, int32_t width, int64_t groups,
                        int64_t whole_groups, float* data) {
  std::vector<std::pair<int64_t, int64_t>> runs;  // of a channel: begin, size
  if (planes.lanes > 1) {
    std::vector<bool> is_pixel(planes.channel() / planes.lanes);
    for (const int32_t at : PixelPlaces(height, width, planes)) {
      if (at >= 0) is_pixel[at / planes.lanes] = true;
    }
    for (size_t i = 0; i < is_pixel.size(); ++i) {
      if (is_pixel[i]) continue;
      if (i == 0 || is_pixel[i - 1]) runs.push_back({i * planes.lanes, 0});
      runs.back().second += planes.lanes;
    }
  }
  OverGroups(ctx, groups, 1, groups * planes.group,
             [&](int64_t group, int64_t, int64_t) {
               float* to = data + group * planes.group;
               if (planes.lanes == 1 || group >= whole_groups) {
                 std::fill_n(to, planes.group, 0.0f);
                 return;
               }
               for (int32_t c = 0; c < planes.channels; ++c) {
                 for (const auto& [begin, size] : runs) {
                   std::fill_n(to + c * planes.channel() + begin, size, 0.0f);
                 }
               }
               std::fill_n(to + planes.group - kConvSlack, kConvSlack, 0.0f);
             });
}

// Planes of all groups, the first of which begin at `data`.
template <typename Float>
struct Groups {
  Float* data;
  int64_t group;  // floats from one to the next
};

// One pass over all groups; returns whether all sums are finite. `target` is
// that of the first group, from which others are `offset(group)` floats away.
template <typename Offset>
bool RunPass(OpKernelContext* ctx, const Pass& pass, const float* packed,
             int64_t groups, Groups<const float> source, const Finish& finish,
             Groups<const float> slope, Groups<const float> poison,
             const Target& target, const Offset& offset) {
  const ConvKernels& kernels = BestConvKernels();
  const std::vector<float> weight = InOrder(pass, packed);
  int64_t places = 0;
  for (const Span& span : pass.spans) places += span.size;
  const int64_t size = kernels.scratch * (pass.chunks > 1 ? pass.units : 1);
  std::atomic<bool> finite{true};
  OverGroups(
      ctx, groups, pass.spans.size(), groups * places * weight.size(),
      [&](int64_t group, int64_t first, int64_t last) {
        AlignedFloats scratch(size);
        Finish of_group = finish;
        if (slope.data) of_group.slope = slope.data + group * slope.group;
        if (poison.data) of_group.poison = poison.data + group * poison.group;
        Target to = target;
        to.to += offset(group);
        if (!kernels.sum(pass.taps(), weight.data(), pass.spans.data(), first,
                         last, source.data + group * source.group, of_group, to,
                         scratch.data())) {
          finite = false;
        }
      });
  return finite;
}

// For each place NaN if a pass has anything there that is not finite, else 0:
// absent connections are as those of weight 0. `pass` is one of all
// connections to one unit.
inline std::vector<float> Poison(OpKernelContext* ctx, const Pass& pass,
                                 const Planes& input, int64_t groups,
                                 Groups<const float> source) {
  const int64_t size = input.plane + kConvSlack;
  std::vector<int32_t> at(input.plane / input.lanes + kConvSlack);
  for (size_t i = 0; i < at.size(); ++i) at[i] = i * input.lanes;
  std::vector<float> poison(groups * size + kConvSlack);
  const std::vector<float> zeros(pass.entry.size());
  RunPass(ctx, pass, zeros.data(), groups, source, {}, {}, {},
          {poison.data(), 0, at.data(), input.lanes},
          [size](int64_t group) { return group * size; });
  return poison;
}

// The plan of a convolution with all connections.
inline std::shared_ptr<const ConvPlan> PlanOfOnes(const Convolution& c,
                                                  int32_t lanes) {
  const int64_t inputs = int64_t{c.kernel_height} * c.kernel_width * c.channels;
  return ConvPlans::Of(Structures::Of(Tensor(), inputs, c.outputs), c, lanes);
}

// Outputs of a convolution; returns whether all are finite. `finite`: whether
// all inputs are. `target` and `offset`: see RunPass.
template <typename Offset>
bool ForwardConvTo(OpKernelContext* ctx, const ConvPlan& plan,
                   const float* packed, const float* bias, bool relu,
                   bool finite, int64_t groups, const float* input,
                   const Target& target, const Offset& offset) {
  const Groups<const float> source{input, plan.input.group};
  std::vector<float> poison;
  if (!finite) {
    Convolution one = plan.shape;
    one.outputs = 1;
    poison = Poison(ctx, PlanOfOnes(one, plan.input.lanes)->forward, plan.input,
                    groups, source);
  }
  Finish finish{};
  finish.bias = bias;
  finish.relu = relu;
  return RunPass(ctx, plan.forward, packed, groups, source, finish, {},
                 {finite ? nullptr : poison.data(),
                  plan.input.plane + kConvSlack},
                 target, offset);
}

// The same in planes `to`. `is_new`: whether the zeros in them have yet to be
// written, here and below.
inline bool ForwardConv(OpKernelContext* ctx, const ConvPlan& plan,
                        const float* packed, const float* bias, bool relu,
                        bool finite, int64_t groups, const float* input,
                        const Planes& to, bool is_new, float* output) {
  if (is_new) {
    ZeroBorders(ctx, to, plan.shape.out_height, plan.shape.out_width, groups,
                groups, output);
  }
  const std::vector<int32_t> at = OutputPlaces(
      plan, [&](int32_t y, int32_t x) { return to.At(y, x); });
  return ForwardConvTo(ctx, plan, packed, bias, relu, finite, groups, input,
                       {output, to.channel(), at.data(), to.lanes},
                       [&](int64_t group) { return group * to.group; });
}

// Gradients of a convolution's inputs, in planes `to`, times ReLU's derivative
// where `state` is what it returned; null: of no activation.
inline bool BackwardConv(OpKernelContext* ctx, const ConvPlan& plan,
                         const float* packed, const float* state, bool finite,
                         int64_t groups, const float* delta, const Planes& to,
                         bool is_new, float* gradient) {
  const Planes& in = plan.input;
  const Groups<const float> source{delta + plan.delta.front, plan.delta.group};
  const Convolution& c = plan.shape;
  if (is_new) {
    const std::vector<int32_t> places = PixelPlaces(c.height, c.width, in);
    const bool has_all = !std::count(places.begin(), places.end(), -1);
    ZeroBorders(ctx, to, c.height, c.width, groups, has_all ? groups : 0,
                gradient);
  }
  bool result = true;
  for (size_t phase = 0; phase < plan.backward.size(); ++phase) {
    std::vector<float> poison;
    if (!finite) {
      Convolution one = plan.shape;
      one.channels = 1;
      poison = Poison(ctx, PlanOfOnes(one, to.lanes)->backward[phase], in,
                      groups, source);
    }
    const std::vector<int32_t> at = PhasePlaces(plan, phase, to);
    Finish finish{};
    finish.slope_plane = in.channel();
    const int64_t first = phase * in.plane;
    result &= RunPass(ctx, plan.backward[phase], packed, groups, source, finish,
                      {state ? state + first : nullptr, in.group},
                      {finite ? nullptr : poison.data(), in.plane + kConvSlack},
                      {gradient, to.channel(), at.data(), to.lanes},
                      [&](int64_t group) { return group * to.group; });
  }
  return result;
}

// Packed gradients of a convolution's weights, and those of its biases, unless
// that is null.
inline void ConvWeightGradient(OpKernelContext* ctx, const ConvPlan& plan,
                               int64_t groups, const float* state,
                               const float* delta, float* of_weights,
                               float* of_biases) {
  const ConvKernels& kernels = BestConvKernels();
  const Pass& pass = plan.forward;
  const int64_t taps = pass.entry.size();
  AlignedFloats room(16 * (taps + pass.units));
  float* sums = room.zeros();
  float* bias_sums = sums + 16 * taps;
  int64_t places = 0;
  for (const Span& span : pass.spans) places += span.size;
  // Each part reads the whole input: no more of them than threads.
  const int64_t parts = std::min<int64_t>(
      NumParts(groups * places * taps),
      std::min(2, tensorflow::port::NumSchedulableCPUs()));
  InParts(ctx, pass.units, parts,
          [&](int64_t first, int64_t last) {
            for (int64_t group = 0; group < groups; ++group) {
              kernels.weight_gradient(
                  pass.taps(), pass.spans.data(), pass.spans.size(), first,
                  last, state + group * plan.input.group,
                  delta + group * plan.delta.group + plan.delta.front,
                  plan.delta.plane, sums, bias_sums);
            }
          });
  std::vector<float> gradient(taps);
  kernels.reduce(sums, taps, gradient.data());
  for (int64_t k = 0; k < taps; ++k) of_weights[pass.entry[k]] = gradient[k];
  if (of_biases) kernels.reduce(bias_sums, pass.units, of_biases);
}

// Calls `work(images, group)` on all groups of a batch of images.
inline void OverImages(
    OpKernelContext* ctx, int64_t batch, int32_t height, int32_t width,
    const Planes& planes, bool by_channel,
    const std::function<void(const Images&, int64_t)>& work) {
  const std::vector<int32_t> at = PixelPlaces(height, width, planes);
  const int64_t groups = CeilDiv(batch, planes.lanes);
  const int64_t pixels = int64_t{height} * width;
  OverGroups(ctx, groups, 1, 10 * batch * pixels * planes.channels,
             [&](int64_t group, int64_t, int64_t) {
               const int64_t first = group * planes.lanes;
               const int64_t examples =
                   std::min<int64_t>(planes.lanes, batch - first);
               work({examples, pixels, planes.channels, at.data(),
                     planes.lanes, planes.channel(), by_channel},
                    group);
             });
}

// Images, times `scale`, in planes; returns whether all are finite. `slope`:
// see ConvKernels::to_planes, or null. `by_channel`: see Images.
inline bool ImagesToPlanes(OpKernelContext* ctx, const Tensor& images,
                           bool by_channel, const Tensor* slope, float scale,
                           const Planes& planes, bool is_new, float* to) {
  const ConvKernels& kernels = BestConvKernels();
  const int64_t batch = images.dim_size(0);
  const int64_t group_size =
      planes.lanes * images.NumElements() / std::max<int64_t>(1, batch);
  const int32_t height = images.dim_size(by_channel ? 2 : 1);
  const int32_t width = images.dim_size(by_channel ? 3 : 2);
  if (is_new) {
    ZeroBorders(ctx, planes, height, width, CeilDiv(batch, planes.lanes),
                batch / planes.lanes, to);
  }
  std::atomic<bool> finite{true};
  OverImages(ctx, batch, height, width, planes, by_channel,
             [&](const Images& group, int64_t index) {
               float* plane = to + index * planes.group;
               const int64_t first = index * group_size;
               if (images.dtype() == tensorflow::DT_UINT8) {
                 const uint8_t* bytes = images.flat<uint8_t>().data() + first;
                 kernels.bytes_to_planes(group, bytes, scale, plane);
               } else if (!kernels.to_planes(
                              group, Data(images) + first,
                              slope ? Data(*slope) + first : nullptr, scale,
                              plane)) {
                 finite = false;
               }
             });
  return finite;
}

inline void PlanesToImages(OpKernelContext* ctx, const float* from,
                           const Planes& planes, Tensor* images) {
  const int64_t batch = images->dim_size(0);
  const int64_t group_size =
      planes.lanes * images->NumElements() / std::max<int64_t>(1, batch);
  OverImages(ctx, batch, images->dim_size(1), images->dim_size(2), planes,
             false, [&](const Images& group, int64_t index) {
               BestConvKernels().from_planes(group, from + index * planes.group,
                                             Data(images) + index * group_size);
             });
}

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_CONV_PASSES_H_
