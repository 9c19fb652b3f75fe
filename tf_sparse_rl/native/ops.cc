// TensorFlow operations for runs of sparse dense layers, their gradients, and
// the updates of their weights.
//
// A stack is what consecutive layers do: units of the input and of each layer
// are its `sizes`. A mask of no entries stands for one of ones. "Blocks" are
// explained in kernels.h; a "packed" tensor has one entry per connection, in
// the order of the mask's ones.

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels.h"
#include "packed.h"
#include "passes.h"
#include "single.h"
#include "structure.h"
#include "top_k.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace tf_sparse_rl {
namespace {

using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

// What the operations on a stack have in common.
class StackKernel : public OpKernel {
 public:
  explicit StackKernel(OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("sizes", &sizes_));
    OP_REQUIRES(ctx, sizes_.size() >= 2,
                InvalidArgument("Expected the sizes of at least one layer."));
    if (!ctx->HasAttr("activations")) return;
    std::vector<std::string> names;
    OP_REQUIRES_OK(ctx, ctx->GetAttr("activations", &names));
    OP_REQUIRES(ctx, names.size() == num_layers(),
                InvalidArgument("Expected one activation a layer."));
    for (const std::string& name : names) {
      bool known = true;
      activations_.push_back(ActivationNamed(name, &known));
      OP_REQUIRES(ctx, known, InvalidArgument("Unknown activation: ", name));
    }
  }

 protected:
  size_t num_layers() const { return sizes_.size() - 1; }
  const std::vector<int64_t>& sizes() const { return sizes_; }
  Activation activation(size_t layer) const { return activations_[layer]; }

  std::shared_ptr<const Structure> structure(const Tensor& mask,
                                             size_t layer) const {
    return Structures::Of(mask, sizes_[layer], sizes_[layer + 1]);
  }

  // Whether a mask has the shape of its layer.
  bool Fits(const Tensor& mask, size_t layer) const {
    const int64_t size = sizes_[layer] * sizes_[layer + 1];
    return mask.NumElements() == 0 || mask.NumElements() == size;
  }

 private:
  std::vector<int64_t> sizes_;
  std::vector<Activation> activations_;
};

class StackOp : public StackKernel {
 public:
  using StackKernel::StackKernel;

  void Compute(OpKernelContext* ctx) override {
    const Kernels& kernels = BestKernels();
    OpInputList weights, biases, masks;
    OpOutputList states, packed;
    OP_REQUIRES_OK(ctx, ctx->input_list("kernels", &weights));
    OP_REQUIRES_OK(ctx, ctx->input_list("biases", &biases));
    OP_REQUIRES_OK(ctx, ctx->input_list("masks", &masks));
    OP_REQUIRES_OK(ctx, ctx->output_list("states", &states));
    OP_REQUIRES_OK(ctx, ctx->output_list("weights", &packed));
    const Tensor& input = ctx->input(0);
    OP_REQUIRES(
        ctx, input.dims() == 2 && input.dim_size(1) == sizes()[0],
        InvalidArgument("Expected an input of shape [batch, ", sizes()[0],
                        "]. Received: ", input.shape().DebugString()));
    for (size_t l = 0; l < num_layers(); ++l) {
      OP_REQUIRES(ctx,
                  weights[l].NumElements() == sizes()[l] * sizes()[l + 1] &&
                      biases[l].NumElements() == sizes()[l + 1] &&
                      Fits(masks[l], l),
                  InvalidArgument("Kernel, bias or mask of layer ", l,
                                  " does not fit sizes."));
    }
    const int64_t batch = input.dim_size(0);
    const int64_t padded = PaddedBatch(batch);

    Tensor* state;
    OP_REQUIRES_OK(ctx, states.allocate(0, {padded * sizes()[0]}, &state));
    kernels.to_blocks(Data(input), batch, sizes()[0], Data(state));
    for (size_t l = 0; l < num_layers(); ++l) {
      const auto s = structure(masks[l], l);
      Packed weight;
      if (!PackedKernels::All().Find(weights[l], s.get(), &weight)) {
        OP_REQUIRES_OK(ctx, Allocate(ctx, s, &weight));
        PackFrom(Data(weights[l]), *s, Data(&weight.by_input));
        FillByOutput(&weight);
      } else if (weight.by_output.NumElements() == 0) {  // It has rested.
        OP_REQUIRES_OK(ctx, Complete(ctx, &weight));
        PackedKernels::All().Keep(weights[l], weight);
      }
      packed.set(l, weight.by_input);
      Tensor* next;
      const TensorShape shape({padded * sizes()[l + 1]});
      if (l + 1 < num_layers()) {
        OP_REQUIRES_OK(ctx, states.allocate(l + 1, shape, &next));
      } else {
        OP_REQUIRES_OK(ctx, ctx->allocate_output("last", shape, &next));
      }
      if (batch == 1) {
        ForwardSingle(*s, Data(weight.by_input), Data(biases[l]), activation(l),
                      Data(*state), Data(next));
      } else {
        ForwardLayer(ctx, *s, Data(weight.by_output), Data(biases[l]),
                     activation(l), batch, Data(*state), Data(next));
      }
      state = next;
    }
    Tensor* output;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(
                            "output", {batch, sizes().back()}, &output));
    kernels.from_blocks(Data(*state), batch, sizes().back(), Data(output));
  }
};

