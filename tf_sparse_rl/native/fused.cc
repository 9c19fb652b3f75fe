// Whole train steps of agents, each in one operation: from a batch to updated
// weights, moments and targets, losses, and the next actions.
//
// They are what the agents' `_train` defines in TensorFlow. A step is made
// once, of networks and scalar variables, and holds its buffers. Rows of a
// batch are observation, action, reward, discount and next observation.

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels.h"
#include "network.h"
#include "packed.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/lib/random/philox_random.h"
#include "tensorflow/core/lib/random/random_distributions.h"

namespace tf_sparse_rl {
namespace {

using tensorflow::ResourceBase;
using tensorflow::shape_inference::InferenceContext;

Status Lookup(OpKernelContext* ctx, const tensorflow::ResourceHandle& handle,
              VarPtr* variable) {
  return tensorflow::LookupResource(ctx, handle, variable);
}

// The value of a scalar variable.
template <typename T>
T Value(const VarPtr& variable) {
  return variable->tensor()->scalar<T>()();
}

template <typename T>
void Assign(const VarPtr& variable, T value) {
  Tensor changed(variable->tensor()->dtype(), {});
  changed.scalar<T>()() = value;
  *variable->tensor() = changed;
}

// Adam's numbers, of one optimizer.
struct Adam {
  VarPtr learning_rate, beta_1, beta_2, iterations;
  float epsilon;

  // In the order in which operations get them.
  std::vector<VarPtr*> Variables() {
    return {&learning_rate, &beta_1, &beta_2, &iterations};
  }

  // The numbers of the next step, which is counted.
  AdamStep Next() const {
    const int64_t train_step = Value<int64_t>(iterations);
    Assign<int64_t>(iterations, train_step + 1);
    return AdamStepOf(Value<float>(learning_rate), Value<float>(beta_1),
                      Value<float>(beta_2), epsilon, train_step);
  }
};

// A batch as the operation gets it.
struct Batch {
  const float* rows;
  int64_t size, row;

  // Columns of the rows in blocks, `units` from `first` on, as units of blocks
  // that have `all` units, from the unit `at` on.
  void ToBlocks(int64_t first, int64_t units, int64_t all, int64_t at,
                float* blocks) const {
    const int64_t width = BlockWidth(size);
    for (int64_t b = 0; b < NumBlocks(size); ++b) {
      float* block = blocks + (b * all + at) * width;
      const int64_t examples = std::min(width, size - b * width);
      for (int64_t e = 0; e < examples; ++e) {
        const float* from = rows + (b * width + e) * row + first;
        for (int64_t i = 0; i < units; ++i) block[i * width + e] = from[i];
      }
    }
  }

  float at(int64_t example, int64_t column) const {
    return rows[example * row + column];
  }
};

// What a train step returns.
struct Result {
  Tensor* actions;
  std::vector<float> scalars;
};

Status CheckFinite(float loss, const char* name) {
  if (std::isfinite(loss)) return OkStatus();
  return InvalidArgument(name, " is inf or nan");
}

// A train step of some agent.
class Step : public ResourceBase {
 public:
  std::string DebugString() const override { return "tf_sparse_rl train step"; }

  // Numbers of an observation, of a row of the batch, of an action's noise.
  virtual int64_t num_observations() const = 0;
  virtual int64_t row_size() const = 0;
  virtual int64_t noise_size() const = 0;

  // The caller has the lock of all variables.
  virtual Status Run(OpKernelContext* ctx, const Batch& batch,
                     const Tensor& observations, const Tensor& noise,
                     Result* result) = 0;

  // All variables, in the order in which they are locked.
  void Remember(const std::vector<Network*>& networks,
                const std::vector<Adam*>& adams,
                const std::vector<VarPtr*>& scalars) {
    for (Network* network : networks) {
      for (const Layer& layer : network->layers) {
        for (const VarPtr* variable :
             {&layer.kernel, &layer.bias, &layer.mask, &layer.kernel_m,
              &layer.kernel_v, &layer.bias_m, &layer.bias_v}) {
          if (*variable) all_.push_back(variable->get());
        }
      }
    }
    for (Adam* adam : adams) {
      for (const VarPtr* variable : adam->Variables()) {
        all_.push_back(variable->get());
      }
    }
    for (const VarPtr* variable : scalars) all_.push_back(variable->get());
    std::sort(all_.begin(), all_.end(),
              [](Var* a, Var* b) { return a->mu() < b->mu(); });
    all_.erase(std::unique(all_.begin(), all_.end()), all_.end());
  }

  const std::vector<Var*>& variables() const { return all_; }

