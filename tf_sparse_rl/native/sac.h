// The fused train step of SAC. Rows of a batch are observation, action, reward,
// discount and next observation.

#ifndef TF_SPARSE_RL_NATIVE_SAC_H_
#define TF_SPARSE_RL_NATIVE_SAC_H_

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels.h"
#include "network.h"
#include "squashed.h"
#include "step.h"

namespace tf_sparse_rl {

// The constants of SAC's train step, attributes of the operation.
struct SacSettings {
  float critic_weight, actor_weight, alpha_weight, reward_scale, gamma,
      target_entropy, tau;
  bool loss_of_log_alpha;
  int64_t target_update_period;
  std::vector<int64_t> seeds;
};

// sac.SacAgent._train. Haarnoja et al. 2018b (arXiv 1812.05905), algorithm 1.
class SacStep : public ReplayStep, public SacSettings {
 public:
  tensorflow::core::RefCountPtr<Network> actor, critics[2], targets[2];
  VarPtr train_step, log_alpha, log_alpha_m, log_alpha_v;
  Adam critic_adam, actor_adam, alpha_adam;
  Squashed head;

  int64_t num_observations() const override { return actor->layers[0].inputs; }
  int64_t row_size() const override {
    return num_critic_inputs() + num_observations() + 2;
  }
  int64_t noise_size() const override { return head.size(); }

  Status Run(OpKernelContext* ctx, const Batch& batch,
             const Tensor& observations, const Tensor& noise,
             Result* result) override {
    AtWork pi, q[2], target[2];
    TF_RETURN_IF_ERROR(pi.Take(ctx, actor.get(), true));
    for (int i : {0, 1}) {
      TF_RETURN_IF_ERROR(q[i].Take(ctx, critics[i].get(), true));
      TF_RETURN_IF_ERROR(target[i].Take(ctx, targets[i].get(), false));
    }
    Allocate(batch);
    const float alpha = std::exp(Value<float>(log_alpha));
    TdTargets(ctx, batch, pi, target, alpha);
    float losses[3], q_means[2];
    TF_RETURN_IF_ERROR(TrainCritics(ctx, batch, q, &losses[0], q_means));
    TF_RETURN_IF_ERROR(TrainActor(ctx, batch, q, alpha, &pi, &losses[1]));
    float mean_log_pi;
    TF_RETURN_IF_ERROR(TrainAlpha(batch, alpha, &losses[2], &mean_log_pi));
    const int64_t step = Value<int64_t>(train_step) + 1;
    Assign<int64_t>(train_step, step);
    if (step % target_update_period == 0) {
      for (int i : {0, 1}) {
        TF_RETURN_IF_ERROR(target[i].MoveTo(ctx, q[i], tau));
      }
    }
    result->scalars = {losses[0] + losses[1] + losses[2],
                       losses[0],
                       losses[1],
                       losses[2],
                       alpha,
                       -mean_log_pi,
                       q_means[0],
                       q_means[1]};
    return Act(ctx, pi, observations, noise, result);
  }

 private:
  int64_t num_critic_inputs() const { return critics[0]->layers[0].inputs; }

  void Allocate(const Batch& batch) {
    const int64_t padded = PaddedBatch(batch.size);
    actor_states_.Allocate(*actor, padded);
    actor_deltas_.Allocate(*actor, padded);
    for (States* states : {&states_[0], &states_[1], &deltas_}) {
      states->Allocate(*critics[0], padded);
    }
    td_targets_.resize(batch.size);
    log_pi_.resize(padded);
    for (Tensor& gradient : of_actions_) {
      Sized(&gradient, padded * head.size());
    }
  }

  // Observations from the column `first` on into the actor's input and both
  // critics'; then actions of the actor into the critics' and log_pi_.
  void Sample(OpKernelContext* ctx, const Batch& batch, const AtWork& pi,
              int64_t first, int draw) {
    const int64_t n = num_observations(), all = num_critic_inputs();
    batch.ToBlocks(first, n, n, 0, actor_states_[0]);
    pi.Forward(ctx, batch.size, &actor_states_);
    batch.ToBlocks(first, n, all, 0, states_[0][0]);
    head.Sample(batch.size, actor_states_.last(), seeds[draw],
                Value<int64_t>(train_step), all, n, states_[0][0],
                log_pi_.data());
    std::copy_n(states_[0][0], PaddedBatch(batch.size) * all, states_[1][0]);
  }

  // Equation 3, by the smaller of two Q-values.
  void TdTargets(OpKernelContext* ctx, const Batch& batch, const AtWork& pi,
                 const AtWork target[2], float alpha) {
    const int64_t reward = num_critic_inputs(), discount = reward + 1;
    Sample(ctx, batch, pi, discount + 1, 0);
    for (int i : {0, 1}) target[i].Forward(ctx, batch.size, &states_[i]);
    for (int64_t e = 0; e < batch.size; ++e) {
      const float value =
          std::min(states_[0].last()[e], states_[1].last()[e]) -
          alpha * log_pi_[e];
      td_targets_[e] = reward_scale * batch.at(e, reward) +
                       gamma * batch.at(e, discount) * value;
    }
  }

