// Operations that make networks and train steps of variables.

#ifndef TF_SPARSE_RL_NATIVE_MAKING_H_
#define TF_SPARSE_RL_NATIVE_MAKING_H_

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "convolutions.h"
#include "dqn.h"
#include "network.h"
#include "policy.h"
#include "ppo.h"
#include "sac.h"
#include "step.h"
#include "td3.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace tf_sparse_rl {

// The variables, one after another, of an input that is a list of handles.
class Handles {
 public:
  Status Read(OpKernelContext* ctx, const char* name) {
    OpInputList list;
    TF_RETURN_IF_ERROR(ctx->input_list(name, &list));
    for (const Tensor& handle : list) {
      variables_.emplace_back();
      TF_RETURN_IF_ERROR(
          Lookup(ctx, handle.scalar<tensorflow::ResourceHandle>()(),
                 &variables_.back()));
    }
    return OkStatus();
  }

  size_t size() const { return variables_.size(); }
  VarPtr Next() { return std::move(variables_[next_++]); }

 private:
  std::vector<VarPtr> variables_;
  size_t next_ = 0;
};

// Puts a resource into the output of an operation, which lives as long as that.
template <typename T>
void Return(OpKernelContext* ctx, T* resource) {
  Tensor* handle;
  OP_REQUIRES_OK(ctx, ctx->allocate_output(0, {}, &handle));
  handle->scalar<tensorflow::ResourceHandle>()() =
      tensorflow::ResourceHandle::MakeRefCountingHandle(
          resource, ctx->device()->name());
}

class NetworkOp : public OpKernel {
 public:
  explicit NetworkOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("sizes", &sizes_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("activations", &activations_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("l2", &l2_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("has_mask", &has_mask_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("first_layer", &first_layer_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("is_trained", &is_trained_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("scale", &scale_));
    std::vector<bool> same;
    OP_REQUIRES_OK(ctx, ctx->GetAttr("same", &same));
    if (same.empty()) return;
    OP_REQUIRES_OK(ctx, ReadConvolutions(ctx, &convolutions_));
    for (const Convolution& c : convolutions_) {
      OP_REQUIRES(ctx,
                  InputPlanes(c, 16).group < INT32_MAX &&
                      DeltaPlanes(c, 16).group < INT32_MAX,
                  InvalidArgument("An image is too large."));
    }
  }

  void Compute(OpKernelContext* ctx) override {
    Handles variables;
    OP_REQUIRES_OK(ctx, variables.Read(ctx, "variables"));
    const size_t count = activations_.size(), first = convolutions_.size();
    const size_t masks =
        std::count(has_mask_.begin(), has_mask_.end(), true);
    OP_REQUIRES(ctx,
                count > first && sizes_.size() == count - first + 1 &&
                    l2_.size() == count && has_mask_.size() == count &&
                    variables.size() == count * (is_trained_ ? 6 : 2) + masks,
                InvalidArgument("Expected as many of each as layers."));
    if (first > 0) {
      const Convolution& last = convolutions_.back();
      OP_REQUIRES(ctx,
                  sizes_[0] ==
                      int64_t{last.out_height} * last.out_width * last.outputs,
                  InvalidArgument("Expected a Dense layer of all that comes "
                                  "out of the convolutions."));
    }
    std::vector<Layer> layers(count);
    for (size_t l = 0; l < count; ++l) {
      Layer& layer = layers[l];
      bool known = true;
      layer.number = first_layer_ + l;
      if (l < first) {
        layer.outputs = convolutions_[l].outputs;
        layer.inputs = KernelSize(convolutions_[l]) / layer.outputs;
      } else {
        layer.inputs = sizes_[l - first];
        layer.outputs = sizes_[l - first + 1];
      }
      layer.activation = ActivationNamed(activations_[l], &known);
      OP_REQUIRES(ctx,
                  known && (l >= first ||
                            layer.activation == Activation::kLinear ||
                            layer.activation == Activation::kRelu),
                  InvalidArgument("Unknown activation: ", activations_[l]));
      layer.l2 = l2_[l];
      layer.kernel = variables.Next();
      layer.bias = variables.Next();
      if (has_mask_[l]) layer.mask = variables.Next();
      if (!is_trained_) continue;
      layer.kernel_m = variables.Next();
      layer.kernel_v = variables.Next();
      layer.bias_m = variables.Next();
      layer.bias_v = variables.Next();
    }
    Return(ctx, new Network(std::move(layers), convolutions_, scale_));
  }

 private:
  std::vector<int64_t> sizes_;
  std::vector<std::string> activations_;
  std::vector<float> l2_;
  std::vector<bool> has_mask_;
  int64_t first_layer_;
  bool is_trained_;
  float scale_;
  std::vector<Convolution> convolutions_;
};

// What makes a train step.
class MakeStepOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

 protected:
  template <typename T>
  void Get(OpKernelConstruction* ctx, const char* name, T* value) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr(name, value));
  }

  Status ReadNetworks(
      OpKernelContext* ctx,
      const std::vector<tensorflow::core::RefCountPtr<Network>*>& networks) {
    OpInputList list;
    TF_RETURN_IF_ERROR(ctx->input_list("networks", &list));
    for (size_t i = 0; i < networks.size(); ++i) {
      TF_RETURN_IF_ERROR(tensorflow::LookupResource(
          ctx, list[i].scalar<tensorflow::ResourceHandle>()(), networks[i]));
    }
    return OkStatus();
  }

  // Four variables of each optimizer.
  Status ReadAdams(OpKernelContext* ctx, const std::vector<float>& epsilons,
                   const std::vector<Adam*>& adams) {
    Handles variables;
    TF_RETURN_IF_ERROR(variables.Read(ctx, "adams"));
    for (size_t i = 0; i < adams.size(); ++i) {
      for (VarPtr* variable : adams[i]->Variables()) {
        *variable = variables.Next();
      }
      adams[i]->epsilon = epsilons[i];
    }
    return OkStatus();
  }

  Status ReadOthers(OpKernelContext* ctx,
                    const std::vector<VarPtr*>& others) {
    Handles variables;
    TF_RETURN_IF_ERROR(variables.Read(ctx, "others"));
    for (VarPtr* other : others) *other = variables.Next();
    return OkStatus();
  }
};

// What makes a step of an actor and two critics.
class MakeActorCriticOp : public MakeStepOp {
 public:
  explicit MakeActorCriticOp(OpKernelConstruction* ctx) : MakeStepOp(ctx) {
    Get(ctx, "epsilons", &epsilons_);
    Get(ctx, "middle", &middle_);
    Get(ctx, "scale", &scale_);
    Get(ctx, "reward_scale", &shared_.reward_scale);
    Get(ctx, "gamma", &shared_.gamma);
    Get(ctx, "tau", &shared_.tau);
    Get(ctx, "target_update_period", &shared_.target_update_period);
  }