 protected:
  // The gradient of a network's outputs, 0 as yet, of missing examples too.
  static float* ZeroTop(const Network* network, const Batch& batch,
                        States* deltas) {
    float* top = (*deltas)[network->layers.size()];
    std::fill_n(top,
                PaddedBatch(batch.size) * network->layers.back().outputs, 0.0f);
    return top;
  }

  // The outputs of a network for observations [count, inputs], in blocks.
  const float* Outputs(OpKernelContext* ctx, const AtWork& network,
                       const Network& of, const Tensor& observations) {
    const int64_t count = observations.dim_size(0);
    acting_.Allocate(of, PaddedBatch(count));
    BestKernels().to_blocks(Data(observations), count,
                            observations.dim_size(1), acting_[0]);
    network.Forward(ctx, count, &acting_);
    return acting_.last();
  }

 private:
  std::vector<Var*> all_;
  States acting_;
};

// The place of an example's unit in blocks of `units`.
inline int64_t Place(int64_t batch, int64_t example, int64_t unit,
                     int64_t units) {
  const int64_t width = BlockWidth(batch);
  return (example / width * units + unit) * width + example % width;
}

// Standard normal numbers as tf.random.stateless_normal has them.
void StatelessNormal(int64_t seed_0, int64_t seed_1, int64_t size,
                     float* numbers) {
  using tensorflow::random::PhiloxRandom;
  const auto words = [](int64_t low, int64_t high) {
    PhiloxRandom::ResultType counter;
    counter[0] = static_cast<uint32_t>(low);
    counter[1] = static_cast<uint32_t>(static_cast<uint64_t>(low) >> 32);
    counter[2] = static_cast<uint32_t>(high);
    counter[3] = static_cast<uint32_t>(static_cast<uint64_t>(high) >> 32);
    return counter;
  };
  // TensorFlow mixes seeds by a key of its own.
  PhiloxRandom::Key key;
  key[0] = 0x3ec8f720;
  key[1] = 0x02461e29;
  const auto mixed = PhiloxRandom(words(seed_0, seed_1), key)();
  key[0] = mixed[0];
  key[1] = mixed[1];
  PhiloxRandom::ResultType counter;
  counter[0] = counter[1] = 0;
  counter[2] = mixed[2];
  counter[3] = mixed[3];
  PhiloxRandom generator(counter, key);
  tensorflow::random::NormalDistribution<PhiloxRandom, float> normal;
  for (int64_t i = 0; i < size; i += 4) {
    const auto four = normal(&generator);
    for (int64_t k = 0; k < std::min<int64_t>(4, size - i); ++k) {
      numbers[i + k] = four[k];
    }
  }
}

// Actions of a Gaussian squashed by tanh, as heads.TanhGaussian makes them.
class Squashed {
 public:
  std::vector<float> middle, scale;  // of the bounds

  int64_t size() const { return middle.size(); }

  // Draws actions by the actor's outputs, means and logarithms of standard
  // deviations, in blocks. `actions` are units of blocks that have `all` units,
  // from the unit `at` on; log_pi is [batch in whole blocks].
  void Sample(int64_t batch, const float* outputs, int64_t seed,
              int64_t train_step, int64_t all, int64_t at, float* actions,
              float* log_pi) {
    const int64_t n = size(), width = BlockWidth(batch);
    const int64_t padded = PaddedBatch(batch);
    float* drawn = Sized(&drawn_, batch * n);
    StatelessNormal(seed, train_step, batch * n, drawn);
    BestKernels().to_blocks(drawn, batch, n, Sized(&noise_, padded * n));
    Sized(&tanh_, padded * n);
    Sized(&std_, padded * n);
    float constants = 0;
    for (float each : scale) constants += std::log(each) + kHalfLog2Pi;
    std::fill_n(log_pi, padded, -constants);
    for (int64_t b = 0; b < NumBlocks(batch); ++b) {
      for (int64_t j = 0; j < n; ++j) {
        const float* mean = outputs + (b * 2 * n + j) * width;
        const int64_t mine = (b * n + j) * width;
        float* tanh = Data(&tanh_) + mine;
        BestKernels().squash(width, mean, mean + n * width, Data(noise_) + mine,
                             tanh, Data(&std_) + mine, log_pi + b * width);
        float* action = actions + (b * all + at + j) * width;
        for (int64_t e = 0; e < width; ++e) {
          action[e] = middle[j] + scale[j] * tanh[e];
        }
      }
    }
  }

