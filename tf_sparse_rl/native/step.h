// Parts of fused train steps: scalar variables, Adam, batches, what a step is.
//
// A step is made once, of networks and scalar variables, and holds its buffers.

#ifndef TF_SPARSE_RL_NATIVE_STEP_H_
#define TF_SPARSE_RL_NATIVE_STEP_H_

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels.h"
#include "network.h"
#include "packed.h"
#include "passes.h"

namespace tf_sparse_rl {

using tensorflow::ResourceBase;

inline Status Lookup(OpKernelContext* ctx,
                     const tensorflow::ResourceHandle& handle,
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
  // uint8 [batch, channels, height, width]: observations, and the next ones; or
  // null.
  const Tensor* images[2];

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

inline Status CheckFinite(float loss, const char* name) {
  if (std::isfinite(loss)) return OkStatus();
  return InvalidArgument(name, " is inf or nan");
}

// Train steps of some agent.
class Step : public ResourceBase {
 public:
  std::string DebugString() const override { return "tf_sparse_rl train step"; }

  // Numbers of a row of the batch.
  virtual int64_t row_size() const = 0;

  // Remembers all variables, in the order in which they are locked.
  void Remember(const std::vector<Network*>& networks,
                const std::vector<Adam*>& adams,
                const std::vector<VarPtr*>& others) {
    networks_.assign(networks.begin(), networks.end());
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
    for (const VarPtr* variable : others) all_.push_back(variable->get());
    std::sort(all_.begin(), all_.end(),
              [](Var* a, Var* b) { return a->mu() < b->mu(); });
    all_.erase(std::unique(all_.begin(), all_.end()), all_.end());
  }

  // Gives all variables their tensors. The caller has their locks.
  Status Wake(OpKernelContext* ctx) const {
    for (Var* variable : all_) {
      TF_RETURN_IF_ERROR(Resting::All().Wake(ctx, variable));
    }
    return OkStatus();
  }

  // Takes the tensors of all that rests between train steps away. The caller
  // has the locks.
  Status Rest(OpKernelContext* ctx) const {
    for (const Network* network : networks_) {
      AtWork each;
      const bool is_trained = network->layers[0].kernel_m.get() != nullptr;
      TF_RETURN_IF_ERROR(each.Take(ctx, network, is_trained));
    }
    return OkStatus();
  }

  std::vector<tensorflow::mutex_lock> Lock() const {
    std::vector<tensorflow::mutex_lock> locks;
    locks.reserve(all_.size());
    for (Var* variable : all_) locks.emplace_back(*variable->mu());
    return locks;
  }

 protected:
  // The gradient of a network's outputs, 0 as yet, of missing examples too.
  static float* ZeroTop(const Network* network, const Batch& batch,
                        States* deltas) {
    float* top = (*deltas)[network->layers.size()];
    std::fill_n(top,
                PaddedBatch(batch.size) * network->layers.back().outputs, 0.0f);
    return top;
  }

 private:
  std::vector<const Network*> networks_;
  std::vector<Var*> all_;
};

// A train step on a batch of a replay, and the next actions.
class ReplayStep : public Step {
 public:
  struct Result {
    Tensor* actions;
    std::vector<float> scalars;
  };

  // The network that acts.
  virtual const Network& policy() const = 0;
  // Numbers of an action's noise.
  virtual int64_t noise_size() const = 0;

  bool has_images() const { return !policy().convolutions.empty(); }
  // Numbers of an observation in a row; images are not in rows.
  int64_t num_observations() const {
    return has_images() ? 0 : policy().layers[0].inputs;
  }

  // The caller has the lock of all variables, here and below.
  virtual Status Run(OpKernelContext* ctx, const Batch& batch,
                     const Tensor& observations, const Tensor& noise,
                     Result* result) = 0;

  // Actions alone, without a train step.
  Status Act(OpKernelContext* ctx, const Tensor& observations,
             const Tensor& noise, Result* result) {
    AtWork network;
    TF_RETURN_IF_ERROR(network.Take(ctx, &policy(), false));
    return ActBy(ctx, network, observations, noise, result);
  }

 protected:
  // Actions of the policy, for observations and noise.
  virtual Status ActBy(OpKernelContext* ctx, const AtWork& network,
                       const Tensor& observations, const Tensor& noise,
                       Result* result) = 0;

  // The outputs of the policy for observations, in blocks.
  const float* Outputs(OpKernelContext* ctx, const AtWork& network,
                       const Tensor& observations) {
    const int64_t count = observations.dim_size(0);
    acting_.Allocate(policy(), count);
    if (has_images()) {
      network.Load(ctx, observations, false, &acting_);
    } else {
      BestKernels().to_blocks(Data(observations), count,
                              observations.dim_size(1), acting_[0]);
    }
    network.Forward(ctx, count, &acting_);
    return acting_.last();
  }

 private:
  States acting_;
};

// The place of an example's unit in blocks of `units`.
inline int64_t Place(int64_t batch, int64_t example, int64_t unit,
                     int64_t units) {
  const int64_t width = BlockWidth(batch);
  return (example / width * units + unit) * width + example % width;
}

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_STEP_H_