// From the gradient of a stack's output to those of what goes into each layer's
// activation, its "deltas", in blocks.
class DeltasOp : public StackKernel {
 public:
  using StackKernel::StackKernel;

  void Compute(OpKernelContext* ctx) override {
    const Kernels& kernels = BestKernels();
    OpInputList states, packed, masks;
    OpOutputList deltas;
    OP_REQUIRES_OK(ctx, ctx->input_list("states", &states));
    OP_REQUIRES_OK(ctx, ctx->input_list("weights", &packed));
    OP_REQUIRES_OK(ctx, ctx->input_list("masks", &masks));
    OP_REQUIRES_OK(ctx, ctx->output_list("deltas", &deltas));
    const Tensor& gradient = ctx->input(0);
    const Tensor* last;
    OP_REQUIRES_OK(ctx, ctx->input("last", &last));
    const int64_t batch = gradient.dim_size(0);
    const int64_t padded = PaddedBatch(batch);

    const size_t top = num_layers() - 1;
    const TensorShape shape({padded * sizes()[top + 1]});
    Tensor *delta, *below;
    OP_REQUIRES_OK(ctx, deltas.allocate(top, shape, &delta));
    kernels.to_blocks(Data(gradient), batch, sizes()[top + 1], Data(delta));
    if (activation(top) != Activation::kLinear) {
      kernels.through(activation(top), shape.num_elements(), Data(delta),
                      Data(*last), Data(delta));
    }
    for (size_t l = top; l > 0; --l) {
      const auto s = structure(masks[l], l);
      OP_REQUIRES_OK(ctx,
                     deltas.allocate(l - 1, {padded * sizes()[l]}, &below));
      BackwardLayer(ctx, *s, Data(packed[l]), activation(l - 1), batch,
                    Data(*delta), Data(states[l]), 0, s->inputs, Data(below));
      delta = below;
    }
  }
};

// The gradient of a stack's input, `[batch, units]`.
class InputGradientOp : public StackKernel {
 public:
  using StackKernel::StackKernel;

  void Compute(OpKernelContext* ctx) override {
    const Kernels& kernels = BestKernels();
    const Tensor& delta = ctx->input(0);
    const auto s = structure(ctx->input(2), 0);
    const int64_t batch = ctx->input(3).dim_size(0);
    Tensor blocks, *gradient;
    OP_REQUIRES_OK(
        ctx, ctx->allocate_temp(tensorflow::DT_FLOAT,
                                {PaddedBatch(batch) * s->inputs}, &blocks));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, {batch, s->inputs}, &gradient));
    BackwardLayer(ctx, *s, Data(ctx->input(1)), Activation::kLinear, batch,
                  Data(delta), nullptr, 0, s->inputs, Data(&blocks));
    kernels.from_blocks(Data(&blocks), batch, s->inputs, Data(gradient));
  }
};

// Packed gradients of the active weights, and those of the biases.
class WeightGradientsOp : public StackKernel {
 public:
  using StackKernel::StackKernel;

