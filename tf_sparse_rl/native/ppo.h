// The fused train steps of PPO, many of a rollout at a time.

#ifndef TF_SPARSE_RL_NATIVE_PPO_H_
#define TF_SPARSE_RL_NATIVE_PPO_H_

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "kernels.h"
#include "network.h"
#include "policy.h"
#include "step.h"

namespace tf_sparse_rl {

// The constants of PPO's train step, attributes of the operation.
struct PpoSettings {
  float clip_ratio, value_weight, entropy_weight;
  float clip_norm;  // of the gradients of both networks together; 0: none
  // The learning rate falls along lines, by the number of the rollout: where
  // they begin, the rate there, where they are 0. Without: it stays as it is.
  std::vector<float> begins, rates, ends;
  int64_t train_steps_of_rollout;
};

// ppo.PpoAgent._train. Schulman et al. 2017, equations 7 and 9. Rows are
// observation, action, return, advantage, value and parameters of the policy.
class PpoStep : public Step, public PpoSettings {
 public:
  tensorflow::core::RefCountPtr<Network> actor, value;
  std::unique_ptr<Policy> policy;
  VarPtr train_step;
  VarPtr own, own_m, own_v;  // of the policy, null if it has none
  Adam adam;

  int64_t row_size() const override {
    return first_parameter() + policy->num_parameters();
  }

  // Trains on `batches`, of the same size, of rows by number. The caller has
  // the lock of all variables. Ends early after a loss that is not finite, by
  // which nothing was updated.
  //
  // `losses` has one for each batch that was looked at; `scalars` are of the
  // last.
  Status Run(OpKernelContext* ctx, const Batch& rows, const int64_t* batches,
             int64_t num_batches, int64_t batch_size,
             std::vector<float>* losses, std::vector<float>* scalars) {
    AtWork pi, v;
    TF_RETURN_IF_ERROR(pi.Take(ctx, actor.get(), true));
    TF_RETURN_IF_ERROR(v.Take(ctx, value.get(), true));
    TF_RETURN_IF_ERROR(TakeOwn(ctx));
    TF_RETURN_IF_ERROR(OldLogProbs(rows, batches, num_batches * batch_size));
    Allocate(batch_size, pi.num_gradients() + v.num_gradients());
    for (int64_t i = 0; i < num_batches; ++i, batches += batch_size) {
      const float learning_rate = AdaptLearningRate();
      const Batch batch = Gather(rows, batches, batch_size);
      *scalars = Losses(ctx, batch, pi, v);
      scalars->push_back(learning_rate);
      losses->push_back(scalars->front());
      if (!std::isfinite(losses->back())) break;
      Descend(ctx, batch, &pi, &v);
      Assign<int64_t>(train_step, Value<int64_t>(train_step) + 1);
    }
    return OkStatus();
  }

 private:
  // Columns of a row.
  int64_t num_observations() const { return actor->layers[0].inputs; }
  int64_t first_action() const { return num_observations(); }
  int64_t the_return() const { return first_action() + policy->action_size(); }
  int64_t the_advantage() const { return the_return() + 1; }
  int64_t first_parameter() const { return the_return() + 3; }

  Status TakeOwn(OpKernelContext* ctx) {
    if (!own) return OkStatus();
    for (const auto& [variable, data] :
         {std::pair(&own, &own_data_), std::pair(&own_m, &own_m_data_),
          std::pair(&own_v, &own_v_data_)}) {
      TF_RETURN_IF_ERROR(ForWriting(ctx, (*variable)->tensor(), data));
    }
    return OkStatus();
  }

  // Of all rows, for each is trained on several times.
  Status OldLogProbs(const Batch& rows, const int64_t* numbers,
                     int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      if (numbers[i] < 0 || numbers[i] >= rows.size) {
        return InvalidArgument("Expected numbers of ", rows.size,
                               " rows. Received: ", numbers[i]);
      }
    }
    all_old_log_probs_.resize(rows.size);
    for (int64_t e = 0; e < rows.size; ++e) {
      const float* row = rows.rows + e * rows.row;
      if (!policy->Accepts(row + first_action())) {
        return InvalidArgument("Expected an action of the policy. Received: ",
                               row[first_action()]);
      }
      all_old_log_probs_[e] =
          policy->OldLogProb(row + first_action(), row + first_parameter());
    }
    return OkStatus();
  }

  void Allocate(int64_t batch_size, int64_t num_gradients) {
    for (States* states : {&actor_states_, &actor_deltas_}) {
      states->Allocate(*actor, batch_size);
    }
    for (States* states : {&value_states_, &value_deltas_}) {
      states->Allocate(*value, batch_size);
    }
    for (std::vector<float>* each :
         {&old_log_probs_, &advantages_, &of_log_probs_}) {
      each->resize(batch_size);
    }
    gradients_.resize(num_gradients + policy->num_own());
  }

  float AdaptLearningRate() {
    if (begins.empty()) return Value<float>(adam.learning_rate);
    const float done = Value<int64_t>(train_step) / train_steps_of_rollout;
    float rate = 0;
    for (size_t i = 0; i < begins.size(); ++i) {
      if (i > 0 && done < begins[i]) break;
      rate = rates[i] * (1 - (done - begins[i]) / (ends[i] - begins[i]));
    }
    Assign(adam.learning_rate, rate);
    return rate;
  }

  // A batch of rows, and what is of each example in it.
  Batch Gather(const Batch& rows, const int64_t* numbers, int64_t size) {
    rows_.resize(size * rows.row);
    for (int64_t e = 0; e < size; ++e) {
      std::copy_n(rows.rows + numbers[e] * rows.row, rows.row,
                  rows_.data() + e * rows.row);
      old_log_probs_[e] = all_old_log_probs_[numbers[e]];
      advantages_[e] = rows_[e * rows.row + the_advantage()];
    }
    Normalize(&advantages_);
    return {rows_.data(), size, rows.row};
  }