 protected:
  // Makes a step with networks, optimizers and variables beyond those that all
  // have, and returns it.
  template <typename T>
  void Make(OpKernelContext* ctx, tensorflow::core::RefCountPtr<T> step,
            tensorflow::core::RefCountPtr<Network>* network, Adam* adam,
            const std::vector<VarPtr*>& more) {
    T& s = *step;
    static_cast<ActorCriticSettings&>(s) = shared_;
    s.head.middle = middle_;
    s.head.scale = scale_;
    std::vector<tensorflow::core::RefCountPtr<Network>*> networks = {
        &s.actor, &s.critics[0], &s.critics[1], &s.targets[0], &s.targets[1]};
    std::vector<Adam*> adams = {&s.critic_adam, &s.actor_adam};
    std::vector<VarPtr*> others = {&s.train_step};
    if (network) networks.push_back(network);
    if (adam) adams.push_back(adam);
    others.insert(others.end(), more.begin(), more.end());
    OP_REQUIRES_OK(ctx, ReadNetworks(ctx, networks));
    OP_REQUIRES_OK(ctx, ReadAdams(ctx, epsilons_, adams));
    OP_REQUIRES_OK(ctx, ReadOthers(ctx, others));
    std::vector<Network*> known;
    for (const auto* each : networks) known.push_back(each->get());
    s.Remember(known, adams, others);
    Return<Step>(ctx, step.release());
  }

 private:
  std::vector<float> epsilons_, middle_, scale_;
  ActorCriticSettings shared_;
};

class MakeSacOp : public MakeActorCriticOp {
 public:
  explicit MakeSacOp(OpKernelConstruction* ctx) : MakeActorCriticOp(ctx) {
    Get(ctx, "critic_weight", &settings_.critic_weight);
    Get(ctx, "actor_weight", &settings_.actor_weight);
    Get(ctx, "alpha_weight", &settings_.alpha_weight);
    Get(ctx, "target_entropy", &settings_.target_entropy);
    Get(ctx, "loss_of_log_alpha", &settings_.loss_of_log_alpha);
    Get(ctx, "seeds", &settings_.seeds);
  }

  void Compute(OpKernelContext* ctx) override {
    tensorflow::core::RefCountPtr<SacStep> step(new SacStep);
    SacStep& s = *step;
    static_cast<SacSettings&>(s) = settings_;
    Make(ctx, std::move(step), nullptr, &s.alpha_adam,
         {&s.log_alpha, &s.log_alpha_m, &s.log_alpha_v});
  }