  void Compute(OpKernelContext* ctx) override {
    const Kernels& kernels = BestKernels();
    OpInputList states, deltas, masks;
    OpOutputList of_weights, of_biases;
    OP_REQUIRES_OK(ctx, ctx->input_list("states", &states));
    OP_REQUIRES_OK(ctx, ctx->input_list("deltas", &deltas));
    OP_REQUIRES_OK(ctx, ctx->input_list("masks", &masks));
    OP_REQUIRES_OK(ctx, ctx->output_list("of_weights", &of_weights));
    OP_REQUIRES_OK(ctx, ctx->output_list("of_biases", &of_biases));
    const int64_t padded = states[0].NumElements() / sizes()[0];
    for (size_t l = 0; l < num_layers(); ++l) {
      const auto s = structure(masks[l], l);
      Tensor *weights, *biases;
      OP_REQUIRES_OK(ctx, of_weights.allocate(l, {s->nonzero()}, &weights));
      OP_REQUIRES_OK(ctx, of_biases.allocate(l, {s->outputs}, &biases));
      WeightGradient(ctx, *s, padded, Data(states[l]), Data(deltas[l]),
                     Data(weights));
      kernels.bias_gradient(padded, s->outputs, Data(deltas[l]), Data(biases));
    }
  }
};

// The gradient of all weights of one layer, active or not.
class DenseGradientOp : public StackKernel {
 public:
  using StackKernel::StackKernel;

  void Compute(OpKernelContext* ctx) override {
    Tensor* gradient;
    OP_REQUIRES_OK(
        ctx, ctx->allocate_output(0, {sizes()[0], sizes()[1]}, &gradient));
    const int64_t padded = ctx->input(0).NumElements() / sizes()[0];
    BestKernels().dense_gradient(padded, sizes()[0], sizes()[1], 0, sizes()[0],
                                 Data(ctx->input(0)), Data(ctx->input(1)),
                                 Data(gradient));
  }
};

// The active entries of a kernel or of its gradient.
class PackOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    const Tensor& dense = ctx->input(0);
    std::shared_ptr<const Structure> s;
    OP_REQUIRES_OK(ctx, StructureOf(ctx->input(1), dense, &s));
    Tensor* result;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, {s->nonzero()}, &result));
    PackFrom(Data(dense), *s, Data(result));
  }
};

// The sum of the squares of a kernel's active entries.
class SumOfSquaresOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    const Tensor& kernel = ctx->input(0);
    std::shared_ptr<const Structure> s;
    OP_REQUIRES_OK(ctx, StructureOf(ctx->input(1), kernel, &s));
    double total = 0;
    for (int64_t i = 0; i < s->inputs; ++i) {
      const float* row = Data(kernel) + i * s->outputs;
      float sum = 0;
      for (int64_t k = s->input_begin[i]; k < s->input_begin[i + 1]; ++k) {
        sum += row[s->output[k]] * row[s->output[k]];
      }
      total += sum;
    }
    Tensor* result;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, {}, &result));
    result->scalar<float>()() = static_cast<float>(total);
  }
};

