// Whole train steps of agents, each in one operation: from a batch to updated
// weights, moments and targets, losses, and the next actions.
//
// They are what the agents' `_train` defines in TensorFlow: see sac.h, td3.h,
// dqn.h and ppo.h. Here is what runs them, and the operations as TensorFlow
// knows them.

#include <algorithm>
#include <string>
#include <vector>

#include "making.h"
#include "mask_choice.h"
#include "step.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace tf_sparse_rl {

const MaskChoice*& CurrentMaskChoice() {
  static thread_local const MaskChoice* current = nullptr;
  return current;
}

namespace {

// The step of an operation, of the kind that it runs.
template <typename Kind>
Status Find(OpKernelContext* ctx, tensorflow::core::RefCountPtr<Step>* step,
            Kind** found) {
  TF_RETURN_IF_ERROR(tensorflow::LookupResource(
      ctx, tensorflow::HandleFromInput(ctx, 0), step));
  *found = dynamic_cast<Kind*>(step->get());
  if (*found) return OkStatus();
  return InvalidArgument("Expected a step of another agent.");
}

// Whether a tensor has some observations of a step, of such a shape.
bool AreObservations(const ReplayStep& step, const Tensor& some,
                     TensorShape shape) {
  shape.InsertDim(0, some.dims() ? some.dim_size(0) : 0);
  const auto type =
      step.has_images() ? tensorflow::DT_UINT8 : tensorflow::DT_FLOAT;
  return some.dtype() == type && some.shape() == shape && some.dim_size(0) > 0;
}

// The shape of an image in a batch: channels, then the pixels of each.
TensorShape ByChannel(const TensorShape& image) {
  return {image.dim_size(2), image.dim_size(0), image.dim_size(1)};
}

// Whether a step can act by these.
bool CanAct(const ReplayStep& step, const Tensor& observations,
            const Tensor& noise) {
  return AreObservations(step, observations, step.policy().observation()) &&
         noise.dims() == 2 &&
         noise.dim_size(0) == observations.dim_size(0) &&
         noise.dim_size(1) == step.noise_size();
}

// What a step expects to act by, and what it got.
std::string Described(const ReplayStep& step, const Tensor& observations,
                      const Tensor& noise) {
  return tensorflow::strings::StrCat(
      "observations [num_envs, *", step.policy().observation().DebugString(),
      "] and noise [num_envs, ", step.noise_size(),
      "]. Received: ", observations.shape().DebugString(), " of ",
      tensorflow::DataTypeString(observations.dtype()), ", ",
      noise.shape().DebugString());
}

class TrainStepOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    tensorflow::core::RefCountPtr<Step> held;
    ReplayStep* step;
    OP_REQUIRES_OK(ctx, Find(ctx, &held, &step));
    const Tensor &rows = ctx->input(1), &observations = ctx->input(2);
    const Tensor& noise = ctx->input(3);
    OpInputList images;
    OP_REQUIRES_OK(ctx, ctx->input_list("images", &images));
    OP_REQUIRES(ctx,
                rows.dims() == 2 && rows.dim_size(0) > 0 &&
                    rows.dim_size(1) == step->row_size() &&
                    images.size() == (step->has_images() ? 2 : 0) &&
                    CanAct(*step, observations, noise),
                InvalidArgument("Expected rows [batch, ", step->row_size(),
                                "], ", Described(*step, observations, noise),
                                ", rows ", rows.shape().DebugString(), ", ",
                                images.size(), " images of a row."));
    Batch batch = {Data(rows), rows.dim_size(0), rows.dim_size(1), {}};
    for (int i = 0; i < images.size(); ++i) {
      const TensorShape shape = ByChannel(step->policy().observation());
      OP_REQUIRES(ctx,
                  AreObservations(*step, images[i], shape) &&
                      images[i].dim_size(0) == batch.size,
                  InvalidArgument("Expected images [batch, *",
                                  shape.DebugString(),
                                  "]. Received: ",
                                  images[i].shape().DebugString()));
      batch.images[i] = &images[i];
    }
    const auto locks = step->Lock();
    ReplayStep::Result result;
    OP_REQUIRES_OK(ctx,
                   step->Run(ctx, batch, observations, noise, &result));
    Tensor* scalars;
    const int64_t count = result.scalars.size();
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1, {count}, &scalars));
    std::copy(result.scalars.begin(), result.scalars.end(), Data(scalars));
  }
};

class ActOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    tensorflow::core::RefCountPtr<Step> held;
    ReplayStep* step;
    OP_REQUIRES_OK(ctx, Find(ctx, &held, &step));
    const Tensor &observations = ctx->input(1), &noise = ctx->input(2);
    OP_REQUIRES(ctx, CanAct(*step, observations, noise),
                InvalidArgument("Expected ",
                                Described(*step, observations, noise)));
    const auto locks = step->Lock();
    ReplayStep::Result result;
    OP_REQUIRES_OK(ctx, step->Act(ctx, observations, noise, &result));
  }
};

class TrainStepsOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    tensorflow::core::RefCountPtr<Step> held;
    PpoStep* step;
    OP_REQUIRES_OK(ctx, Find(ctx, &held, &step));
    const Tensor &rows = ctx->input(1), &batches = ctx->input(2);
    OP_REQUIRES(ctx,
                rows.dims() == 2 && rows.dim_size(1) == step->row_size() &&
                    batches.dims() == 2 && batches.NumElements() > 0,
                InvalidArgument("Expected rows [env steps, ", step->row_size(),
                                "] and batches [train steps, batch]. "
                                "Received: ", rows.shape().DebugString(), ", ",
                                batches.shape().DebugString()));
    const auto locks = step->Lock();
    std::vector<float> losses, scalars;
    OP_REQUIRES_OK(
        ctx, step->Run(ctx, {Data(rows), rows.dim_size(0), rows.dim_size(1)},
                       batches.flat<int64_t>().data(), batches.dim_size(0),
                       batches.dim_size(1), &losses, &scalars));
    Output(ctx, 0, losses);
    Output(ctx, 1, scalars);
  }

 private:
  static void Output(OpKernelContext* ctx, int index,
                     const std::vector<float>& values) {
    Tensor* tensor;
    const int64_t size = values.size();
    OP_REQUIRES_OK(ctx, ctx->allocate_output(index, {size}, &tensor));
    std::copy(values.begin(), values.end(), Data(tensor));
  }
};

template <Status (Step::*kMethod)(OpKernelContext*) const>
class WholeStepOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    tensorflow::core::RefCountPtr<Step> held;
    Step* step;
    OP_REQUIRES_OK(ctx, Find(ctx, &held, &step));
    const auto locks = step->Lock();
    OP_REQUIRES_OK(ctx, (step->*kMethod)(ctx));
  }
};

REGISTER_OP("TfSparseRlNetwork")
    // Of each layer kernel, bias, mask if it has one, and, if it is trained,
    // Adam's m and v of the kernel and of the bias.
    .Input("variables: N * resource")
    .Output("network: resource")
    .Attr("N: int >= 1")
    .Attr("sizes: list(int)")
    .Attr("activations: list(string)")
    .Attr("l2: list(float)")
    .Attr("has_mask: list(bool)")
    .Attr("first_layer: int = 0")  // number of the first layer in the train step
    .Attr("is_trained: bool")
    // Of convolutions before the Dense layers; see conv_ops.cc.
    .Attr("image: list(int) = []")
    .Attr("layers: list(int) = []")
    .Attr("same: list(bool) = []")
    .Attr("scale: float = 1.0")  // of images
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::ScalarShape);

REGISTER_OP("TfSparseRlMakeSac")
    .Input("networks: N * resource")  // actor, critics, targets
    // Of the critics', the actor's and the temperature's optimizer: learning
    // rate, beta 1, beta 2, train steps.
    .Input("adams: A * resource")
    .Input("others: S * resource")  // train step, log alpha, its m and v
    .Output("step: resource")
    .Attr("N: int >= 5")
    .Attr("A: int >= 12")
    .Attr("S: int >= 4")
    .Attr("epsilons: list(float)")      // Adam's, of each optimizer
    .Attr("middle: list(float)")        // of the bounds of actions
    .Attr("scale: list(float)")
    .Attr("seeds: list(int)")  // of the draws of actions
    .Attr("critic_weight: float")  // of its loss
    .Attr("actor_weight: float")
    .Attr("alpha_weight: float")
    .Attr("reward_scale: float")
    .Attr("gamma: float")
    .Attr("target_entropy: float")
    .Attr("tau: float")
    .Attr("target_update_period: int >= 1")
    .Attr("loss_of_log_alpha: bool")
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::ScalarShape);

REGISTER_OP("TfSparseRlMakeTd3")
    .Input("networks: N * resource")  // actor, critics, targets, target actor
    .Input("adams: A * resource")     // of the critics, of the actor
    .Input("others: S * resource")    // train step
    .Output("step: resource")
    .Attr("N: int >= 6")
    .Attr("A: int >= 8")
    .Attr("S: int >= 1")
    .Attr("epsilons: list(float)")
    .Attr("middle: list(float)")  // of the bounds of actions
    .Attr("scale: list(float)")
    .Attr("low: list(float)")
    .Attr("high: list(float)")
    .Attr("exploration_noise: float")
    .Attr("target_noise: float")
    .Attr("target_noise_clip: float")
    .Attr("seed: int")  // of the target noise
    .Attr("reward_scale: float")
    .Attr("gamma: float")
    .Attr("tau: float")
    .Attr("target_update_period: int >= 1")
    .Attr("actor_update_period: int >= 1")
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::ScalarShape);

