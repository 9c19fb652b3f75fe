// A whole network at work in a fused train step: its passes, Adam and soft
// updates, on active entries that stay packed from step to step.

#ifndef TF_SPARSE_RL_NATIVE_NETWORK_H_
#define TF_SPARSE_RL_NATIVE_NETWORK_H_

#include <memory>
#include <utility>
#include <vector>

#include "conv_blocks.h"
#include "conv_passes.h"
#include "kernels.h"
#include "layers.h"
#include "mask_choice.h"
#include "packed.h"
#include "passes.h"
#include "single.h"
#include "structure.h"
#include "top_k.h"

namespace tf_sparse_rl {

// A network whose variables are locked, with its active entries at hand. They
// rest again when it goes.
class AtWork {
 public:
  ~AtWork() {
    for (size_t l = 0; l < taken_.size(); ++l) PutBack(l);
  }

  // Takes the entries of all layers; `is_trained`: with the moments.
  Status Take(OpKernelContext* ctx, const Network* network, bool is_trained) {
    network_ = network;
    taken_.reserve(network->layers.size());
    for (size_t l = 0; l < network->layers.size(); ++l) {
      const Layer& layer = network->layers[l];
      taken_.emplace_back();
      Taken& t = taken_.back();
      TF_RETURN_IF_ERROR(FindStructure(layer, &t.s));
      TF_RETURN_IF_ERROR(TakeOne(ctx, layer.kernel.get(), t.s, &t.weight));
      TF_RETURN_IF_ERROR(Complete(ctx, &t.weight));
      TF_RETURN_IF_ERROR(
          ForWriting(ctx, layer.bias->tensor(), &t.bias));
      if (!is_trained) continue;
      TF_RETURN_IF_ERROR(TakeOne(ctx, layer.kernel_m.get(), t.s, &t.m));
      TF_RETURN_IF_ERROR(TakeOne(ctx, layer.kernel_v.get(), t.s, &t.v));
      TF_RETURN_IF_ERROR(
          ForWriting(ctx, layer.bias_m->tensor(), &t.bias_m));
      TF_RETURN_IF_ERROR(
          ForWriting(ctx, layer.bias_v->tensor(), &t.bias_v));
    }
    return OkStatus();
  }

  const std::vector<Layer>& layers() const { return network_->layers; }

  // Images into the states: of [height, width, channels], or `by_channel`.
  void Load(OpKernelContext* ctx, const Tensor& images, bool by_channel,
            States* states) const {
    const int32_t lanes = ConvLanes(images.dim_size(0));
    ImagesToPlanes(ctx, images, by_channel, nullptr, network_->scale,
                   InputPlanes(convolutions()[0], lanes), false,
                   states->planes(0));
  }

  // From the first of the states to the others.
  void Forward(OpKernelContext* ctx, int64_t batch, States* states) const {
    ForwardConvolutions(ctx, batch, states);
    for (size_t l = num_convolutions(); l < taken_.size(); ++l) {
      if (batch == 1) {
        ForwardSingle(*taken_[l].s, Data(taken_[l].weight.by_input),
                      taken_[l].bias, layers()[l].activation, (*states)[l],
                      (*states)[l + 1]);
        continue;
      }
      ForwardLayer(ctx, *taken_[l].s, Data(taken_[l].weight.by_output),
                   taken_[l].bias, layers()[l].activation, batch, (*states)[l],
                   (*states)[l + 1]);
    }
  }

  // From the gradient of the output, in deltas' last, to the other deltas.
  void Backward(OpKernelContext* ctx, int64_t batch, States* states,
                States* deltas) const {
    const size_t top = taken_.size();
    if (layers()[top - 1].activation != Activation::kLinear) {
      BestKernels().through(layers()[top - 1].activation,
                            PaddedBatch(batch) * layers()[top - 1].outputs,
                            (*deltas)[top], (*states)[top], (*deltas)[top]);
    }
    const size_t first = std::max<size_t>(num_convolutions(), 1);
    for (size_t l = top - 1; l >= first; --l) {
      BackwardLayer(ctx, *taken_[l].s, Data(taken_[l].weight.by_input),
                    layers()[l - 1].activation, batch, (*deltas)[l + 1],
                    (*states)[l], 0, layers()[l].inputs, (*deltas)[l]);
    }
    BackwardConvolutions(ctx, batch, states, deltas);
  }