// One Adam step of several variables. Where there is a mask, the gradient is
// packed and only the active entries count: the others are 0. They are read from
// where they lie packed, since a load from all over memory has to be waited for,
// and written to the variables as well, for anybody to read.
class AdamOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    OpInputList gradients, masks, decays;
    OP_REQUIRES_OK(ctx, ctx->input_list("gradients", &gradients));
    OP_REQUIRES_OK(ctx, ctx->input_list("masks", &masks));
    OP_REQUIRES_OK(ctx, ctx->input_list("decays", &decays));
    const int count = gradients.size();
    Variables variables;
    OP_REQUIRES_OK(ctx, variables.Open(ctx, 0, 3 * count));
    const auto scalar = [ctx](const char* name) {
      const Tensor* value;
      TF_CHECK_OK(ctx->input(name, &value));
      return value->scalar<float>()();
    };
    const Tensor* train_step;
    OP_REQUIRES_OK(ctx, ctx->input("train_step", &train_step));
    const AdamStep step = AdamStepOf(
        scalar("learning_rate"), scalar("beta_1"), scalar("beta_2"),
        scalar("epsilon"), train_step->scalar<int64_t>()());

    for (int i = 0; i < count; ++i) {
      const int of_m = count + i, of_v = 2 * count + i;
      const Tensor& value = variables[i];
      const bool is_masked = masks[i].NumElements() > 0;
      std::shared_ptr<const Structure> s;
      Packed packed, m, v;
      if (is_masked) {
        OP_REQUIRES_OK(ctx, StructureOf(masks[i], value, &s));
        OP_REQUIRES_OK(ctx, TakePacked(ctx, value, s, &packed));
        OP_REQUIRES_OK(ctx, Complete(ctx, &packed));
        OP_REQUIRES_OK(ctx, TakePacked(ctx, variables[of_m], s, &m));
        OP_REQUIRES_OK(ctx, TakePacked(ctx, variables[of_v], s, &v));
      }
      OP_REQUIRES(ctx,
                  gradients[i].NumElements() ==
                      (is_masked ? s->nonzero() : value.NumElements()),
                  InvalidArgument("Gradient ", i, " does not fit."));
      float *to, *to_m, *to_v;
      OP_REQUIRES_OK(ctx, variables.Write(ctx, i, &to));
      OP_REQUIRES_OK(ctx, variables.Write(ctx, of_m, &to_m));
      OP_REQUIRES_OK(ctx, variables.Write(ctx, of_v, &to_v));
      const float decay = decays[i].scalar<float>()();
      const float* gradient = Data(gradients[i]);
      if (!is_masked) {
        BestKernels().adam(step, decay, value.NumElements(), gradient, to,
                           to_m, to_v);
        continue;
      }
      float *entry, *by_output;
      OP_REQUIRES_OK(ctx, ForWriting(ctx, &packed.by_input, &entry));
      OP_REQUIRES_OK(ctx, ForWriting(ctx, &packed.by_output, &by_output));
      float *entry_m = Data(&m.by_input), *entry_v = Data(&v.by_input);
      // Its moments and itself would leave no room in a cache for others.
      const bool is_big = value.TotalBytes() >= (8 << 20);
      const int64_t words = s->active.size() / s->inputs;
      const auto unpack = [&](int64_t first, int64_t last) {
        for (const auto& [from, kernel] :
             {std::pair(entry, to), {entry_m, to_m}, {entry_v, to_v}}) {
          BestKernels().unpack(
              last - first, s->outputs, s->input_begin.data() + first,
              s->output.data(), s->active.data() + first * words, from, is_big,
              kernel + first * s->outputs);
        }
      };
      AdamPacked(ctx, {step, decay, *s, entry, by_output, entry_m, entry_v},
                 gradient, unpack);
      variables.KeepPacked(i, std::move(packed));
      variables.KeepPacked(of_m, std::move(m));
      variables.KeepPacked(of_v, std::move(v));
    }
  }
};

// Keeps the packed weights of a kernel that has been assigned.
class KeepPackedOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    Variables variables;
    OP_REQUIRES_OK(ctx, variables.Open(ctx, 0, 1));
    const Tensor& kernel = variables[0];
    std::shared_ptr<const Structure> s;
    OP_REQUIRES_OK(ctx, StructureOf(ctx->input(1), kernel, &s));
    Packed packed;
    OP_REQUIRES_OK(ctx, Allocate(ctx, s, &packed));
    PackFrom(Data(kernel), *packed.structure, Data(&packed.by_input));
    FillByOutput(&packed);
    PackedKernels::All().Keep(kernel, std::move(packed));
  }
};

