// Policies of PPO: the distribution of actions, by what an actor returns.

#ifndef TF_SPARSE_RL_NATIVE_POLICY_H_
#define TF_SPARSE_RL_NATIVE_POLICY_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "kernels.h"
#include "packed.h"
#include "step.h"

namespace tf_sparse_rl {

// A head of networks/heads.py. Outputs are those of the actor, in blocks;
// actions and parameters, of the distribution that they were drawn from, are as
// a row has them.
class Policy {
 public:
  virtual ~Policy() {}

  // Numbers of an action, of the parameters, and of the head's own variable.
  virtual int64_t action_size() const = 0;
  virtual int64_t num_parameters() const = 0;
  virtual int64_t num_own() const { return 0; }

  // Whether there is such an action.
  virtual bool Accepts(const float* action) const {
    (void)action;
    return true;
  }

  // The logarithm of an action's probability when it was drawn.
  virtual float OldLogProb(const float* action,
                           const float* parameters) const = 0;

  // Takes the head's own variable as it is now.
  virtual void Take(const float* own) { (void)own; }

  // The same by what the actor returns now, and the entropy.
  virtual void Evaluate(const float* outputs, int64_t batch, int64_t example,
                        const float* action, float* log_prob,
                        float* entropy) const = 0;

  // The gradient of an example's outputs, put where they are, and of the own
  // variable, added, from those of its log_prob and of its entropy.
  virtual void Gradient(const float* outputs, int64_t batch, int64_t example,
                        const float* action, float of_log_prob,
                        float of_entropy, float* of_outputs,
                        float* of_own) const = 0;
};

// heads.Gaussian, whose tanh is the activation of the actor's last layer. Its
// own variable becomes the standard deviations.
class GaussianPolicy : public Policy {
 public:
  GaussianPolicy(std::vector<float> middle, std::vector<float> scale)
      : middle_(std::move(middle)), scale_(std::move(scale)) {}

  int64_t action_size() const override { return middle_.size(); }
  int64_t num_parameters() const override { return 2 * action_size(); }
  int64_t num_own() const override { return action_size(); }

  float OldLogProb(const float* action,
                   const float* parameters) const override {
    const int64_t n = action_size();
    float sum = 0;
    for (int64_t j = 0; j < n; ++j) {
      const float std = parameters[n + j];
      const float z = (action[j] - parameters[j]) / std;
      sum -= 0.5f * z * z + kHalfLog2Pi + std::log(std);
    }
    return sum;
  }

  void Take(const float* own) override {
    std_.resize(action_size());
    slope_.resize(action_size());
    log_prob_ = entropy_ = 0;
    for (int64_t j = 0; j < action_size(); ++j) {
      // Softplus, without overflow.
      std_[j] =
          std::max(own[j], 0.0f) + std::log1p(std::exp(-std::abs(own[j])));
      slope_[j] = 1 / (1 + std::exp(-own[j]));
      log_prob_ -= kHalfLog2Pi + std::log(std_[j]);
      entropy_ += 0.5f + kHalfLog2Pi + std::log(std_[j]);
    }
  }

  void Evaluate(const float* outputs, int64_t batch, int64_t example,
                const float* action, float* log_prob,
                float* entropy) const override {
    *log_prob = log_prob_;
    for (int64_t j = 0; j < action_size(); ++j) {
      const float z = Distance(outputs, batch, example, j, action);
      *log_prob -= 0.5f * z * z;
    }
    *entropy = entropy_;
  }

  void Gradient(const float* outputs, int64_t batch, int64_t example,
                const float* action, float of_log_prob, float of_entropy,
                float* of_outputs, float* of_own) const override {
    const int64_t n = action_size();
    for (int64_t j = 0; j < n; ++j) {
      const float z = Distance(outputs, batch, example, j, action);
      of_outputs[Place(batch, example, j, n)] =
          of_log_prob * z / std_[j] * scale_[j];
      of_own[j] +=
          (of_log_prob * (z * z - 1) + of_entropy) / std_[j] * slope_[j];
    }
  }