  // After Backward: the gradient of the inputs from `first` on, in blocks.
  void InputGradient(OpKernelContext* ctx, int64_t batch, States* deltas,
                     int64_t first, float* gradient) const {
    BackwardLayer(ctx, *taken_[0].s, Data(taken_[0].weight.by_input),
                  Activation::kLinear, batch, (*deltas)[1], nullptr, first,
                  layers()[0].inputs, gradient);
  }

  // After Backward: one Adam step by the gradients of all weights, after a
  // change of masks if one is due. `decay` is what the gradients have of each l2
  // times the weight.
  Status Descend(OpKernelContext* ctx, const AdamStep& step, float decay,
                 int64_t batch, States* states, States* deltas,
                 Tensor* gradient) {
    for (size_t l = 0; l < taken_.size(); ++l) {
      const float l2 = decay * layers()[l].l2;
      const float* chosen_by = nullptr;
      TF_RETURN_IF_ERROR(
          MoveMask(ctx, l, l2, batch, states, deltas, &chosen_by));
      // Part by part, unless each part would read all tiles of the outputs.
      const bool in_parts = l >= num_convolutions() && !chosen_by &&
                            OutputTiles(*taken_[l].s, PaddedBatch(batch)) == 1;
      const int64_t at_once = in_parts ? 0 : taken_[l].s->nonzero();
      const int64_t size = at_once + layers()[l].outputs;
      float *of_kernel = Sized(gradient, size), *of_bias = of_kernel + at_once;
      if (in_parts) {
        OfBiases(l, batch, deltas, of_bias);
        DescendDense(ctx, l, step, l2, batch, states, deltas);
      } else {
        OfLayer(ctx, l, batch, states, deltas, of_kernel, of_bias);
        if (chosen_by) PackFrom(chosen_by, *taken_[l].s, of_kernel);
        UpdateKernel(ctx, l, step, chosen_by ? 0.0f : l2, of_kernel);
      }
      UpdateBias(l, step, of_bias);
    }
    return OkStatus();
  }

  // How many gradients there are: of each layer its kernel's, then its bias'.
  int64_t num_gradients() const {
    int64_t count = 0;
    for (size_t l = 0; l < taken_.size(); ++l) {
      count += taken_[l].s->nonzero() + layers()[l].outputs;
    }
    return count;
  }

  // Descend in two parts. After Backward: all gradients, those of the
  // regularizers added.
  void Gradients(OpKernelContext* ctx, int64_t batch, States* states,
                 States* deltas, float* gradients) const {
    for (size_t l = 0; l < taken_.size(); ++l) {
      const int64_t size = taken_[l].s->nonzero();
      OfLayer(ctx, l, batch, states, deltas, gradients, gradients + size);
      if (const float l2 = layers()[l].l2) {
        const float* weight = Data(taken_[l].weight.by_input);
        for (int64_t k = 0; k < size; ++k) gradients[k] += 2 * l2 * weight[k];
      }
      gradients += size + layers()[l].outputs;
    }
  }

  // One Adam step by all gradients.
  void Update(OpKernelContext* ctx, const AdamStep& step,
              const float* gradients) {
    for (size_t l = 0; l < taken_.size(); ++l) {
      UpdateKernel(ctx, l, step, 0.0f, gradients);
      gradients += taken_[l].s->nonzero();
      UpdateBias(l, step, gradients);
      gradients += layers()[l].outputs;
    }
  }

  // The sum of the regularizers.
  float Regularization() const {
    double total = 0;
    for (size_t l = 0; l < taken_.size(); ++l) {
      if (layers()[l].l2 == 0) continue;
      const float* weight = Data(taken_[l].weight.by_input);
      float sums[16] = {};
      const int64_t size = taken_[l].s->nonzero();
      int64_t k = 0;
      for (; k + 16 <= size; k += 16) {
        for (int i = 0; i < 16; ++i) sums[i] += weight[k + i] * weight[k + i];
      }
      for (; k < size; ++k) sums[0] += weight[k] * weight[k];
      double sum = 0;
      for (float each : sums) sum += each;
      total += layers()[l].l2 * sum;
    }
    return static_cast<float>(total);
  }