// target = keep * target + take * source for several variables; where there is
// a mask, of its active entries alone.
class SoftUpdateOp : public OpKernel {
 public:
  explicit SoftUpdateOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("keep", &keep_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("take", &take_));
  }

  void Compute(OpKernelContext* ctx) override {
    OpInputList masks, sources;
    OP_REQUIRES_OK(ctx, ctx->input_list("masks", &masks));
    OP_REQUIRES_OK(ctx, ctx->input_list("sources", &sources));
    Variables targets;
    OP_REQUIRES_OK(ctx, targets.Open(ctx, 0, masks.size()));
    for (int i = 0; i < masks.size(); ++i) {
      const Tensor& value = targets[i];
      OP_REQUIRES(ctx, sources[i].NumElements() == value.NumElements(),
                  InvalidArgument("Source ", i, " does not fit."));
      float* target;
      if (masks[i].NumElements() == 0) {
        OP_REQUIRES_OK(ctx, targets.Write(ctx, i, &target));
        const float* source = Data(sources[i]);
        for (int64_t k = 0; k < value.NumElements(); ++k) {
          target[k] = Mix(target[k], source[k]);
        }
        continue;
      }
      std::shared_ptr<const Structure> s;
      OP_REQUIRES_OK(ctx, StructureOf(masks[i], value, &s));
      Packed source, mixed;
      OP_REQUIRES_OK(ctx, Allocate(ctx, s, &mixed));
      float* packed = Data(&mixed.by_input);
      if (!PackedKernels::All().Find(sources[i], s.get(), &source)) {
        OP_REQUIRES_OK(ctx, Allocate(ctx, s, &source));
        PackFrom(Data(sources[i]), *s, Data(&source.by_input));
      }
      PackedKernels::All().Forget(value);
      OP_REQUIRES_OK(ctx, targets.Write(ctx, i, &target));
      for (int64_t row = 0; row < s->inputs; ++row, target += s->outputs) {
        for (int64_t k = s->input_begin[row]; k < s->input_begin[row + 1];
             ++k) {
          float& entry = target[s->output[k]];
          entry = packed[k] = Mix(entry, Data(source.by_input)[k]);
        }
      }
      FillByOutput(&mixed);
      PackedKernels::All().Keep(value, std::move(mixed));
    }
  }

 private:
  float Mix(float target, float source) const {
    return keep_ * target + take_ * source;
  }

  float keep_, take_;
};

// mask_ops.top_k_mask, without tensors of its size in between.
class TopKMaskOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    const Tensor &scores = ctx->input(0), &eligible = ctx->input(2);
    const int64_t size = scores.NumElements();
    OP_REQUIRES(ctx, eligible.NumElements() == size,
                InvalidArgument("Expected as many scores as eligible."));
    const float* score = Data(scores);
    const bool* may = eligible.flat<bool>().data();
    Tensor* result;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, scores.shape(), &result));
    bool* marked = result->flat<bool>().data();
    std::fill_n(marked, size, false);
    MarkTopK(
        size, ctx->input(1).scalar<int32_t>()(),
        [&](int64_t i) { return score[i]; }, [&](int64_t i) { return may[i]; },
        [&](int64_t i) { marked[i] = true; });
  }
};

Status StackShape(InferenceContext* c) {
  std::vector<int64_t> sizes;
  TF_RETURN_IF_ERROR(c->GetAttr("sizes", &sizes));
  ShapeHandle input;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &input));
  for (int i = 0; i < c->num_outputs(); ++i) {
    c->set_output(i, c->UnknownShapeOfRank(1));
  }
  c->set_output(0, c->Matrix(c->Dim(input, 0), sizes.back()));
  return OkStatus();
}

Status InputGradientShape(InferenceContext* c) {
  std::vector<int64_t> sizes;
  TF_RETURN_IF_ERROR(c->GetAttr("sizes", &sizes));
  c->set_output(0, c->Matrix(c->Dim(c->input(3), 0), sizes[0]));
  return OkStatus();
}

Status WeightGradientsShape(InferenceContext* c) {
  std::vector<int64_t> sizes;
  TF_RETURN_IF_ERROR(c->GetAttr("sizes", &sizes));
  const int layers = static_cast<int>(sizes.size()) - 1;
  for (int l = 0; l < layers; ++l) {
    c->set_output(l, c->UnknownShapeOfRank(1));
    c->set_output(layers + l, c->Vector(sizes[l + 1]));
  }
  return OkStatus();
}

Status DenseGradientShape(InferenceContext* c) {
  std::vector<int64_t> sizes;
  TF_RETURN_IF_ERROR(c->GetAttr("sizes", &sizes));
  c->set_output(0, c->Matrix(sizes[0], sizes[1]));
  return OkStatus();
}

Status BlocksShape(InferenceContext* c) {
  for (int i = 0; i < c->num_outputs(); ++i) {
    c->set_output(i, c->UnknownShapeOfRank(1));
  }
  return OkStatus();
}

