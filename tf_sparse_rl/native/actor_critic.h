// What the fused train steps of SAC and TD3 share: two critics and their
// targets. Rows of a batch are observation, action, reward, discount and next
// observation.

#ifndef TF_SPARSE_RL_NATIVE_ACTOR_CRITIC_H_
#define TF_SPARSE_RL_NATIVE_ACTOR_CRITIC_H_

#include <algorithm>
#include <vector>

#include "kernels.h"
#include "network.h"
#include "step.h"

namespace tf_sparse_rl {

// Constants of a train step, attributes of the operation.
struct ActorCriticSettings {
  float reward_scale, gamma, tau;
  int64_t target_update_period;
};

class ActorCriticStep : public ReplayStep, public ActorCriticSettings {
 public:
  tensorflow::core::RefCountPtr<Network> actor, critics[2], targets[2];
  VarPtr train_step;
  Adam critic_adam, actor_adam;

  const Network& policy() const override { return *actor; }
  int64_t row_size() const override {
    return num_critic_inputs() + num_observations() + 2;
  }

 protected:
  int64_t num_critic_inputs() const { return critics[0]->layers[0].inputs; }
  int64_t num_actions() const {
    return num_critic_inputs() - num_observations();
  }
  int64_t first_next_observation() const { return num_critic_inputs() + 2; }

  // A critic and its target, at work.
  struct Critic {
    AtWork online, target;
  };

  Status Take(OpKernelContext* ctx, Critic q[2]) {
    for (int i : {0, 1}) {
      TF_RETURN_IF_ERROR(q[i].online.Take(ctx, critics[i].get(), true));
      TF_RETURN_IF_ERROR(q[i].target.Take(ctx, targets[i].get(), false));
    }
    return OkStatus();
  }

  void Allocate(const Batch& batch) {
    actor_states_.Allocate(*actor, batch.size);
    deltas_.Allocate(*actor, batch.size);
    for (States* states : {&states_[0], &states_[1], &deltas_}) {
      states->Allocate(*critics[0], batch.size);
    }
    td_targets_.resize(batch.size);
    for (Tensor& gradient : of_actions_) {
      Sized(&gradient, PaddedBatch(batch.size) * num_actions());
    }
  }

  // Observations from the column `first` on into the inputs of the actor, whose
  // outputs it computes, and of the first critic.
  void Observe(OpKernelContext* ctx, const Batch& batch, const AtWork& pi,
               int64_t first) {
    const int64_t n = num_observations();
    batch.ToBlocks(first, n, n, 0, actor_states_[0]);
    pi.Forward(ctx, batch.size, &actor_states_);
    batch.ToBlocks(first, n, num_critic_inputs(), 0, states_[0][0]);
  }

  // Copies the inputs of the first critic to those of the second.
  void ShareInputs(const Batch& batch) {
    std::copy_n(states_[0][0], PaddedBatch(batch.size) * num_critic_inputs(),
                states_[1][0]);
  }

  // By the smaller of two Q-values of the inputs, plus `bonus(example)`.
  template <typename Bonus>
  void TdTargets(OpKernelContext* ctx, const Batch& batch, const Critic q[2],
                 const Bonus& bonus) {
    const int64_t reward = num_critic_inputs(), discount = reward + 1;
    for (int i : {0, 1}) q[i].target.Forward(ctx, batch.size, &states_[i]);
    for (int64_t e = 0; e < batch.size; ++e) {
      const float value =
          std::min(states_[0].last()[e], states_[1].last()[e]) + bonus(e);
      td_targets_[e] = reward_scale * batch.at(e, reward) +
                       gamma * batch.at(e, discount) * value;
    }
  }

