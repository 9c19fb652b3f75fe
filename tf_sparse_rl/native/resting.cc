// TensorFlow's reads of variables, for those that rest too.
//
// Kernels of a higher priority than TensorFlow's own, for variables on the CPU.
// They do the same; a variable that rests gets its tensor first, and counts as
// initialized. What else takes a variable's tensor as it is finds none.

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "packed.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor_util.h"
#include "tensorflow/core/util/tensor_bundle/tensor_bundle.h"

namespace tf_sparse_rl {
namespace {

// Whether variables that rest seem to have no value, in this thread.
thread_local bool are_hidden = false;

Status Find(OpKernelContext* ctx, VarPtr* variable) {
  const auto& handle = tensorflow::HandleFromInput(ctx, 0);
  const auto status = tensorflow::LookupResource(ctx, handle, variable);
  if (status.ok()) return status;
  return tensorflow::errors::FailedPrecondition(
      "Could not find variable ", handle.name(),
      ". It has been deleted, or was never initialized. ", status.ToString());
}

Status Lookup(OpKernelContext* ctx, const Tensor& handle, VarPtr* variable) {
  return tensorflow::LookupResource(
      ctx, handle.scalar<tensorflow::ResourceHandle>()(), variable);
}

class ReadOp : public OpKernel {
 public:
  explicit ReadOp(OpKernelConstruction* ctx) : OpKernel(ctx) {}

  void Compute(OpKernelContext* ctx) override {
    VarPtr variable;
    OP_REQUIRES_OK(ctx, Find(ctx, &variable));
    {
      tensorflow::tf_shared_lock lock(*variable->mu());
      if (variable->is_initialized) return Read(ctx, variable.get());
    }
    tensorflow::mutex_lock lock(*variable->mu());
    OP_REQUIRES_OK(ctx, Resting::All().Wake(ctx, variable.get()));
    Read(ctx, variable.get());
  }

 private:
  void Read(OpKernelContext* ctx, Var* variable) {
    const Tensor& value = *variable->tensor();
    OP_REQUIRES(ctx, value.dtype() == tensorflow::DT_FLOAT,
                InvalidArgument("Trying to read variable with wrong dtype. "
                                "Expected float. Received: ",
                                tensorflow::DataTypeString(value.dtype())));
    if (!variable->copy_on_read_mode.load()) return ctx->set_output(0, value);
    Tensor* copy;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, value.shape(), &copy));
    std::memcpy(Data(copy), Data(value), value.TotalBytes());
  }
};

// Checkpoints leave out what this says has no value.
class IsInitializedOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    VarPtr variable;
    bool has_value = false;
    if (Find(ctx, &variable).ok()) {
      tensorflow::tf_shared_lock lock(*variable->mu());
      has_value =
          variable->is_initialized ||
          (!are_hidden && Resting::All().Has(variable.get()));
    }
    Tensor* result;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, {}, &result));
    result->scalar<bool>()() = has_value;
  }
};

Status CheckValue(Var* variable) {
  if (variable->is_initialized) return OkStatus();
  return tensorflow::errors::FailedPrecondition(
      "Expected a variable with a value. Received: ", variable->DebugString(),
      ", not initialized.");
}

// A copy of the tensor of a variable that does not rest.
Status Copy(Var* variable, Tensor* value) {
  TF_RETURN_IF_ERROR(CheckValue(variable));
  *value = tensorflow::tensor::DeepCopy(*variable->tensor());
  return OkStatus();
}

// Reads a variable, which rests on if it does.
class Peeking : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    VarPtr variable;
    OP_REQUIRES_OK(ctx, Find(ctx, &variable));
    tensorflow::tf_shared_lock lock(*variable->mu());
    TensorShape shape;
    const Packed packed = Resting::All().Peek(variable.get(), &shape);
    Tensor result;
    OP_REQUIRES_OK(ctx, packed.structure
                            ? OfResting(ctx, packed, shape, &result)
                            : OfAwake(variable.get(), &result));
    ctx->set_output(0, result);
  }

 protected:
  virtual Status OfResting(OpKernelContext* ctx, const Packed& packed,
                           const TensorShape& shape, Tensor* result) const = 0;
  virtual Status OfAwake(Var* variable, Tensor* result) const {
    return Copy(variable, result);
  }
};

// The value.
class PeekOp : public Peeking {
 public:
  using Peeking::Peeking;

 protected:
  Status OfResting(OpKernelContext* ctx, const Packed& packed,
                   const TensorShape& shape, Tensor* result) const override {
    return Resting::Write(ctx, packed, shape, result);
  }
};

// Of a variable that rests the active entries, of a mask ones.
class PeekActiveOp : public Peeking {
 public:
  using Peeking::Peeking;

 protected:
  Status OfResting(OpKernelContext*, const Packed& packed, const TensorShape&,
                   Tensor* result) const override {
    *result = packed.by_input;
    const int64_t size = packed.structure->nonzero();
    if (result->NumElements() == size) return OkStatus();
    *result = Tensor(tensorflow::DT_FLOAT, {size});
    std::fill_n(Data(result), size, 1.0f);
    return OkStatus();
  }
};