  // The gradient of the outputs, from those of the actions and of log_pi, one
  // for all examples, of what was sampled last. All but log_pi's in blocks, of
  // which missing examples stay 0.
  void Gradient(int64_t batch, const float* of_actions, float of_log_pi,
                float* of_outputs) const {
    const int64_t n = size(), width = BlockWidth(batch);
    for (int64_t b = 0; b < NumBlocks(batch); ++b) {
      const int64_t examples = std::min(width, batch - b * width);
      for (int64_t j = 0; j < n; ++j) {
        const int64_t mine = (b * n + j) * width;
        const float *t = Data(tanh_) + mine, *z = Data(noise_) + mine;
        const float *std = Data(std_) + mine, *of_action = of_actions + mine;
        float* of_mean = of_outputs + (b * 2 * n + j) * width;
        float* of_log_std = of_mean + n * width;
        for (int64_t e = 0; e < examples; ++e) {
          of_mean[e] = of_action[e] * scale[j] * (1 - t[e] * t[e]) +
                       of_log_pi * 2 * t[e];
          of_log_std[e] = of_mean[e] * std[e] * z[e] - of_log_pi;
        }
      }
    }
  }

  // An action of one example by noise.
  void Act(const float* outputs, int64_t batch, int64_t example,
           const float* noise, float* action) const {
    const int64_t n = size();
    for (int64_t j = 0; j < n; ++j) {
      const float x = outputs[Place(batch, example, j, 2 * n)] +
                      std::exp(outputs[Place(batch, example, n + j, 2 * n)]) *
                          noise[j];
      action[j] = middle[j] + scale[j] * std::tanh(x);
    }
  }

 private:
  static constexpr float kHalfLog2Pi = 0.91893853320f;
  Tensor drawn_;               // [batch, size]
  Tensor noise_, tanh_, std_;  // in blocks, of the last Sample
};

// The constants of SAC's train step, attributes of the operation.
struct SacSettings {
  float critic_weight, actor_weight, alpha_weight, reward_scale, gamma,
      target_entropy, tau;
  bool loss_of_log_alpha;
  int64_t target_update_period;
  std::vector<int64_t> seeds;
};

// sac.SacAgent._train. Haarnoja et al. 2018b (arXiv 1812.05905), algorithm 1.
class SacStep : public Step, public SacSettings {
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

// The constants of DQN's train step, attributes of the operation.
struct DqnSettings {
  float reward_scale, gamma, tau, epsilon, epsilon_decay_train_steps;
  bool is_huber, is_double;
  int64_t target_update_period;
};

// dqn.DqnAgent._train. Mnih et al. 2015, algorithm 1; van Hasselt et al. 2016.
class DqnStep : public Step, public DqnSettings {
 public:
  tensorflow::core::RefCountPtr<Network> online, target;
  VarPtr train_step;
  Adam adam;

  int64_t num_observations() const override {
    return online->layers[0].inputs;
  }
  int64_t row_size() const override { return 2 * num_observations() + 3; }
  int64_t noise_size() const override { return 2; }

  Status Run(OpKernelContext* ctx, const Batch& batch,
             const Tensor& observations, const Tensor& noise,
             Result* result) override {
    AtWork q, behind;
    TF_RETURN_IF_ERROR(q.Take(ctx, online.get(), true));
    TF_RETURN_IF_ERROR(behind.Take(ctx, target.get(), false));
    for (States* states : {&states_, &deltas_}) {
      states->Allocate(*online, PaddedBatch(batch.size));
    }
    TdTargets(ctx, batch, q, behind);
    float loss, td_loss;
    TF_RETURN_IF_ERROR(Train(ctx, batch, &q, &loss, &td_loss));
    const int64_t step = Value<int64_t>(train_step) + 1;
    Assign<int64_t>(train_step, step);
    if (step % target_update_period == 0) {
      TF_RETURN_IF_ERROR(behind.MoveTo(ctx, q, tau));
    }
    result->scalars = {loss, td_loss};
    return Act(ctx, q, observations, noise, result);
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

  void TdTargets(OpKernelContext* ctx, const Batch& batch, const AtWork& q,
                 const AtWork& behind) {
    const int64_t n = num_observations(), reward = n + 1, discount = n + 2;
    td_targets_.resize(batch.size);
    best_.resize(batch.size);
    batch.ToBlocks(discount + 1, n, n, 0, states_[0]);
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
    batch.ToBlocks(0, n, n, 0, states_[0]);
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
    q->Descend(ctx, adam.Next(), 2.0f, batch.size, &states_, &deltas_,
               &gradient_);
    return OkStatus();
  }

  // Epsilon-greedy.
  Status Act(OpKernelContext* ctx, const AtWork& q, const Tensor& observations,
             const Tensor& noise, Result* result) {
    const int64_t count = observations.dim_size(0);
    TF_RETURN_IF_ERROR(ctx->allocate_output(0, {count}, &result->actions));
    const float* outputs = Outputs(ctx, q, *online, observations);
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

  States states_, deltas_;
  std::vector<float> td_targets_;
  std::vector<int64_t> best_;
  Tensor gradient_;
};

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
    OP_REQUIRES_OK(ctx, ctx->GetAttr("is_trained", &is_trained_));
  }

