// The fused train step of DQN. Rows of a batch are observation, action, reward,
// discount and next observation; without observations that are images.

#ifndef TF_SPARSE_RL_NATIVE_DQN_H_
#define TF_SPARSE_RL_NATIVE_DQN_H_

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels.h"
#include "network.h"
#include "step.h"

namespace tf_sparse_rl {

// The constants of DQN's train step, attributes of the operation.
struct DqnSettings {
  float reward_scale, gamma, tau, epsilon, epsilon_decay_train_steps;
  bool is_huber, is_double;
  int64_t target_update_period;
};

// dqn.DqnAgent._train. Mnih et al. 2015, algorithm 1; van Hasselt et al. 2016.
class DqnStep : public ReplayStep, public DqnSettings {
 public:
  tensorflow::core::RefCountPtr<Network> online, target;
  VarPtr train_step;
  Adam adam;

  const Network& policy() const override { return *online; }
  int64_t row_size() const override { return 2 * num_observations() + 3; }
  int64_t noise_size() const override { return 2; }

  Status Run(OpKernelContext* ctx, const Batch& batch,
             const Tensor& observations, const Tensor& noise,
             Result* result) override {
    AtWork q, behind;
    TF_RETURN_IF_ERROR(q.Take(ctx, online.get(), true));
    TF_RETURN_IF_ERROR(behind.Take(ctx, target.get(), false));
    for (States* states : {&states_, &deltas_}) {
      states->Allocate(*online, batch.size);
    }
    TdTargets(ctx, batch, q, behind);
    float loss, td_loss;
    TF_RETURN_IF_ERROR(Train(ctx, batch, &q, &loss, &td_loss));
    const int64_t step = Value<int64_t>(train_step) + 1;
    Assign<int64_t>(train_step, step);
    if (step % target_update_period == 0) behind.MoveTo(q, tau);
    result->scalars = {loss, td_loss};
    return ActBy(ctx, q, observations, noise, result);
  }

 protected:
  // Epsilon-greedy.
  Status ActBy(OpKernelContext* ctx, const AtWork& q,
               const Tensor& observations, const Tensor& noise,
               Result* result) override {
    const int64_t count = observations.dim_size(0);
    TF_RETURN_IF_ERROR(ctx->allocate_output(0, {count}, &result->actions));
    const float* outputs = Outputs(ctx, q, observations);
    float now = epsilon;
    if (epsilon_decay_train_steps > 0) {
      const float steps = Value<int64_t>(train_step);
      const float left =
          std::max(0.0f, 1 - steps / epsilon_decay_train_steps);
      now = epsilon + (1 - epsilon) * left;
    }
    for (int64_t i = 0; i < count; ++i) {
      const float* random = Data(noise) + 2 * i;
      result->actions->flat<int32_t>()(i) =
          random[0] < now ? static_cast<int32_t>(random[1] * num_actions())
                          : Best(outputs, count, i);
    }
    return OkStatus();
  }

 private:
  int64_t num_actions() const { return online->layers.back().outputs; }

  int64_t Best(const float* outputs, int64_t batch, int64_t example) const {
    const int64_t n = num_actions();
    int64_t best = 0;
    for (int64_t j = 1; j < n; ++j) {
      if (outputs[Place(batch, example, j, n)] >
          outputs[Place(batch, example, best, n)]) {
        best = j;
      }
    }
    return best;
  }

  // Observations, which are number `i` of the images or begin at a column of the
  // rows, into the states.
  void Observe(OpKernelContext* ctx, const Batch& batch, const AtWork& network,
               int i, int64_t column) {
    if (has_images()) return network.Load(ctx, *batch.images[i], true, &states_);
    const int64_t n = num_observations();
    batch.ToBlocks(column, n, n, 0, states_[0]);
  }

  void TdTargets(OpKernelContext* ctx, const Batch& batch, const AtWork& q,
                 const AtWork& behind) {
    const int64_t n = num_observations(), reward = n + 1, discount = n + 2;
    td_targets_.resize(batch.size);
    best_.resize(batch.size);
    Observe(ctx, batch, q, 1, discount + 1);
    const auto pick = [&] {
      for (int64_t e = 0; e < batch.size; ++e) {
        best_[e] = Best(states_.last(), batch.size, e);
      }
    };
    if (is_double) {
      q.Forward(ctx, batch.size, &states_);
      pick();
    }
    behind.Forward(ctx, batch.size, &states_);
    if (!is_double) pick();
    for (int64_t e = 0; e < batch.size; ++e) {
      const float value =
          states_.last()[Place(batch.size, e, best_[e], num_actions())];
      td_targets_[e] = reward_scale * batch.at(e, reward) +
                       gamma * batch.at(e, discount) * value;
    }
  }

  Status Train(OpKernelContext* ctx, const Batch& batch, AtWork* q, float* loss,
               float* td_loss) {
    const int64_t n = num_observations();
    Observe(ctx, batch, *q, 0, 0);
    q->Forward(ctx, batch.size, &states_);
    float* deltas = ZeroTop(online.get(), batch, &deltas_);
    double total = 0;
    for (int64_t e = 0; e < batch.size; ++e) {
      const int64_t action = static_cast<int32_t>(batch.at(e, n));
      if (action < 0 || action >= num_actions()) {
        return InvalidArgument("Expected an action from 0 to before ",
                               num_actions(), ". Received: ", action);
      }
      const int64_t place = Place(batch.size, e, action, num_actions());
      const float error = states_.last()[place] - td_targets_[e];
      const float size = std::abs(error);
      const bool is_linear = is_huber && size > 1;
      total += is_linear  ? size - 0.5f
               : is_huber ? 0.5f * error * error
                          : error * error;
      const float slope = is_linear  ? std::copysign(1.0f, error)
                          : is_huber ? error
                                     : 2 * error;
      deltas[place] = slope / batch.size;
    }
    *td_loss = total / batch.size;
    *loss = *td_loss + q->Regularization();
    TF_RETURN_IF_ERROR(CheckFinite(*loss, "Loss"));
    q->Backward(ctx, batch.size, &states_, &deltas_);
    return q->Descend(ctx, adam.Next(), 2.0f, batch.size, &states_, &deltas_,
                      &gradient_);
  }

  States states_, deltas_;
  std::vector<float> td_targets_;
  std::vector<int64_t> best_;
  Tensor gradient_;
};

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_DQN_H_