  // Equation 5.
  Status TrainCritics(OpKernelContext* ctx, const Batch& batch, AtWork q[2],
                      float* loss, float means[2]) {
    const int64_t all = num_critic_inputs();
    double total = 0;
    for (int i : {0, 1}) {
      batch.ToBlocks(0, all, all, 0, states_[i][0]);
      q[i].Forward(ctx, batch.size, &states_[i]);
      double sum = 0;
      for (int64_t e = 0; e < batch.size; ++e) {
        const float value = states_[i].last()[e];
        const float error = value - td_targets_[e];
        total += error * error;
        sum += value;
      }
      means[i] = sum / batch.size;
    }
    *loss = critic_weight *
            (static_cast<float>(total / batch.size) + q[0].Regularization() +
             q[1].Regularization());
    TF_RETURN_IF_ERROR(CheckFinite(*loss, "Critic loss"));
    const AdamStep step = critic_adam.Next();
    const float weight = critic_weight / batch.size;
    for (int i : {0, 1}) {
      float* delta = ZeroTop(critics[i].get(), batch, &deltas_);
      for (int64_t e = 0; e < batch.size; ++e) {
        delta[e] = weight * 2 * (states_[i].last()[e] - td_targets_[e]);
      }
      q[i].Backward(ctx, batch.size, &states_[i], &deltas_);
      q[i].Descend(ctx, step, 2 * critic_weight, batch.size, &states_[i],
                   &deltas_, &gradient_);
    }
    return OkStatus();
  }

  // Equation 9.
  Status TrainActor(OpKernelContext* ctx, const Batch& batch, const AtWork q[2],
                    float alpha, AtWork* pi, float* loss) {
    Sample(ctx, batch, *pi, 0, 1);
    double total = 0;
    for (int i : {0, 1}) q[i].Forward(ctx, batch.size, &states_[i]);
    for (int64_t e = 0; e < batch.size; ++e) {
      total += alpha * log_pi_[e] -
               std::min(states_[0].last()[e], states_[1].last()[e]);
    }
    *loss = actor_weight * (static_cast<float>(total / batch.size) +
                            pi->Regularization());
    TF_RETURN_IF_ERROR(CheckFinite(*loss, "Actor loss"));
    const float weight = actor_weight / batch.size;
    for (int i : {0, 1}) {
      float* delta = ZeroTop(critics[i].get(), batch, &deltas_);
      for (int64_t e = 0; e < batch.size; ++e) {
        const float mine = states_[i].last()[e];
        const float other = states_[1 - i].last()[e];
        // Of equal Q-values each has half of the gradient.
        delta[e] = mine < other ? -weight : mine > other ? 0 : -weight / 2;
      }
      q[i].Backward(ctx, batch.size, &states_[i], &deltas_);
      q[i].InputGradient(ctx, batch.size, &deltas_, num_observations(),
                         Data(&of_actions_[i]));
    }
    float* sum = Data(&of_actions_[0]);
    const float* other = Data(of_actions_[1]);
    for (int64_t k = 0; k < of_actions_[0].NumElements(); ++k) {
      sum[k] += other[k];
    }
    head.Gradient(batch.size, sum, alpha * weight,
                  ZeroTop(actor.get(), batch, &actor_deltas_));
    pi->Backward(ctx, batch.size, &actor_states_, &actor_deltas_);
    pi->Descend(ctx, actor_adam.Next(), 2 * actor_weight, batch.size,
                &actor_states_, &actor_deltas_, &gradient_);
    return OkStatus();
  }

  // Equation 18.
  Status TrainAlpha(const Batch& batch, float alpha, float* loss,
                    float* mean_log_pi) {
    double total = 0;
    for (int64_t e = 0; e < batch.size; ++e) total += log_pi_[e];
    *mean_log_pi = total / batch.size;
    const float slope = alpha_weight * (-*mean_log_pi - target_entropy);
    float temperature = Value<float>(log_alpha);
    *loss = (loss_of_log_alpha ? temperature : alpha) * slope;
    TF_RETURN_IF_ERROR(CheckFinite(*loss, "Alpha loss"));
    const float gradient = loss_of_log_alpha ? slope : alpha * slope;
    float m = Value<float>(log_alpha_m), v = Value<float>(log_alpha_v);
    BestKernels().adam(alpha_adam.Next(), 0, 1, &gradient, &temperature, &m,
                       &v);
    Assign(log_alpha, temperature);
    Assign(log_alpha_m, m);
    Assign(log_alpha_v, v);
    return OkStatus();
  }

  Status Act(OpKernelContext* ctx, const AtWork& pi, const Tensor& observations,
             const Tensor& noise, Result* result) {
    const int64_t count = observations.dim_size(0);
    TF_RETURN_IF_ERROR(ctx->allocate_output(0, {count, head.size()},
                                            &result->actions));
    const float* outputs = Outputs(ctx, pi, *actor, observations);
    for (int64_t i = 0; i < count; ++i) {
      head.Act(outputs, count, i, Data(noise) + i * head.size(),
               Data(result->actions) + i * head.size());
    }
    return OkStatus();
  }

  States actor_states_, actor_deltas_, states_[2], deltas_;
  std::vector<float> td_targets_, log_pi_;
  Tensor of_actions_[2], gradient_;
};

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_SAC_H_