  void Compute(OpKernelContext* ctx) override {
    Handles variables;
    OP_REQUIRES_OK(ctx, variables.Read(ctx, "variables"));
    const size_t count = activations_.size();
    const size_t masks =
        std::count(has_mask_.begin(), has_mask_.end(), true);
    OP_REQUIRES(ctx,
                count > 0 && sizes_.size() == count + 1 &&
                    l2_.size() == count && has_mask_.size() == count &&
                    variables.size() == count * (is_trained_ ? 6 : 2) + masks,
                InvalidArgument("Expected as many of each as layers."));
    std::vector<Layer> layers(count);
    for (size_t l = 0; l < count; ++l) {
      Layer& layer = layers[l];
      bool known = true;
      layer.inputs = sizes_[l];
      layer.outputs = sizes_[l + 1];
      layer.activation = ActivationNamed(activations_[l], &known);
      OP_REQUIRES(ctx, known,
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
    Return(ctx, new Network(std::move(layers)));
  }

 private:
  std::vector<int64_t> sizes_;
  std::vector<std::string> activations_;
  std::vector<float> l2_;
  std::vector<bool> has_mask_;
  bool is_trained_;
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

  Status ReadScalars(OpKernelContext* ctx,
                     const std::vector<VarPtr*>& scalars) {
    Handles variables;
    TF_RETURN_IF_ERROR(variables.Read(ctx, "scalars"));
    for (VarPtr* scalar : scalars) *scalar = variables.Next();
    return OkStatus();
  }
};

class MakeSacOp : public MakeStepOp {
 public:
  explicit MakeSacOp(OpKernelConstruction* ctx) : MakeStepOp(ctx) {
    Get(ctx, "epsilons", &epsilons_);
    Get(ctx, "middle", &middle_);
    Get(ctx, "scale", &scale_);
    Get(ctx, "critic_weight", &settings_.critic_weight);
    Get(ctx, "actor_weight", &settings_.actor_weight);
    Get(ctx, "alpha_weight", &settings_.alpha_weight);
    Get(ctx, "reward_scale", &settings_.reward_scale);
    Get(ctx, "gamma", &settings_.gamma);
    Get(ctx, "target_entropy", &settings_.target_entropy);
    Get(ctx, "tau", &settings_.tau);
    Get(ctx, "loss_of_log_alpha", &settings_.loss_of_log_alpha);
    Get(ctx, "target_update_period", &settings_.target_update_period);
    Get(ctx, "seeds", &settings_.seeds);
  }

  void Compute(OpKernelContext* ctx) override {
    tensorflow::core::RefCountPtr<SacStep> step(new SacStep);
    SacStep& s = *step;
    static_cast<SacSettings&>(s) = settings_;
    s.head.middle = middle_;
    s.head.scale = scale_;
    const std::vector<Adam*> adams = {&s.critic_adam, &s.actor_adam,
                                      &s.alpha_adam};
    const std::vector<VarPtr*> scalars = {&s.train_step, &s.log_alpha,
                                          &s.log_alpha_m, &s.log_alpha_v};
    OP_REQUIRES_OK(ctx, ReadNetworks(ctx, {&s.actor, &s.critics[0],
                                           &s.critics[1], &s.targets[0],
                                           &s.targets[1]}));
    OP_REQUIRES_OK(ctx, ReadAdams(ctx, epsilons_, adams));
    OP_REQUIRES_OK(ctx, ReadScalars(ctx, scalars));
    s.Remember({s.actor.get(), s.critics[0].get(), s.critics[1].get(),
                s.targets[0].get(), s.targets[1].get()},
               adams, scalars);
    Return<Step>(ctx, step.release());
  }

 private:
  std::vector<float> epsilons_, middle_, scale_;
  SacSettings settings_;
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
    OP_REQUIRES_OK(ctx, ReadScalars(ctx, {&s.train_step}));
    s.Remember({s.online.get(), s.target.get()}, {&s.adam}, {&s.train_step});
    Return<Step>(ctx, step.release());
  }

 private:
  float adam_epsilon_;
  DqnSettings settings_;
};

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
