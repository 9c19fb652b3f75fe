// TensorFlow's reads of variables, for those that rest too.
//
// Kernels of a higher priority than TensorFlow's own, for variables on the CPU.
// They do the same; a variable that rests gets its tensor first, and counts as
// initialized. What else takes a variable's tensor as it is finds none.

#include "packed.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace tf_sparse_rl {
namespace {

Status Find(OpKernelContext* ctx, VarPtr* variable) {
  const auto& handle = tensorflow::HandleFromInput(ctx, 0);
  const auto status = tensorflow::LookupResource(ctx, handle, variable);
  if (status.ok()) return status;
  return tensorflow::errors::FailedPrecondition(
      "Could not find variable ", handle.name(),
      ". It has been deleted, or was never initialized. ", status.ToString());
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
          variable->is_initialized || Resting::All().Has(variable.get());
    }
    Tensor* result;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, {}, &result));
    result->scalar<bool>()() = has_value;
  }
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