// Which entries of a mask are ones, as the bits of bytes, the first one highest.
class PeekBitsOp : public Peeking {
 public:
  using Peeking::Peeking;

 protected:
  Status OfResting(OpKernelContext*, const Packed& packed,
                   const TensorShape& shape, Tensor* result) const override {
    uint8_t* bits = Zeros(shape, result);
    const Structure& s = *packed.structure;
    for (int64_t i = 0; i < s.inputs; ++i) {
      for (int64_t k = s.input_begin[i]; k < s.input_begin[i + 1]; ++k) {
        Set(i * s.outputs + s.output[k], bits);
      }
    }
    return OkStatus();
  }

  Status OfAwake(Var* variable, Tensor* result) const override {
    TF_RETURN_IF_ERROR(CheckValue(variable));
    const Tensor& mask = *variable->tensor();
    uint8_t* bits = Zeros(mask.shape(), result);
    for (int64_t i = 0; i < mask.NumElements(); ++i) {
      if (Data(mask)[i] != 0) Set(i, bits);
    }
    return OkStatus();
  }

 private:
  static uint8_t* Zeros(const TensorShape& mask, Tensor* result) {
    const int64_t size = (mask.num_elements() + 7) / 8;
    *result = Tensor(tensorflow::DT_UINT8, {size});
    return std::fill_n(result->flat<uint8_t>().data(), size, 0) - size;
  }

  static void Set(int64_t at, uint8_t* bits) { bits[at / 8] |= 128 >> at % 8; }
};

// Lets the kernels and masks of layers rest, before there is a train step.
class RestKernelsOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    OpInputList kernels, masks;
    OP_REQUIRES_OK(ctx, ctx->input_list("kernels", &kernels));
    OP_REQUIRES_OK(ctx, ctx->input_list("masks", &masks));
    for (int i = 0; i < kernels.size(); ++i) {
      VarPtr kernel, mask;
      OP_REQUIRES_OK(ctx, Lookup(ctx, kernels[i], &kernel));
      OP_REQUIRES_OK(ctx, Lookup(ctx, masks[i], &mask));
      OP_REQUIRES_OK(ctx, Rest(ctx, kernel.get(), mask.get()));
    }
  }

 private:
  static Status Rest(OpKernelContext* ctx, Var* kernel, Var* mask) {
    tensorflow::mutex_lock first(*std::min(kernel->mu(), mask->mu()));
    tensorflow::mutex_lock second(*std::max(kernel->mu(), mask->mu()));
    TF_RETURN_IF_ERROR(Resting::All().Wake(ctx, mask));
    TF_RETURN_IF_ERROR(Resting::All().Wake(ctx, kernel));
    std::shared_ptr<const Structure> structure;
    TF_RETURN_IF_ERROR(
        StructureOf(*mask->tensor(), *kernel->tensor(), &structure));
    Packed packed;
    TF_RETURN_IF_ERROR(
        Resting::All().Take(ctx, kernel, structure, &packed));
    Resting::All().Rest(kernel, std::move(packed));
    Resting::All().RestMask(mask, std::move(structure));
    return OkStatus();
  }
};

// Writes a checkpoint: all of another one, and variables that rest, one after
// another in the order of their keys.
class SaveRestingOp : public OpKernel {
 public:
  explicit SaveRestingOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("keys", &keys_));
  }

  void Compute(OpKernelContext* ctx) override {
    OpInputList handles;
    OP_REQUIRES_OK(ctx, ctx->input_list("variables", &handles));
    OP_REQUIRES(ctx, keys_.size() == static_cast<size_t>(handles.size()),
                InvalidArgument("Expected a key for each variable."));
    std::map<std::string, const Tensor*> all;
    for (int i = 0; i < handles.size(); ++i) all[keys_[i]] = &handles[i];
    tensorflow::BundleReader reader(
        ctx->env(), ctx->input(1).scalar<tensorflow::tstring>()());
    OP_REQUIRES_OK(ctx, reader.status());
    reader.Seek("");  // The header.
    for (reader.Next(); reader.Valid(); reader.Next()) {
      all.emplace(reader.key(), nullptr);
    }
    tensorflow::BundleWriter writer(
        ctx->env(), ctx->input(0).scalar<tensorflow::tstring>()());
    OP_REQUIRES_OK(ctx, writer.status());
    for (const auto& [key, handle] : all) {
      if (handle) {
        VarPtr variable;
        OP_REQUIRES_OK(ctx, Lookup(ctx, *handle, &variable));
        OP_REQUIRES_OK(ctx, Add(ctx, key, variable.get(), &writer));
        continue;
      }
      tensorflow::DataType type;
      TensorShape shape;
      OP_REQUIRES_OK(ctx, reader.LookupDtypeAndShape(key, &type, &shape));
      Tensor value(type, shape);
      OP_REQUIRES_OK(ctx, reader.Lookup(key, &value));
      OP_REQUIRES_OK(ctx, writer.Add(key, value));
    }
    OP_REQUIRES_OK(ctx, writer.Finish());
  }

 private:
  static constexpr int64_t kSlice = 1 << 19;  // entries at a time

  // Adds a variable; what rests and is large as slices, which whoever reads a
  // checkpoint puts together.
  static Status Add(OpKernelContext* ctx, const std::string& key, Var* variable,
                    tensorflow::BundleWriter* writer) {
    tensorflow::tf_shared_lock lock(*variable->mu());
    TensorShape shape;
    const Packed packed = Resting::All().Peek(variable, &shape);
    Tensor value;
    if (!packed.structure) {
      TF_RETURN_IF_ERROR(Copy(variable, &value));
      return writer->Add(key, value);
    }
    const int64_t size = shape.dim_size(0);
    const int64_t most =
        std::max<int64_t>(1, kSlice * size / shape.num_elements());
    if (most >= size) {
      TF_RETURN_IF_ERROR(Resting::Write(ctx, packed, shape, &value));
      return writer->Add(key, value);
    }
    const int64_t inputs = packed.structure->inputs / size;
    for (int64_t first = 0; first < size; first += most) {
      const int64_t last = std::min(first + most, size);
      TensorShape part = shape;
      part.set_dim(0, last - first);
      if (value.shape() != part) value = Tensor(tensorflow::DT_FLOAT, part);
      Unpack(packed, first * inputs, last * inputs, Data(&value));
      tensorflow::TensorSlice slice(shape.dims());
      slice.set_start(0, first);
      slice.set_length(0, last - first);
      TF_RETURN_IF_ERROR(writer->AddSlice(key, shape, slice, value));
    }
    return OkStatus();
  }

  std::vector<std::string> keys_;
};