REGISTER_OP("TfSparseRlMakeDqn")
    .Input("networks: N * resource")  // online, target
    .Input("adams: A * resource")
    .Input("others: S * resource")  // train step
    .Output("step: resource")
    .Attr("N: int >= 2")
    .Attr("A: int >= 4")
    .Attr("S: int >= 1")
    .Attr("adam_epsilon: float")
    .Attr("reward_scale: float")
    .Attr("gamma: float")
    .Attr("tau: float")
    .Attr("epsilon: float")                    // of the epsilon-greedy policy
    .Attr("epsilon_decay_train_steps: float")  // 0: it is constant
    .Attr("target_update_period: int >= 1")
    .Attr("is_huber: bool")
    .Attr("is_double: bool")
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::ScalarShape);

REGISTER_OP("TfSparseRlMakePpo")
    .Input("networks: N * resource")  // actor, value network
    .Input("adams: A * resource")
    // Train step; of the policy's own variable, if it has one, it, its m and v.
    .Input("others: S * resource")
    .Output("step: resource")
    .Attr("N: int >= 2")
    .Attr("A: int >= 4")
    .Attr("S: int >= 1")
    .Attr("adam_epsilon: float")
    .Attr("middle: list(float)")  // of the bounds of actions
    .Attr("scale: list(float)")
    .Attr("counts: list(int)")  // choices of each entry; empty: a Gaussian
    .Attr("clip_ratio: float")
    .Attr("value_weight: float")
    .Attr("entropy_weight: float")
    .Attr("clip_norm: float")
    .Attr("begins: list(float)")  // see PpoSettings
    .Attr("rates: list(float)")
    .Attr("ends: list(float)")
    .Attr("train_steps_of_rollout: int >= 1")
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::ScalarShape);

REGISTER_OP("TfSparseRlTrainStep")
    .Input("step: resource")
    .Input("rows: float")        // [batch, row]
    .Input("observations: T")    // [num_envs, ...]
    .Input("noise: float")       // [num_envs, noise]
    .Input("images: M * uint8")  // observations of the batch, and the next ones
    .Output("actions: dtype")    // [num_envs, ...]
    .Output("scalars: float")
    .Attr("dtype: {float, int32}")
    .Attr("T: {float, uint8}")
    .Attr("M: int >= 0")
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::UnknownShape);

// As the last part of a train step.
REGISTER_OP("TfSparseRlAct")
    .Input("step: resource")
    .Input("observations: T")
    .Input("noise: float")
    .Output("actions: dtype")
    .Attr("dtype: {float, int32}")
    .Attr("T: {float, uint8}")
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::UnknownShape);

REGISTER_OP("TfSparseRlTrainSteps")
    .Input("step: resource")
    .Input("rows: float")      // [env steps, row]
    .Input("batches: int64")   // [train steps, batch], numbers of rows
    .Output("losses: float")   // of each train step, to the first not finite
    .Output("scalars: float")  // of the last of these
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::UnknownShape);

// Gives all variables of a step their tensors.
REGISTER_OP("TfSparseRlWake")
    .Input("step: resource")
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::NoOutputs);

// Takes them away again from those that rest between train steps.
REGISTER_OP("TfSparseRlRest")
    .Input("step: resource")
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::NoOutputs);

#define REGISTER(name, kernel) \
  REGISTER_KERNEL_BUILDER(Name(name).Device(tensorflow::DEVICE_CPU), kernel)
REGISTER("TfSparseRlNetwork", NetworkOp);
REGISTER("TfSparseRlMakeSac", MakeSacOp);
REGISTER("TfSparseRlMakeTd3", MakeTd3Op);
REGISTER("TfSparseRlMakeDqn", MakeDqnOp);
REGISTER("TfSparseRlMakePpo", MakePpoOp);
REGISTER("TfSparseRlTrainStep", TrainStepOp);
REGISTER("TfSparseRlAct", ActOp);
REGISTER("TfSparseRlTrainSteps", TrainStepsOp);
REGISTER("TfSparseRlWake", WholeStepOp<&Step::Wake>);
REGISTER("TfSparseRlRest", WholeStepOp<&Step::Rest>);

}  // namespace
}  // namespace tf_sparse_rl

// For Python: who chooses masks in the train steps of this thread, or null.
extern "C" void tf_sparse_rl_set_mask_choice(
    const tf_sparse_rl::MaskChoice* choice) {
  tf_sparse_rl::CurrentMaskChoice() = choice;
}