 private:
  SacSettings settings_;
};

class MakeTd3Op : public MakeActorCriticOp {
 public:
  explicit MakeTd3Op(OpKernelConstruction* ctx) : MakeActorCriticOp(ctx) {
    Get(ctx, "low", &low_);
    Get(ctx, "high", &high_);
    Get(ctx, "exploration_noise", &exploration_noise_);
    Get(ctx, "target_noise", &settings_.target_noise);
    Get(ctx, "target_noise_clip", &settings_.target_noise_clip);
    Get(ctx, "actor_update_period", &settings_.actor_update_period);
    Get(ctx, "seed", &settings_.seed);
  }

  void Compute(OpKernelContext* ctx) override {
    tensorflow::core::RefCountPtr<Td3Step> step(new Td3Step);
    Td3Step& s = *step;
    static_cast<Td3Settings&>(s) = settings_;
    s.head.low = low_;
    s.head.high = high_;
    s.head.exploration_noise = exploration_noise_;
    Make(ctx, std::move(step), &s.target_actor, nullptr, {});
  }

 private:
  std::vector<float> low_, high_;
  float exploration_noise_;
  Td3Settings settings_;
};

class MakeDqnOp : public MakeStepOp {
 public:
  explicit MakeDqnOp(OpKernelConstruction* ctx) : MakeStepOp(ctx) {
    Get(ctx, "adam_epsilon", &adam_epsilon_);
    Get(ctx, "reward_scale", &settings_.reward_scale);
    Get(ctx, "gamma", &settings_.gamma);
    Get(ctx, "tau", &settings_.tau);
    Get(ctx, "epsilon", &settings_.epsilon);
    Get(ctx, "epsilon_decay_train_steps",
        &settings_.epsilon_decay_train_steps);
    Get(ctx, "target_update_period", &settings_.target_update_period);
    Get(ctx, "is_huber", &settings_.is_huber);
    Get(ctx, "is_double", &settings_.is_double);
  }

  void Compute(OpKernelContext* ctx) override {
    tensorflow::core::RefCountPtr<DqnStep> step(new DqnStep);
    DqnStep& s = *step;
    static_cast<DqnSettings&>(s) = settings_;
    OP_REQUIRES_OK(ctx, ReadNetworks(ctx, {&s.online, &s.target}));
    OP_REQUIRES_OK(ctx, ReadAdams(ctx, {adam_epsilon_}, {&s.adam}));
    OP_REQUIRES_OK(ctx, ReadOthers(ctx, {&s.train_step}));
    s.Remember({s.online.get(), s.target.get()}, {&s.adam}, {&s.train_step});
    Return<Step>(ctx, step.release());
  }

 private:
  float adam_epsilon_;
  DqnSettings settings_;
};

class MakePpoOp : public MakeStepOp {
 public:
  explicit MakePpoOp(OpKernelConstruction* ctx) : MakeStepOp(ctx) {
    Get(ctx, "adam_epsilon", &adam_epsilon_);
    Get(ctx, "middle", &middle_);
    Get(ctx, "scale", &scale_);
    Get(ctx, "counts", &counts_);
    Get(ctx, "clip_ratio", &settings_.clip_ratio);
    Get(ctx, "value_weight", &settings_.value_weight);
    Get(ctx, "entropy_weight", &settings_.entropy_weight);
    Get(ctx, "clip_norm", &settings_.clip_norm);
    Get(ctx, "begins", &settings_.begins);
    Get(ctx, "rates", &settings_.rates);
    Get(ctx, "ends", &settings_.ends);
    Get(ctx, "train_steps_of_rollout", &settings_.train_steps_of_rollout);
  }

  void Compute(OpKernelContext* ctx) override {
    tensorflow::core::RefCountPtr<PpoStep> step(new PpoStep);
    PpoStep& s = *step;
    static_cast<PpoSettings&>(s) = settings_;
    std::vector<VarPtr*> others = {&s.train_step};
    if (counts_.empty()) {
      s.policy = std::make_unique<GaussianPolicy>(middle_, scale_);
      others.insert(others.end(), {&s.own, &s.own_m, &s.own_v});
    } else {
      s.policy = std::make_unique<CategoricalPolicy>(counts_);
    }
    OP_REQUIRES_OK(ctx, ReadNetworks(ctx, {&s.actor, &s.value}));
    OP_REQUIRES_OK(ctx, ReadAdams(ctx, {adam_epsilon_}, {&s.adam}));
    OP_REQUIRES_OK(ctx, ReadOthers(ctx, others));
    s.Remember({s.actor.get(), s.value.get()}, {&s.adam}, others);
    Return<Step>(ctx, step.release());
  }

 private:
  float adam_epsilon_;
  std::vector<float> middle_, scale_;
  std::vector<int64_t> counts_;
  PpoSettings settings_;
};

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_MAKING_H_