// variable += sign * value.
template <int kSign>
class AssignUpdateOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    VarPtr variable;
    OP_REQUIRES_OK(ctx, Find(ctx, &variable));
    tensorflow::mutex_lock lock(*variable->mu());
    OP_REQUIRES_OK(ctx, Resting::All().Wake(ctx, variable.get()));
    Tensor* tensor = variable->tensor();
    const Tensor& value = ctx->input(1);
    OP_REQUIRES(ctx, tensor->shape() == value.shape(),
                InvalidArgument("Cannot update variable with shape ",
                                tensor->shape().DebugString(),
                                " using a Tensor with shape ",
                                value.shape().DebugString(),
                                ", shapes must be equal."));
    float* to;
    OP_REQUIRES_OK(ctx, ForWriting(ctx, tensor, &to));
    const float* from = Data(value);
    for (int64_t i = 0; i < value.NumElements(); ++i) to[i] += kSign * from[i];
  }
};

REGISTER_OP("TfSparseRlPeek")
    .Input("variable: resource")
    .Output("value: float")
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::UnknownShape);

REGISTER_OP("TfSparseRlPeekActive")
    .Input("variable: resource")
    .Output("entries: float")
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::UnknownShape);

REGISTER_OP("TfSparseRlPeekBits")
    .Input("mask: resource")
    .Output("bits: uint8")
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::UnknownShape);

REGISTER_OP("TfSparseRlRestKernels")
    .Input("kernels: N * resource")
    .Input("masks: N * resource")
    .Attr("N: int >= 1")
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::NoOutputs);

REGISTER_OP("TfSparseRlSaveResting")
    .Input("prefix: string")
    .Input("other: string")  // prefix of the other
    .Input("variables: N * resource")
    .Attr("N: int >= 0")
    .Attr("keys: list(string)")  // of each in the checkpoint
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::NoOutputs);

REGISTER_KERNEL_BUILDER(
    Name("TfSparseRlPeek").Device(tensorflow::DEVICE_CPU), PeekOp);
REGISTER_KERNEL_BUILDER(
    Name("TfSparseRlPeekActive").Device(tensorflow::DEVICE_CPU), PeekActiveOp);
REGISTER_KERNEL_BUILDER(
    Name("TfSparseRlPeekBits").Device(tensorflow::DEVICE_CPU), PeekBitsOp);
REGISTER_KERNEL_BUILDER(
    Name("TfSparseRlRestKernels").Device(tensorflow::DEVICE_CPU),
    RestKernelsOp);
REGISTER_KERNEL_BUILDER(
    Name("TfSparseRlSaveResting").Device(tensorflow::DEVICE_CPU),
    SaveRestingOp);

#define REGISTER(name, kernel)                              \
  REGISTER_KERNEL_BUILDER(Name(name)                        \
                              .Device(tensorflow::DEVICE_CPU) \
                              .TypeConstraint<float>("dtype") \
                              .Priority(1),                 \
                          kernel)
REGISTER("ReadVariableOp", ReadOp);
REGISTER("AssignAddVariableOp", AssignUpdateOp<1>);
REGISTER("AssignSubVariableOp", AssignUpdateOp<-1>);
REGISTER_KERNEL_BUILDER(Name("VarIsInitializedOp")
                            .Device(tensorflow::DEVICE_CPU)
                            .Priority(1),
                        IsInitializedOp);

}  // namespace
}  // namespace tf_sparse_rl

// For Python: whether variables that rest seem to have no value to this thread.
extern "C" void tf_sparse_rl_hide_resting(bool are_hidden) {
  tf_sparse_rl::are_hidden = are_hidden;
}