  // Takes over the masks of another network: entries outside them go, those that
  // are new start from 0.
  void TakeOverMasks(const AtWork& source) {
    for (size_t l = 0; l < taken_.size(); ++l) {
      Taken& t = taken_[l];
      if (t.s == source.taken_[l].s) continue;
      t.s = source.taken_[l].s;
      Remask(t.s, &t.weight);
    }
  }

  // Moves the weights by a share of the way to another network's, after taking
  // over its masks.
  void MoveTo(const AtWork& source, float tau) {
    TakeOverMasks(source);
    for (size_t l = 0; l < taken_.size(); ++l) {
      Taken& t = taken_[l];
      const Taken& from = source.taken_[l];
      Mix(tau, t.s->nonzero(), Data(from.weight.by_input),
          Data(&t.weight.by_input));
      Mix(tau, t.s->nonzero(), Data(from.weight.by_output),
          Data(&t.weight.by_output));
      Mix(tau, layers()[l].outputs, from.bias, t.bias);
    }
  }

 private:
  struct Taken {
    std::shared_ptr<const Structure> s;
    Packed weight, m, v;
    float *bias = nullptr, *bias_m = nullptr, *bias_v = nullptr;
  };

  const std::vector<Convolution>& convolutions() const {
    return network_->convolutions;
  }
  size_t num_convolutions() const { return convolutions().size(); }

  std::shared_ptr<const ConvPlan> Plan(size_t l, int64_t batch) const {
    return ConvPlans::Of(taken_[l].s, convolutions()[l], ConvLanes(batch));
  }

  bool IsRelu(size_t l) const {
    return layers()[l].activation == Activation::kRelu;
  }

  void ForwardConvolutions(OpKernelContext* ctx, int64_t batch,
                           States* states) const {
    bool finite = true;  // Bytes are.
    for (size_t l = 0; l < num_convolutions(); ++l) {
      const auto plan = Plan(l, batch);
      const float* weight = Data(taken_[l].weight.by_input);
      if (l + 1 == num_convolutions()) {
        ForwardConvToBlocks(ctx, *plan, weight, taken_[l].bias, IsRelu(l),
                            finite, batch, states->planes(l), (*states)[l + 1]);
        return;
      }
      finite = ForwardConv(ctx, *plan, weight, taken_[l].bias, IsRelu(l),
                           finite, NumGroups(batch), states->planes(l),
                           InputPlanes(convolutions()[l + 1], ConvLanes(batch)),
                           false, states->planes(l + 1));
    }
  }

  void BackwardConvolutions(OpKernelContext* ctx, int64_t batch, States* states,
                            States* deltas) const {
    if (convolutions().empty()) return;
    size_t l = num_convolutions() - 1;
    bool finite = BlocksToDeltas(*Plan(l, batch), batch, (*deltas)[l + 1],
                                 deltas->planes(l));
    for (; l > 0; --l) {
      finite = BackwardConv(
          ctx, *Plan(l, batch), Data(taken_[l].weight.by_input),
          IsRelu(l - 1) ? states->planes(l) : nullptr, finite, NumGroups(batch),
          deltas->planes(l),
          DeltaPlanes(convolutions()[l - 1], ConvLanes(batch)), false,
          deltas->planes(l - 1));
    }
  }

  // The gradients of a layer's active weights and of its biases.
  void OfLayer(OpKernelContext* ctx, size_t l, int64_t batch, States* states,
               States* deltas, float* of_kernel, float* of_bias) const {
    if (l < num_convolutions()) {
      return ConvWeightGradient(ctx, *Plan(l, batch), NumGroups(batch),
                                states->planes(l), deltas->planes(l), of_kernel,
                                of_bias);
    }
    WeightGradient(ctx, *taken_[l].s, PaddedBatch(batch), (*states)[l],
                   (*deltas)[l + 1], of_kernel);
    OfBiases(l, batch, deltas, of_bias);
  }

