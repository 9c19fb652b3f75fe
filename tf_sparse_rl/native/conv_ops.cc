// TensorFlow operations for convolutions in a row, and their gradients.
//
// `image` is [height, width, channels] of the input, `layers` has for each
// convolution kernel height and width, outputs and both strides. A mask of no
// entries stands for one of ones. States are what goes into each convolution,
// deltas the gradients of what goes into each activation: planes, see
// conv_shapes.h. A "packed" tensor has one entry per connection, in the order
// of the mask's ones.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "conv.h"
#include "conv_passes.h"
#include "convolutions.h"
#include "packed.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace tf_sparse_rl {
namespace {

using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

bool IsFinite(const Tensor& values) {
  bool finite = true;
  const float* data = Data(values);
  for (int64_t i = 0; i < values.NumElements(); ++i) {
    finite &= data[i] * 0.0f == 0.0f;
  }
  return finite;
}

TensorShape OutputShape(int64_t batch, const Convolution& c) {
  return TensorShape({batch, c.out_height, c.out_width, c.outputs});
}

// What the operations on convolutions have in common.
class ConvKernel : public OpKernel {
 public:
  explicit ConvKernel(OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ReadConvolutions(ctx, &layers_));
    for (const Convolution& c : layers_) {
      OP_REQUIRES(ctx,
                  InputPlanes(c, 16).group < INT32_MAX &&
                      DeltaPlanes(c, 16).group < INT32_MAX,
                  InvalidArgument("An image is too large."));
    }
    if (!ctx->HasAttr("relu")) return;
    OP_REQUIRES_OK(ctx, ctx->GetAttr("relu", &relu_));
    OP_REQUIRES(ctx, relu_.size() == layers_.size(),
                InvalidArgument("Expected one activation a layer."));
  }

 protected:
  const std::vector<Convolution>& layers() const { return layers_; }
  bool relu(size_t layer) const { return relu_[layer]; }

  std::shared_ptr<const ConvPlan> plan(const Tensor& mask, size_t layer,
                                       int64_t batch) const {
    const Convolution& c = layers_[layer];
    return ConvPlans::Of(
        Structures::Of(mask, KernelSize(c) / c.outputs, c.outputs), c,
        ConvLanes(batch));
  }

 private:
  std::vector<Convolution> layers_;
  std::vector<bool> relu_;
};

