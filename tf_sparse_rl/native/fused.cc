// Whole train steps of agents, each in one operation: from a batch to updated
// weights, moments and targets, losses, and the next actions.
//
// They are what the agents' `_train` defines in TensorFlow: sac.h, dqn.h. Here
// is what runs one, and the operations as TensorFlow knows them.

#include <algorithm>
#include <vector>

#include "making.h"
#include "step.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace tf_sparse_rl {
namespace {

class TrainStepOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    tensorflow::core::RefCountPtr<Step> step;
    OP_REQUIRES_OK(ctx, tensorflow::LookupResource(
                            ctx, tensorflow::HandleFromInput(ctx, 0), &step));
    const Tensor &rows = ctx->input(1), &observations = ctx->input(2);
    const Tensor& noise = ctx->input(3);
    OP_REQUIRES(ctx,
                rows.dims() == 2 && rows.dim_size(0) > 0 &&
                    rows.dim_size(1) == step->row_size() &&
                    observations.dims() == 2 &&
                    observations.dim_size(1) == step->num_observations() &&
                    noise.dims() == 2 &&
                    noise.dim_size(0) == observations.dim_size(0) &&
                    noise.dim_size(1) == step->noise_size(),
                InvalidArgument(
                    "Expected rows [batch, ", step->row_size(),
                    "], observations [num_envs, ", step->num_observations(),
                    "] and noise [num_envs, ", step->noise_size(),
                    "]. Received: ", rows.shape().DebugString(), ", ",
                    observations.shape().DebugString(), ", ",
                    noise.shape().DebugString()));
    const Batch batch = {Data(rows), rows.dim_size(0), rows.dim_size(1)};
    std::vector<tensorflow::mutex_lock> locks;
    locks.reserve(step->variables().size());
    for (Var* variable : step->variables()) {
      locks.emplace_back(*variable->mu());
    }
    Result result;
    OP_REQUIRES_OK(ctx,
                   step->Run(ctx, batch, observations, noise, &result));
    Tensor* scalars;
    const int64_t count = result.scalars.size();
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1, {count}, &scalars));
    std::copy(result.scalars.begin(), result.scalars.end(), Data(scalars));
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
    .Attr("is_trained: bool")
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::ScalarShape);

REGISTER_OP("TfSparseRlMakeSac")
    .Input("networks: N * resource")  // actor, critics, targets
    // Of the critics', the actor's and the temperature's optimizer: learning
    // rate, beta 1, beta 2, train steps.
    .Input("adams: A * resource")
    .Input("scalars: S * resource")  // train step, log alpha, its m and v
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

REGISTER_OP("TfSparseRlMakeDqn")
    .Input("networks: N * resource")  // online, target
    .Input("adams: A * resource")
    .Input("scalars: S * resource")  // train step
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

REGISTER_OP("TfSparseRlTrainStep")
    .Input("step: resource")
    .Input("rows: float")          // [batch, row]
    .Input("observations: float")  // [num_envs, observation]
    .Input("noise: float")         // [num_envs, noise]
    .Output("actions: dtype")      // [num_envs, ...]
    .Output("scalars: float")
    .Attr("dtype: {float, int32}")
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::UnknownShape);

#define REGISTER(name, kernel) \
  REGISTER_KERNEL_BUILDER(Name(name).Device(tensorflow::DEVICE_CPU), kernel)
REGISTER("TfSparseRlNetwork", NetworkOp);
REGISTER("TfSparseRlMakeSac", MakeSacOp);
REGISTER("TfSparseRlMakeDqn", MakeDqnOp);
REGISTER("TfSparseRlTrainStep", TrainStepOp);

}  // namespace
}  // namespace tf_sparse_rl