  // Those of a Dense layer's biases.
  void OfBiases(size_t l, int64_t batch, States* deltas,
                float* of_biases) const {
    BestKernels().bias_gradient(PaddedBatch(batch), layers()[l].outputs,
                                (*deltas)[l + 1], of_biases);
  }

  // The gradient of all weights of a layer, active or not, from the inputs from
  // `first` to before `last`; of a convolution from all of them.
  void DenseGradient(OpKernelContext* ctx, size_t l, int64_t batch,
                     States* states, States* deltas, int64_t first,
                     int64_t last, float* gradient) const {
    if (l < num_convolutions()) {
      return ConvWeightGradient(
          ctx, *PlanOfOnes(convolutions()[l], ConvLanes(batch)),
          NumGroups(batch), states->planes(l), deltas->planes(l), gradient,
          nullptr);
    }
    BestKernels().dense_gradient(PaddedBatch(batch), layers()[l].inputs,
                                 layers()[l].outputs, first, last, (*states)[l],
                                 (*deltas)[l + 1], gradient);
  }

  void UpdateKernel(OpKernelContext* ctx, size_t l, const AdamStep& step,
                    float decay, const float* gradient) {
    AdamPacked(ctx, OfKernel(l, step, decay), gradient, [](int64_t, int64_t) {});
  }

  // UpdateKernel by the gradients of a Dense layer, each part of which a cache
  // holds until it is used.
  void DescendDense(OpKernelContext* ctx, size_t l, const AdamStep& step,
                    float decay, int64_t batch, States* states,
                    States* deltas) {
    const PackedAdam adam = OfKernel(l, step, decay);
    const int64_t padded = PaddedBatch(batch);
    const auto update = [&](int64_t first, int64_t last) {
      const int64_t begin = adam.s.input_begin[first];
      AlignedFloats gradient(adam.s.input_begin[last] - begin);
      WeightGradientOf(adam.s, padded, first, last, (*states)[l],
                       (*deltas)[l + 1], gradient.data() - begin);
      adam.Update(first, last, gradient.data());
      adam.WriteByOutput(first, last);
    };
    adam.InParts(ctx, adam.s.nonzero() * padded, update);
  }

  PackedAdam OfKernel(size_t l, const AdamStep& step, float decay) {
    Taken& t = taken_[l];
    return {step,
            decay,
            *t.s,
            Data(&t.weight.by_input),
            Data(&t.weight.by_output),
            Data(&t.m.by_input),
            Data(&t.v.by_input)};
  }

  void UpdateBias(size_t l, const AdamStep& step, const float* gradient) {
    Taken& t = taken_[l];
    BestKernels().adam(step, 0.0f, layers()[l].outputs, gradient, t.bias,
                       t.bias_m, t.bias_v);
  }

  static Status FindStructure(const Layer& layer,
                              std::shared_ptr<const Structure>* s) {
    if (layer.mask) *s = Resting::All().OfMask(layer.mask.get());
    if (*s) return OkStatus();
    const Tensor mask = layer.mask ? *layer.mask->tensor() : Tensor();
    if (layer.mask && mask.NumElements() != layer.inputs * layer.outputs) {
      return InvalidArgument("Expected a mask of ", layer.inputs, " x ",
                             layer.outputs, ". Received: ",
                             mask.shape().DebugString());
    }
    *s = Structures::Of(mask, layer.inputs, layer.outputs);
    return OkStatus();
  }

  // The entries of a variable, for writing: a copy if somebody else reads them.
  static Status TakeOne(OpKernelContext* ctx, Var* variable,
                        const std::shared_ptr<const Structure>& s,
                        Packed* packed) {
    TF_RETURN_IF_ERROR(Resting::All().Take(ctx, variable, s, packed));
    float* unused;
    TF_RETURN_IF_ERROR(ForWriting(ctx, &packed->by_input, &unused));
    if (packed->by_output.NumElements() == 0) return OkStatus();
    return ForWriting(ctx, &packed->by_output, &unused);
  }