class ConvStackOp : public ConvKernel {
 public:
  explicit ConvStackOp(OpKernelConstruction* ctx) : ConvKernel(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("scale", &scale_));
  }

  void Compute(OpKernelContext* ctx) override {
    OpInputList weights, biases, masks;
    OpOutputList states, packed;
    OP_REQUIRES_OK(ctx, ctx->input_list("kernels", &weights));
    OP_REQUIRES_OK(ctx, ctx->input_list("biases", &biases));
    OP_REQUIRES_OK(ctx, ctx->input_list("masks", &masks));
    OP_REQUIRES_OK(ctx, ctx->output_list("states", &states));
    OP_REQUIRES_OK(ctx, ctx->output_list("weights", &packed));
    const Tensor& input = ctx->input(0);
    const Convolution& first = layers()[0];
    OP_REQUIRES(ctx,
                input.dims() == 4 && input.dim_size(1) == first.height &&
                    input.dim_size(2) == first.width &&
                    input.dim_size(3) == first.channels,
                InvalidArgument("Expected images of shape [batch, ",
                                first.height, ", ", first.width, ", ",
                                first.channels, "]. Received: ",
                                input.shape().DebugString()));
    for (size_t l = 0; l < layers().size(); ++l) {
      const int64_t size = KernelSize(layers()[l]);
      OP_REQUIRES(ctx,
                  weights[l].NumElements() == size &&
                      biases[l].NumElements() == layers()[l].outputs &&
                      (masks[l].NumElements() == 0 ||
                       masks[l].NumElements() == size),
                  InvalidArgument("Kernel, bias or mask of layer ", l,
                                  " does not fit its sizes."));
    }
    const int64_t batch = input.dim_size(0);
    const int32_t lanes = ConvLanes(batch);
    const int64_t groups = CeilDiv(batch, lanes);
    Planes planes = InputPlanes(first, lanes);
    Tensor plain, *state;
    OP_REQUIRES_OK(ctx, states.allocate(0, {groups * planes.group}, &state));
    bool finite =
        ImagesToPlanes(ctx, input, false, nullptr, scale_, planes, true,
                       Data(state));
    for (size_t l = 0; l < layers().size(); ++l) {
      const auto steps = plan(masks[l], l, batch);
      Tensor active;
      OP_REQUIRES_OK(ctx, Pack(ctx, weights[l], masks[l], layers()[l],
                               &active));
      packed.set(l, active);
      Tensor* next = &plain;
      if (l + 1 < layers().size()) {
        planes = InputPlanes(layers()[l + 1], lanes);
        OP_REQUIRES_OK(ctx,
                       states.allocate(l + 1, {groups * planes.group}, &next));
      } else {
        planes = PlainPlanes(layers()[l].out_height, layers()[l].out_width,
                             layers()[l].outputs, lanes);
        OP_REQUIRES_OK(ctx, ctx->allocate_temp(tensorflow::DT_FLOAT,
                                               {groups * planes.group},
                                               &plain));
      }
      finite = ForwardConv(ctx, *steps, Data(active), Data(biases[l]), relu(l),
                           finite, groups, Data(*state), planes, true,
                           Data(next));
      state = next;
    }
    Tensor* output;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(
                            "output", OutputShape(batch, layers().back()),
                            &output));
    PlanesToImages(ctx, Data(*state), planes, output);
  }

 private:
  static Status Pack(OpKernelContext* ctx, const Tensor& weight,
                     const Tensor& mask, const Convolution& c,
                     Tensor* packed) {
    const auto s = Structures::Of(mask, KernelSize(c) / c.outputs, c.outputs);
    Packed found;
    if (PackedKernels::All().Find(weight, s.get(), &found)) {
      *packed = found.by_input;
      return OkStatus();
    }
    TF_RETURN_IF_ERROR(
        ctx->allocate_temp(tensorflow::DT_FLOAT, {s->nonzero()}, packed));
    PackFrom(Data(weight), *s, Data(packed));
    return OkStatus();
  }

  float scale_;
};

class ConvDeltasOp : public ConvKernel {
 public:
  using ConvKernel::ConvKernel;

  void Compute(OpKernelContext* ctx) override {
    OpInputList states, packed, masks;
    OpOutputList deltas;
    OP_REQUIRES_OK(ctx, ctx->input_list("states", &states));
    OP_REQUIRES_OK(ctx, ctx->input_list("weights", &packed));
    OP_REQUIRES_OK(ctx, ctx->input_list("masks", &masks));
    OP_REQUIRES_OK(ctx, ctx->output_list("deltas", &deltas));
    const Tensor &gradient = ctx->input(0), &output = ctx->input(1);
    OP_REQUIRES(ctx, gradient.shape() == output.shape(),
                InvalidArgument("Expected the gradient of the output."));
    const int64_t batch = gradient.dim_size(0);
    const int32_t lanes = ConvLanes(batch);
    const int64_t groups = CeilDiv(batch, lanes);
    const size_t top = layers().size() - 1;
    Planes planes = DeltaPlanes(layers()[top], lanes);
    Tensor *delta, *below;
    OP_REQUIRES_OK(ctx,
                   deltas.allocate(top, {groups * planes.group}, &delta));
    bool finite =
        ImagesToPlanes(ctx, gradient, false, relu(top) ? &output : nullptr,
                       1.0f, planes, true, Data(delta));
    for (size_t l = top; l > 0; --l) {
      planes = DeltaPlanes(layers()[l - 1], lanes);
      OP_REQUIRES_OK(ctx,
                     deltas.allocate(l - 1, {groups * planes.group}, &below));
      finite = BackwardConv(ctx, *plan(masks[l], l, batch), Data(packed[l]),
                            relu(l - 1) ? Data(states[l]) : nullptr, finite,
                            groups, Data(*delta), planes, true, Data(below));
      delta = below;
    }
  }
};

// The gradient of the first convolution's input, in images.
class ConvInputGradientOp : public ConvKernel {
 public:
  using ConvKernel::ConvKernel;