  static void Normalize(std::vector<float>* values) {
    double sum = 0, squares = 0;
    for (float each : *values) sum += each;
    const float mean = sum / values->size();
    for (float each : *values) squares += (each - mean) * (each - mean);
    const float variance = squares / values->size();
    for (float& each : *values) {
      each = (each - mean) / std::sqrt(variance + 1e-8f);
    }
  }

  // The losses and statistics of a batch; leaves the gradients of what the
  // networks return in their deltas.
  std::vector<float> Losses(OpKernelContext* ctx, const Batch& batch,
                            const AtWork& pi, const AtWork& v) {
    const int64_t n = num_observations(), size = batch.size;
    batch.ToBlocks(0, n, n, 0, actor_states_[0]);
    std::copy_n(actor_states_[0], PaddedBatch(size) * n, value_states_[0]);
    pi.Forward(ctx, size, &actor_states_);
    v.Forward(ctx, size, &value_states_);
    double entropies = 0;
    float clip_fraction = 0;
    const float policy_loss = PolicyLoss(batch, &entropies, &clip_fraction);
    const float value_loss = ValueLoss(batch);
    const float entropy = entropies / size;
    const float l2_loss = pi.Regularization() + v.Regularization();
    float loss = policy_loss + value_loss + l2_loss;
    if (entropy_weight != 0) loss -= entropy_weight * entropy;
    return {loss, policy_loss, value_loss, l2_loss, clip_fraction, entropy};
  }

  // Equation 7, negated.
  float PolicyLoss(const Batch& batch, double* entropies,
                   float* clip_fraction) {
    if (own) policy->Take(own_data_);
    double total = 0;
    int64_t num_clipped = 0;
    for (int64_t e = 0; e < batch.size; ++e) {
      float log_prob, entropy;
      policy->Evaluate(actor_states_.last(), batch.size, e, Action(batch, e),
                       &log_prob, &entropy);
      const float ratio = std::exp(log_prob - old_log_probs_[e]);
      const float clipped =
          std::min(std::max(ratio, 1 - clip_ratio), 1 + clip_ratio);
      const float free = ratio * advantages_[e];
      const float bound = clipped * advantages_[e];
      total -= free <= bound ? free : bound;
      // A ratio that was clipped has no gradient.
      of_log_probs_[e] = free <= bound ? -free / batch.size : 0;
      num_clipped += std::abs(ratio - 1) > clip_ratio;
      *entropies += entropy;
    }
    *clip_fraction = static_cast<float>(num_clipped) / batch.size;
    return total / batch.size;
  }

  // Equation 9.
  float ValueLoss(const Batch& batch) {
    float* deltas = ZeroTop(value.get(), batch, &value_deltas_);
    double total = 0;
    for (int64_t e = 0; e < batch.size; ++e) {
      const float error =
          value_states_.last()[e] - batch.at(e, the_return());
      total += error * error;
      deltas[e] = value_weight * 2 * error / batch.size;
    }
    return value_weight * static_cast<float>(total / batch.size);
  }

  // One Adam step down the gradient of the losses of both networks.
  void Descend(OpKernelContext* ctx, const Batch& batch, AtWork* pi,
               AtWork* v) {
    float* of_actor = gradients_.data();
    float* of_value = of_actor + pi->num_gradients();
    float* of_own = of_value + v->num_gradients();
    std::fill_n(of_own, policy->num_own(), 0.0f);
    float* top = ZeroTop(actor.get(), batch, &actor_deltas_);
    for (int64_t e = 0; e < batch.size; ++e) {
      policy->Gradient(actor_states_.last(), batch.size, e, Action(batch, e),
                       of_log_probs_[e], -entropy_weight / batch.size, top,
                       of_own);
    }
    pi->Backward(ctx, batch.size, &actor_states_, &actor_deltas_);
    v->Backward(ctx, batch.size, &value_states_, &value_deltas_);
    pi->Gradients(ctx, batch.size, &actor_states_, &actor_deltas_, of_actor);
    v->Gradients(ctx, batch.size, &value_states_, &value_deltas_, of_value);
    if (clip_norm > 0) Clip();
    const AdamStep step = adam.Next();
    pi->Update(ctx, step, of_actor);
    v->Update(ctx, step, of_value);
    if (own) {
      BestKernels().adam(step, 0.0f, policy->num_own(), of_own, own_data_,
                         own_m_data_, own_v_data_);
    }
  }

  // As tf.clip_by_global_norm: a norm that is not finite makes all NaN.
  void Clip() {
    double squares = 0;
    for (float each : gradients_) squares += each * each;
    const float norm = std::sqrt(squares);
    const float scale =
        clip_norm * std::min(1 / norm, 1 / clip_norm) + (norm - norm);
    for (float& each : gradients_) each *= scale;
  }

  const float* Action(const Batch& batch, int64_t example) const {
    return batch.rows + example * batch.row + first_action();
  }

  States actor_states_, actor_deltas_, value_states_, value_deltas_;
  std::vector<float> rows_, all_old_log_probs_;
  std::vector<float> old_log_probs_, advantages_;  // of the batch
  std::vector<float> of_log_probs_;  // the gradient of the policy's loss
  std::vector<float> gradients_;     // the actor's, the value network's, own
  float *own_data_ = nullptr, *own_m_data_ = nullptr, *own_v_data_ = nullptr;
};

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_PPO_H_
