// The fused train step of TD3.

#ifndef TF_SPARSE_RL_NATIVE_TD3_H_
#define TF_SPARSE_RL_NATIVE_TD3_H_

#include <algorithm>
#include <vector>

#include "actor_critic.h"
#include "kernels.h"
#include "network.h"
#include "random.h"
#include "step.h"

namespace tf_sparse_rl {

// heads.Deterministic, whose tanh is the activation of the actor's last layer.
class Bounded {
 public:
  std::vector<float> middle, scale, low, high;  // of the bounds
  float exploration_noise;

  int64_t size() const { return middle.size(); }

  float Mode(int64_t j, float tanh) const {
    return middle[j] + scale[j] * tanh;
  }

  // An action's entry plus noise, within the bounds.
  float Perturbed(int64_t j, float action, float noise) const {
    return std::clamp(action + scale[j] * noise, low[j], high[j]);
  }

  void Act(const float* outputs, int64_t batch, int64_t example,
           const float* noise, float* action) const {
    for (int64_t j = 0; j < size(); ++j) {
      action[j] = Perturbed(j, Mode(j, outputs[Place(batch, example, j, size())]),
                            exploration_noise * noise[j]);
    }
  }
};

// The constants of TD3 alone.
struct Td3Settings {
  float target_noise, target_noise_clip;
  int64_t actor_update_period, seed;
};

// td3.Td3Agent._train. Fujimoto et al. 2018 (arXiv 1802.09477), algorithm 1.
class Td3Step : public ActorCriticStep, public Td3Settings {
 public:
  tensorflow::core::RefCountPtr<Network> target_actor;
  Bounded head;

  int64_t noise_size() const override { return head.size(); }

  Status Run(OpKernelContext* ctx, const Batch& batch,
             const Tensor& observations, const Tensor& noise,
             Result* result) override {
    AtWork pi, target;
    Critic q[2];
    TF_RETURN_IF_ERROR(pi.Take(ctx, actor.get(), true));
    TF_RETURN_IF_ERROR(target.Take(ctx, target_actor.get(), false));
    TF_RETURN_IF_ERROR(Take(ctx, q));
    Allocate(batch);
    SmoothedActions(ctx, batch, target);
    TdTargets(ctx, batch, q, [](int64_t) { return 0.0f; });
    float critic_loss, actor_loss, q_means[2];
    TF_RETURN_IF_ERROR(
        TrainCritics(ctx, batch, 1, q, &critic_loss, q_means));
    bool is_due;
    Count(&is_due);
    TF_RETURN_IF_ERROR(TrainActor(ctx, batch, q[0].online, &pi, &actor_loss));
    // Masks at once, weights when they are due.
    target.TakeOverMasks(pi);
    for (Critic& each : q) each.target.TakeOverMasks(each.online);
    if (is_due) {
      target.MoveTo(pi, tau);
      MoveTargets(q);
    }
    result->scalars = {critic_loss + actor_loss, critic_loss, actor_loss,
                       q_means[0], q_means[1]};
    return ActBy(ctx, pi, observations, noise, result);
  }

 protected:
  Status ActBy(OpKernelContext* ctx, const AtWork& pi,
               const Tensor& observations, const Tensor& noise,
               Result* result) override {
    return ActWith(ctx, pi, head, observations, noise, result);
  }

 private:
  // Calls `action(example, j, tanh)` for each entry of the actions of the actor
  // that observed last, and puts what it returns into the first critic's input.
  template <typename Action>
  void Actions(const Batch& batch, const Action& action) {
    const int64_t n = head.size(), all = num_critic_inputs();
    const float* outputs = actor_states_.last();
    for (int64_t e = 0; e < batch.size; ++e) {
      for (int64_t j = 0; j < n; ++j) {
        states_[0][0][Place(batch.size, e, num_observations() + j, all)] =
            action(e, j, outputs[Place(batch.size, e, j, n)]);
      }
    }
  }

  // Equation 14: next observations and actions, into both critics' inputs.
  void SmoothedActions(OpKernelContext* ctx, const Batch& batch,
                       const AtWork& target) {
    const int64_t n = head.size();
    Observe(ctx, batch, target, first_next_observation());
    noise_.resize(batch.size * n);
    StatelessNormal(seed, Value<int64_t>(train_step), noise_.size(),
                    noise_.data());
    Actions(batch, [&](int64_t e, int64_t j, float tanh) {
      const float noise =
          std::clamp(target_noise * noise_[e * n + j], -target_noise_clip,
                     target_noise_clip);
      return head.Perturbed(j, head.Mode(j, tanh), noise);
    });
    ShareInputs(batch);
  }

  // By the first critic; its loss also where the actor is not updated.
  Status TrainActor(OpKernelContext* ctx, const Batch& batch, const AtWork& q,
                    AtWork* pi, float* loss) {
    Observe(ctx, batch, *pi, 0);
    Actions(batch, [&](int64_t, int64_t j, float tanh) {
      return head.Mode(j, tanh);
    });
    q.Forward(ctx, batch.size, &states_[0]);
    double total = 0;
    for (int64_t e = 0; e < batch.size; ++e) total -= states_[0].last()[e];
    *loss = static_cast<float>(total / batch.size) + pi->Regularization();
    if (Value<int64_t>(train_step) % actor_update_period != 0) {
      return OkStatus();
    }
    TF_RETURN_IF_ERROR(CheckFinite(*loss, "Actor loss"));
    OfActions(ctx, batch, 0, q,
              [&](int64_t) { return -1.0f / batch.size; });
    const int64_t n = head.size();
    float* of_tanh = ZeroTop(actor.get(), batch, &deltas_);
    for (int64_t e = 0; e < batch.size; ++e) {
      for (int64_t j = 0; j < n; ++j) {
        const int64_t place = Place(batch.size, e, j, n);
        of_tanh[place] = head.scale[j] * Data(of_actions_[0])[place];
      }
    }
    return DescendActor(ctx, batch, 1, pi);
  }

  std::vector<float> noise_;
};

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_TD3_H_