  void Compute(OpKernelContext* ctx) override {
    const Convolution& c = layers()[0];
    const int64_t batch = ctx->input(3).dim_size(0);
    const int32_t lanes = ConvLanes(batch);
    const int64_t groups = CeilDiv(batch, lanes);
    const Planes planes = PlainPlanes(c.height, c.width, c.channels, lanes);
    const Tensor& delta = ctx->input(0);
    Tensor plain, *gradient;
    OP_REQUIRES_OK(ctx, ctx->allocate_temp(tensorflow::DT_FLOAT,
                                           {groups * planes.group}, &plain));
    OP_REQUIRES_OK(ctx,
                   ctx->allocate_output(
                       0, {batch, c.height, c.width, c.channels}, &gradient));
    BackwardConv(ctx, *plan(ctx->input(2), 0, batch), Data(ctx->input(1)),
                 nullptr, IsFinite(delta), groups, Data(delta), planes, true,
                 Data(&plain));
    PlanesToImages(ctx, Data(&plain), planes, gradient);
  }
};

// Packed gradients of the active weights, and those of the biases.
class ConvWeightGradientsOp : public ConvKernel {
 public:
  using ConvKernel::ConvKernel;

  void Compute(OpKernelContext* ctx) override {
    OpInputList states, deltas, masks;
    OpOutputList of_weights, of_biases;
    OP_REQUIRES_OK(ctx, ctx->input_list("states", &states));
    OP_REQUIRES_OK(ctx, ctx->input_list("deltas", &deltas));
    OP_REQUIRES_OK(ctx, ctx->input_list("masks", &masks));
    OP_REQUIRES_OK(ctx, ctx->output_list("of_weights", &of_weights));
    OP_REQUIRES_OK(ctx, ctx->output_list("of_biases", &of_biases));
    const Tensor* output;
    OP_REQUIRES_OK(ctx, ctx->input("output", &output));
    const int64_t batch = output->dim_size(0);
    for (size_t l = 0; l < layers().size(); ++l) {
      const auto steps = plan(masks[l], l, batch);
      Tensor *weights, *biases;
      const int64_t nonzero = steps->forward.entry.size();
      OP_REQUIRES_OK(ctx, of_weights.allocate(l, {nonzero}, &weights));
      OP_REQUIRES_OK(ctx,
                     of_biases.allocate(l, {layers()[l].outputs}, &biases));
      ConvWeightGradient(ctx, *steps, CeilDiv(batch, ConvLanes(batch)),
                         Data(states[l]), Data(deltas[l]), Data(weights),
                         Data(biases));
    }
  }
};

// The gradient of all weights of one convolution, active or not.
class ConvDenseGradientOp : public ConvKernel {
 public:
  using ConvKernel::ConvKernel;

  void Compute(OpKernelContext* ctx) override {
    const Convolution& c = layers()[0];
    const int64_t batch = ctx->input(2).dim_size(0);
    Tensor* gradient;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0,
                                             {c.kernel_height, c.kernel_width,
                                              c.channels, c.outputs},
                                             &gradient));
    ConvWeightGradient(ctx, *plan(Tensor(), 0, batch),
                       CeilDiv(batch, ConvLanes(batch)), Data(ctx->input(0)),
                       Data(ctx->input(1)), Data(gradient), nullptr);
  }
};

Status ConvStackShape(InferenceContext* c) {
  std::vector<Convolution> layers;
  TF_RETURN_IF_ERROR(ReadConvolutions(c, &layers));
  ShapeHandle input;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &input));
  for (int i = 0; i < c->num_outputs(); ++i) {
    c->set_output(i, c->UnknownShapeOfRank(1));
  }
  const Convolution& last = layers.back();
  c->set_output(0, c->MakeShape({c->Dim(input, 0),
                                 c->MakeDim(last.out_height),
                                 c->MakeDim(last.out_width),
                                 c->MakeDim(last.outputs)}));
  return OkStatus();
}

Status ConvInputGradientShape(InferenceContext* c) {
  std::vector<Convolution> layers;
  TF_RETURN_IF_ERROR(ReadConvolutions(c, &layers));
  const Convolution& first = layers[0];
  c->set_output(0, c->MakeShape({c->Dim(c->input(3), 0),
                                 c->MakeDim(first.height),
                                 c->MakeDim(first.width),
                                 c->MakeDim(first.channels)}));
  return OkStatus();
}