REGISTER_OP("TfSparseRlStack")
    .Input("input: float")
    .Input("kernels: N * float")
    .Input("biases: N * float")
    .Input("masks: N * float")
    .Output("output: float")
    .Output("states: N * float")  // what goes into each layer, in blocks
    .Output("last: float")        // the output, in blocks
    .Output("weights: N * float")  // packed
    .Attr("N: int >= 1")
    .Attr("sizes: list(int)")
    .Attr("activations: list(string)")
    .SetShapeFn(StackShape);

REGISTER_OP("TfSparseRlDeltas")
    .Input("output_gradient: float")
    .Input("states: N * float")
    .Input("last: float")
    .Input("weights: N * float")
    .Input("masks: N * float")
    .Output("deltas: N * float")
    .Attr("N: int >= 1")
    .Attr("sizes: list(int)")
    .Attr("activations: list(string)")
    .SetShapeFn(BlocksShape);

REGISTER_OP("TfSparseRlInputGradient")
    .Input("delta: float")
    .Input("weights: float")
    .Input("mask: float")
    .Input("output_gradient: float")  // for its batch size
    .Output("gradient: float")
    .Attr("sizes: list(int)")
    .SetShapeFn(InputGradientShape);

REGISTER_OP("TfSparseRlWeightGradients")
    .Input("states: N * float")
    .Input("deltas: N * float")
    .Input("masks: N * float")
    .Output("of_weights: N * float")
    .Output("of_biases: N * float")
    .Attr("N: int >= 1")
    .Attr("sizes: list(int)")
    .SetShapeFn(WeightGradientsShape);

REGISTER_OP("TfSparseRlDenseGradient")
    .Input("state: float")
    .Input("delta: float")
    .Output("gradient: float")
    .Attr("sizes: list(int)")
    .SetShapeFn(DenseGradientShape);

REGISTER_OP("TfSparseRlPack")
    .Input("dense: float")
    .Input("mask: float")
    .Output("packed: float")
    .SetShapeFn(BlocksShape);

REGISTER_OP("TfSparseRlSumOfSquares")
    .Input("kernel: float")
    .Input("mask: float")
    .Output("sum: float")
    .SetShapeFn(tensorflow::shape_inference::ScalarShape);

REGISTER_OP("TfSparseRlAdam")
    .Input("variables: N * resource")
    .Input("m: N * resource")
    .Input("v: N * resource")
    .Input("gradients: N * float")
    .Input("masks: N * float")
    .Input("decays: N * float")  // added to a gradient, times the variable
    .Input("learning_rate: float")
    .Input("beta_1: float")
    .Input("beta_2: float")
    .Input("epsilon: float")
    .Input("train_step: int64")  // train steps done before this one
    .Attr("N: int >= 1")
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::NoOutputs);

REGISTER_OP("TfSparseRlKeepPacked")
    .Input("kernel: resource")
    .Input("mask: float")
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::NoOutputs);

REGISTER_OP("TfSparseRlSoftUpdate")
    .Input("targets: N * resource")
    .Input("sources: N * float")
    .Input("masks: N * float")
    .Attr("N: int >= 1")
    .Attr("keep: float")
    .Attr("take: float")
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::NoOutputs);

REGISTER_OP("TfSparseRlTopKMask")
    .Input("scores: float")
    .Input("k: int32")
    .Input("eligible: bool")
    .Output("marked: bool")
    .SetShapeFn(tensorflow::shape_inference::UnchangedShape);

#define REGISTER(name, kernel) \
  REGISTER_KERNEL_BUILDER(Name(name).Device(tensorflow::DEVICE_CPU), kernel)
REGISTER("TfSparseRlStack", StackOp);
REGISTER("TfSparseRlDeltas", DeltasOp);
REGISTER("TfSparseRlInputGradient", InputGradientOp);
REGISTER("TfSparseRlWeightGradients", WeightGradientsOp);
REGISTER("TfSparseRlDenseGradient", DenseGradientOp);
REGISTER("TfSparseRlPack", PackOp);
REGISTER("TfSparseRlSumOfSquares", SumOfSquaresOp);
REGISTER("TfSparseRlAdam", AdamOp);
REGISTER("TfSparseRlKeepPacked", KeepPackedOp);
REGISTER("TfSparseRlSoftUpdate", SoftUpdateOp);
REGISTER("TfSparseRlTopKMask", TopKMaskOp);

}  // namespace
}  // namespace tf_sparse_rl