  // Both critics together, their loss times a weight.
  Status TrainCritics(OpKernelContext* ctx, const Batch& batch, float weight,
                      Critic q[2], float* loss, float means[2]) {
    const int64_t all = num_critic_inputs();
    double total = 0;
    for (int i : {0, 1}) {
      batch.ToBlocks(0, all, all, 0, states_[i][0]);
      q[i].online.Forward(ctx, batch.size, &states_[i]);
      double sum = 0;
      for (int64_t e = 0; e < batch.size; ++e) {
        const float value = states_[i].last()[e];
        const float error = value - td_targets_[e];
        total += error * error;
        sum += value;
      }
      means[i] = sum / batch.size;
    }
    *loss = weight * (static_cast<float>(total / batch.size) +
                      q[0].online.Regularization() +
                      q[1].online.Regularization());
    TF_RETURN_IF_ERROR(CheckFinite(*loss, "Critic loss"));
    const AdamStep step = critic_adam.Next();
    for (int i : {0, 1}) {
      float* delta = ZeroTop(critics[i].get(), batch, &deltas_);
      for (int64_t e = 0; e < batch.size; ++e) {
        delta[e] = weight / batch.size * 2 *
                   (states_[i].last()[e] - td_targets_[e]);
      }
      q[i].online.Backward(ctx, batch.size, &states_[i], &deltas_);
      TF_RETURN_IF_ERROR(q[i].online.Descend(ctx, step, 2 * weight, batch.size,
                                             &states_[i], &deltas_,
                                             &gradient_));
      // Before others move: a structure that nobody has any more is freed.
      if (IsDue()) q[i].target.TakeOverMasks(q[i].online);
    }
    return OkStatus();
  }

  // The gradient of a critic's actions, by `slope(example)` of its Q-values.
  template <typename Slope>
  void OfActions(OpKernelContext* ctx, const Batch& batch, int i,
                 const AtWork& q, const Slope& slope) {
    float* delta = ZeroTop(critics[i].get(), batch, &deltas_);
    for (int64_t e = 0; e < batch.size; ++e) delta[e] = slope(e);
    q.Backward(ctx, batch.size, &states_[i], &deltas_);
    q.InputGradient(ctx, batch.size, &deltas_, num_observations(),
                    Data(&of_actions_[i]));
  }

  // By the gradient of its outputs, in deltas_.
  Status DescendActor(OpKernelContext* ctx, const Batch& batch, float weight,
                      AtWork* pi) {
    pi->Backward(ctx, batch.size, &actor_states_, &deltas_);
    return pi->Descend(ctx, actor_adam.Next(), 2 * weight, batch.size,
                       &actor_states_, &deltas_, &gradient_);
  }

  // Whether targets move after this train step.
  bool IsDue() const {
    return (Value<int64_t>(train_step) + 1) % target_update_period == 0;
  }

  // Counts a train step; `is_due`: see IsDue.
  void Count(bool* is_due) {
    *is_due = IsDue();
    Assign<int64_t>(train_step, Value<int64_t>(train_step) + 1);
  }

  void MoveTargets(Critic q[2]) {
    for (int i : {0, 1}) q[i].target.MoveTo(q[i].online, tau);
  }

  // Actions of a head, for observations and noise, as a result.
  template <typename Head>
  Status ActWith(OpKernelContext* ctx, const AtWork& pi, const Head& head,
                 const Tensor& observations, const Tensor& noise,
                 Result* result) {
    const int64_t count = observations.dim_size(0);
    TF_RETURN_IF_ERROR(ctx->allocate_output(0, {count, head.size()},
                                            &result->actions));
    const float* outputs = Outputs(ctx, pi, observations);
    for (int64_t i = 0; i < count; ++i) {
      head.Act(outputs, count, i, Data(noise) + i * head.size(),
               Data(result->actions) + i * head.size());
    }
    return OkStatus();
  }

  States actor_states_, states_[2];
  States deltas_;  // of one network after the other
  std::vector<float> td_targets_;
  Tensor of_actions_[2], gradient_;
};

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_ACTOR_CRITIC_H_
