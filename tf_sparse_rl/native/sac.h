// The fused train step of SAC.

#ifndef TF_SPARSE_RL_NATIVE_SAC_H_
#define TF_SPARSE_RL_NATIVE_SAC_H_

#include <algorithm>
#include <cmath>
#include <vector>

#include "actor_critic.h"
#include "kernels.h"
#include "network.h"
#include "squashed.h"
#include "step.h"

namespace tf_sparse_rl {

// The constants of SAC alone.
struct SacSettings {
  float critic_weight, actor_weight, alpha_weight, target_entropy;
  bool loss_of_log_alpha;
  std::vector<int64_t> seeds;
};

// sac.SacAgent._train. Haarnoja et al. 2018b (arXiv 1812.05905), algorithm 1.
class SacStep : public ActorCriticStep, public SacSettings {
 public:
  VarPtr log_alpha, log_alpha_m, log_alpha_v;
  Adam alpha_adam;
  Squashed head;

  int64_t noise_size() const override { return head.size(); }

  Status Run(OpKernelContext* ctx, const Batch& batch,
             const Tensor& observations, const Tensor& noise,
             Result* result) override {
    AtWork pi;
    Critic q[2];
    TF_RETURN_IF_ERROR(pi.Take(ctx, actor.get(), true));
    TF_RETURN_IF_ERROR(Take(ctx, q));
    Allocate(batch);
    log_pi_.resize(PaddedBatch(batch.size));
    const float alpha = std::exp(Value<float>(log_alpha));
    Sample(ctx, batch, pi, first_next_observation(), 0);
    TdTargets(ctx, batch, q,  // Equation 3.
              [&](int64_t e) { return -alpha * log_pi_[e]; });
    float losses[3], q_means[2];
    TF_RETURN_IF_ERROR(TrainCritics(ctx, batch, critic_weight,  // Equation 5.
                                    q, &losses[0], q_means));
    TF_RETURN_IF_ERROR(TrainActor(ctx, batch, q, alpha, &pi, &losses[1]));
    float mean_log_pi;
    TF_RETURN_IF_ERROR(TrainAlpha(batch, alpha, &losses[2], &mean_log_pi));
    bool is_due;
    Count(&is_due);
    if (is_due) MoveTargets(q);
    result->scalars = {losses[0] + losses[1] + losses[2],
                       losses[0],
                       losses[1],
                       losses[2],
                       alpha,
                       -mean_log_pi,
                       q_means[0],
                       q_means[1]};
    return ActBy(ctx, pi, observations, noise, result);
  }

 protected:
  Status ActBy(OpKernelContext* ctx, const AtWork& pi,
               const Tensor& observations, const Tensor& noise,
               Result* result) override {
    return ActWith(ctx, pi, head, observations, noise, result);
  }

 private:
  // Observations from the column `first` on, and actions of the actor, into the
  // inputs of both critics; log_pi_.
  void Sample(OpKernelContext* ctx, const Batch& batch, const AtWork& pi,
              int64_t first, int draw) {
    Observe(ctx, batch, pi, first);
    head.Sample(batch.size, actor_states_.last(), seeds[draw],
                Value<int64_t>(train_step), num_critic_inputs(),
                num_observations(), states_[0][0], log_pi_.data());
    ShareInputs(batch);
  }

  // Equation 9.
  Status TrainActor(OpKernelContext* ctx, const Batch& batch,
                    const Critic q[2], float alpha, AtWork* pi, float* loss) {
    Sample(ctx, batch, *pi, 0, 1);
    double total = 0;
    for (int i : {0, 1}) q[i].online.Forward(ctx, batch.size, &states_[i]);
    for (int64_t e = 0; e < batch.size; ++e) {
      total += alpha * log_pi_[e] -
               std::min(states_[0].last()[e], states_[1].last()[e]);
    }
    *loss = actor_weight * (static_cast<float>(total / batch.size) +
                            pi->Regularization());
    TF_RETURN_IF_ERROR(CheckFinite(*loss, "Actor loss"));
    const float weight = actor_weight / batch.size;
    for (int i : {0, 1}) {
      OfActions(ctx, batch, i, q[i].online, [&](int64_t e) {
        const float mine = states_[i].last()[e];
        const float other = states_[1 - i].last()[e];
        // Of equal Q-values each has half of the gradient.
        return mine < other ? -weight : mine > other ? 0 : -weight / 2;
      });
    }
    float* sum = Data(&of_actions_[0]);
    const float* other = Data(of_actions_[1]);
    for (int64_t k = 0; k < of_actions_[0].NumElements(); ++k) {
      sum[k] += other[k];
    }
    head.Gradient(batch.size, sum, alpha * weight,
                  ZeroTop(actor.get(), batch, &deltas_));
    return DescendActor(ctx, batch, actor_weight, pi);
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

  std::vector<float> log_pi_;
};

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_SAC_H_