 private:
  static constexpr float kHalfLog2Pi = 0.91893853320f;

  // Of an action from the mean, in standard deviations.
  float Distance(const float* outputs, int64_t batch, int64_t example,
                 int64_t j, const float* action) const {
    const float tanh = outputs[Place(batch, example, j, action_size())];
    return (action[j] - (middle_[j] + scale_[j] * tanh)) / std_[j];
  }

  std::vector<float> middle_, scale_;  // of the bounds
  std::vector<float> std_, slope_;  // slope_: of std_ by the variable
  float log_prob_, entropy_;        // log_prob_: that of the mean
};

// heads.Categorical, or MultiCategorical: one for each entry of an action.
class CategoricalPolicy : public Policy {
 public:
  // Takes the choices of each entry.
  explicit CategoricalPolicy(std::vector<int64_t> counts)
      : counts_(std::move(counts)) {
    for (const int64_t count : counts_) num_logits_ += count;
  }

  int64_t action_size() const override { return counts_.size(); }
  int64_t num_parameters() const override { return num_logits_; }

  bool Accepts(const float* action) const override {
    for (size_t i = 0; i < counts_.size(); ++i) {
      if (!(action[i] >= 0 && action[i] < counts_[i])) return false;
    }
    return true;
  }

  float OldLogProb(const float* action,
                   const float* parameters) const override {
    float unused;
    return LogProb(action, {parameters, 1}, &unused);
  }

  void Evaluate(const float* outputs, int64_t batch, int64_t example,
                const float* action, float* log_prob,
                float* entropy) const override {
    *log_prob = LogProb(action, Of(outputs, batch, example), entropy);
  }

  void Gradient(const float* outputs, int64_t batch, int64_t example,
                const float* action, float of_log_prob, float of_entropy,
                float* of_outputs, float*) const override {
    Logits logits = Of(outputs, batch, example);
    float* to = of_outputs + Place(batch, example, 0, num_logits_);
    for (int64_t i = 0; i < action_size(); ++i) {
      float entropy;
      const float log_sum = LogSum(logits, counts_[i], &entropy);
      const int64_t chosen = static_cast<int64_t>(action[i]);
      for (int64_t j = 0; j < counts_[i]; ++j, to += logits.stride) {
        const float log_p = logits[j] - log_sum, p = std::exp(log_p);
        *to = of_log_prob * ((j == chosen) - p) -
              of_entropy * p * (log_p + entropy);
      }
      logits.first += counts_[i] * logits.stride;
    }
  }

 private:
  // The logits of an example, of an entry of the action and those after it.
  struct Logits {
    const float* first;
    int64_t stride;
    float operator[](int64_t j) const { return first[j * stride]; }
  };

  Logits Of(const float* outputs, int64_t batch, int64_t example) const {
    return {outputs + Place(batch, example, 0, num_logits_),
            BlockWidth(batch)};
  }

  // The logarithm of the sum of some logits' exponentials, and the entropy.
  static float LogSum(const Logits& logits, int64_t count, float* entropy) {
    float greatest = logits[0];
    for (int64_t j = 1; j < count; ++j) {
      greatest = std::max(greatest, logits[j]);
    }
    float sum = 0, weighted = 0;
    for (int64_t j = 0; j < count; ++j) {
      const float each = logits[j] - greatest, power = std::exp(each);
      sum += power;
      weighted += power * each;
    }
    *entropy = std::log(sum) - weighted / sum;
    return greatest + std::log(sum);
  }

  float LogProb(const float* action, Logits logits, float* entropy) const {
    float log_prob = 0;
    *entropy = 0;
    for (int64_t i = 0; i < action_size(); ++i) {
      float own;
      const float log_sum = LogSum(logits, counts_[i], &own);
      log_prob += logits[static_cast<int64_t>(action[i])] - log_sum;
      *entropy += own;
      logits.first += counts_[i] * logits.stride;
    }
    return log_prob;
  }

  std::vector<int64_t> counts_;
  int64_t num_logits_ = 0;
};

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_POLICY_H_