  void PutBack(size_t l) {
    const Layer& layer = layers()[l];
    const auto rest = [](const VarPtr& variable, Packed* packed) {
      if (packed->structure) {
        Resting::All().Rest(variable.get(), std::move(*packed));
      }
    };
    if (layer.mask && taken_[l].s) {
      Resting::All().RestMask(layer.mask.get(), taken_[l].s);
    }
    rest(layer.kernel, &taken_[l].weight);
    rest(layer.kernel_m, &taken_[l].m);
    rest(layer.kernel_v, &taken_[l].v);
  }

  // Gives layer l the mask that is chosen by the gradient of all its weights,
  // if one is. What goes inactive is 0, and so is what is new. `chosen_by`: that
  // gradient, where Python chose by it.
  Status MoveMask(OpKernelContext* ctx, size_t l, float l2, int64_t batch,
                  States* states, States* deltas, const float** chosen_by) {
    const MaskChoice* choice = CurrentMaskChoice();
    const Layer& layer = layers()[l];
    MaskBuffers chosen{nullptr, nullptr, nullptr, nullptr, -1.0f};
    if (!choice || !layer.mask || !choice->begin(layer.number, &chosen)) {
      return OkStatus();
    }
    Taken& t = taken_[l];
    Structure made;
    if (chosen.drop_fraction >= 0) {
      made = DropAndGrow(ctx, l, l2, batch, states, deltas,
                         chosen.drop_fraction);
    } else {
      DenseGradient(ctx, l, batch, states, deltas, 0, layer.inputs,
                    chosen.gradient);
      AddDecay(l2, t, 0, layer.inputs, chosen.gradient);
      *chosen_by = chosen.gradient;
      Unpack(t.weight, 0, layer.inputs, chosen.weight);
      UnpackMask(*t.s, 0, layer.inputs, chosen.mask);
      if (!choice->choose(layer.number)) {
        return tensorflow::errors::Aborted("No mask was chosen.");
      }
      made = MakeStructure(chosen.new_mask, layer.inputs, layer.outputs);
    }
    t.s = std::make_shared<const Structure>(std::move(made));
    for (Packed* packed : {&t.weight, &t.m, &t.v}) Remask(t.s, packed);
    return OkStatus();
  }

  // RigL's choice, by some of the gradients at a time: all are as large as a
  // dense kernel.
  Structure DropAndGrow(OpKernelContext* ctx, size_t l, float l2, int64_t batch,
                        States* states, States* deltas,
                        float drop_fraction) const {
    const Taken& t = taken_[l];
    const int64_t inputs = layers()[l].inputs, outputs = layers()[l].outputs;
    const int64_t at_a_time =
        l < num_convolutions() ? inputs : CeilDiv(1 << 16, outputs);
    std::vector<float> rows(std::min(inputs, at_a_time) * outputs);
    const auto gradient = [&](int64_t first, int64_t last) {
      DenseGradient(ctx, l, batch, states, deltas, first, last, rows.data());
      AddDecay(l2, t, first, last, rows.data());
      return rows.data();
    };
    return tf_sparse_rl::DropAndGrow(*t.s, Data(t.weight.by_input),
                                     drop_fraction, at_a_time, gradient);
  }

  // Adds the gradient of the regularizer, which is 0 where the weight is, to
  // that of all weights from these inputs.
  static void AddDecay(float l2, const Taken& t, int64_t first, int64_t last,
                       float* gradient) {
    const Structure& s = *t.s;
    const float* weight = Data(t.weight.by_input);
    for (int64_t i = first; i < last; ++i) {
      float* row = gradient + (i - first) * s.outputs;
      for (int64_t k = s.input_begin[i]; k < s.input_begin[i + 1]; ++k) {
        row[s.output[k]] += l2 * weight[k];
      }
    }
  }

  static void Mix(float tau, int64_t size, const float* source,
                  float* target) {
    const float keep = 1 - tau;
    for (int64_t k = 0; k < size; ++k) {
      target[k] = keep * target[k] + tau * source[k];
    }
  }

  const Network* network_ = nullptr;
  std::vector<Taken> taken_;
};

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_NETWORK_H_