Status ConvWeightGradientsShape(InferenceContext* c) {
  std::vector<Convolution> layers;
  TF_RETURN_IF_ERROR(ReadConvolutions(c, &layers));
  for (size_t l = 0; l < layers.size(); ++l) {
    c->set_output(l, c->UnknownShapeOfRank(1));
    c->set_output(layers.size() + l, c->Vector(layers[l].outputs));
  }
  return OkStatus();
}

Status ConvDenseGradientShape(InferenceContext* c) {
  std::vector<Convolution> layers;
  TF_RETURN_IF_ERROR(ReadConvolutions(c, &layers));
  const Convolution& first = layers[0];
  c->set_output(0, c->MakeShape({c->MakeDim(first.kernel_height),
                                 c->MakeDim(first.kernel_width),
                                 c->MakeDim(first.channels),
                                 c->MakeDim(first.outputs)}));
  return OkStatus();
}

Status ConvDeltasShape(InferenceContext* c) {
  for (int i = 0; i < c->num_outputs(); ++i) {
    c->set_output(i, c->UnknownShapeOfRank(1));
  }
  return OkStatus();
}

REGISTER_OP("TfSparseRlConvStack")
    .Input("input: T")
    .Input("kernels: N * float")
    .Input("biases: N * float")
    .Input("masks: N * float")
    .Output("output: float")
    .Output("states: N * float")
    .Output("weights: N * float")  // packed
    .Attr("N: int >= 1")
    .Attr("T: {float, uint8}")
    .Attr("scale: float")  // of the input
    .Attr("image: list(int)")
    .Attr("layers: list(int)")
    .Attr("same: list(bool)")
    .Attr("relu: list(bool)")
    .SetShapeFn(ConvStackShape);

REGISTER_OP("TfSparseRlConvDeltas")
    .Input("output_gradient: float")
    .Input("output: float")
    .Input("states: N * float")
    .Input("weights: N * float")
    .Input("masks: N * float")
    .Output("deltas: N * float")
    .Attr("N: int >= 1")
    .Attr("image: list(int)")
    .Attr("layers: list(int)")
    .Attr("same: list(bool)")
    .Attr("relu: list(bool)")
    .SetShapeFn(ConvDeltasShape);

REGISTER_OP("TfSparseRlConvInputGradient")
    .Input("delta: float")
    .Input("weights: float")
    .Input("mask: float")
    .Input("output: float")  // for its batch size, here and below
    .Output("gradient: float")
    .Attr("image: list(int)")
    .Attr("layers: list(int)")
    .Attr("same: list(bool)")
    .SetShapeFn(ConvInputGradientShape);

REGISTER_OP("TfSparseRlConvWeightGradients")
    .Input("states: N * float")
    .Input("deltas: N * float")
    .Input("masks: N * float")
    .Input("output: float")
    .Output("of_weights: N * float")
    .Output("of_biases: N * float")
    .Attr("N: int >= 1")
    .Attr("image: list(int)")
    .Attr("layers: list(int)")
    .Attr("same: list(bool)")
    .SetShapeFn(ConvWeightGradientsShape);

REGISTER_OP("TfSparseRlConvDenseGradient")
    .Input("state: float")
    .Input("delta: float")
    .Input("output: float")
    .Output("gradient: float")
    .Attr("image: list(int)")
    .Attr("layers: list(int)")
    .Attr("same: list(bool)")
    .SetShapeFn(ConvDenseGradientShape);

#define REGISTER(name, kernel) \
  REGISTER_KERNEL_BUILDER(Name(name).Device(tensorflow::DEVICE_CPU), kernel)
REGISTER("TfSparseRlConvStack", ConvStackOp);
REGISTER("TfSparseRlConvDeltas", ConvDeltasOp);
REGISTER("TfSparseRlConvInputGradient", ConvInputGradientOp);
REGISTER("TfSparseRlConvWeightGradients", ConvWeightGradientsOp);
REGISTER("TfSparseRlConvDenseGradient", ConvDenseGradientOp);

}  // namespace
}  // namespace tf_sparse_rl
