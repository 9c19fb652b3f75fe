// Networks as fused train steps know them: their variables, and the units of
// their layers.

#ifndef TF_SPARSE_RL_NATIVE_LAYERS_H_
#define TF_SPARSE_RL_NATIVE_LAYERS_H_

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "kernels.h"
#include "packed.h"

namespace tf_sparse_rl {

// The variables of a Dense layer.
struct Layer {
  int64_t number;  // in the train step
  int64_t inputs, outputs;
  Activation activation;
  float l2;  // factor of the kernel's regularizer
  VarPtr kernel, bias;
  VarPtr mask;  // null for ones
  VarPtr kernel_m, kernel_v, bias_m, bias_v;  // null if it is not trained
};

// The layers of a network, for train steps to come.
class Network : public tensorflow::ResourceBase {
 public:
  explicit Network(std::vector<Layer> layers) : layers(std::move(layers)) {}

  std::string DebugString() const override { return "tf_sparse_rl network"; }

  const std::vector<Layer> layers;
};

// A buffer that lives from step to step.
inline float* Sized(Tensor* buffer, int64_t size) {
  if (buffer->NumElements() != size) {
    *buffer = Tensor(tensorflow::DT_FLOAT, {size});
    std::memset(Data(buffer), 0, buffer->TotalBytes());
  }
  return Data(buffer);
}

// What goes into each layer of a network, and comes out of the last, in blocks.
class States {
 public:
  // The units of layer l, counting the input as layer 0.
  float* operator[](size_t l) { return Data(&blocks_[l]); }
  const float* last() const { return Data(blocks_.back()); }

  void Allocate(const Network& network, int64_t padded) {
    blocks_.resize(network.layers.size() + 1);
    for (size_t l = 0; l < network.layers.size(); ++l) {
      Sized(&blocks_[l], padded * network.layers[l].inputs);
    }
    Sized(&blocks_.back(), padded * network.layers.back().outputs);
  }

 private:
  std::vector<Tensor> blocks_;
};

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_LAYERS_H_
