// Networks as fused train steps know them: their variables, and the units of
// their layers.

#ifndef TF_SPARSE_RL_NATIVE_LAYERS_H_
#define TF_SPARSE_RL_NATIVE_LAYERS_H_

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "conv_shapes.h"
#include "kernels.h"
#include "packed.h"
#include "passes.h"

namespace tf_sparse_rl {

// The variables of a Dense layer or of a convolution.
struct Layer {
  int64_t number;           // in the train step
  int64_t inputs, outputs;  // of the kernel as a matrix, see StructureOf
  Activation activation;
  float l2;  // factor of the kernel's regularizer
  VarPtr kernel, bias;
  VarPtr mask;  // null for ones
  VarPtr kernel_m, kernel_v, bias_m, bias_v;  // null if it is not trained
};

// The layers of a network, for train steps to come: convolutions of uint8
// images, if any, then Dense layers, of [rows, columns, channels].
class Network : public tensorflow::ResourceBase {
 public:
  Network(std::vector<Layer> layers, std::vector<Convolution> convolutions,
          float scale)
      : layers(std::move(layers)),
        convolutions(std::move(convolutions)),
        scale(scale) {}

  std::string DebugString() const override { return "tf_sparse_rl network"; }

  // The shape of an observation.
  TensorShape observation() const {
    if (convolutions.empty()) return {layers[0].inputs};
    const Convolution& c = convolutions[0];
    return {c.height, c.width, c.channels};
  }

  const std::vector<Layer> layers;
  const std::vector<Convolution> convolutions;  // of the first layers
  const float scale;                            // of images
};

// A buffer that lives from step to step, of at least this size.
inline float* Sized(Tensor* buffer, int64_t size) {
  if (buffer->NumElements() < size) {
    *buffer = Tensor(tensorflow::DT_FLOAT, {size});
    std::memset(Data(buffer), 0, buffer->TotalBytes());
  }
  return Data(buffer);
}

// Groups of images of a batch.
inline int64_t NumGroups(int64_t batch) {
  return CeilDiv(batch, ConvLanes(batch));
}

// What goes into each layer of a network, and comes out of the last; or the
// gradients of these.
class States {
 public:
  // The units of layer l in blocks, counting the input as layer 0; convolutions
  // have none.
  float* operator[](size_t l) { return Data(&blocks_[l]); }
  const float* last() const { return Data(blocks_.back()); }

  // What goes into convolution l, or the gradient of what comes out. Where no
  // pixel lies they are 0 and stay so.
  float* planes(size_t l) { return Data(&planes_[l]); }

  // For a network; what has been for another stays as large as it was.
  void Allocate(const Network& network, int64_t batch) {
    const std::vector<Convolution>& convolutions = network.convolutions;
    const int64_t padded = PaddedBatch(batch), groups = NumGroups(batch);
    if (batch_ != batch) planes_.clear();  // Pixels lie elsewhere.
    batch_ = batch;
    planes_.resize(convolutions.size());
    for (size_t l = 0; l < planes_.size(); ++l) {
      const Convolution& c = convolutions[l];
      const int32_t lanes = ConvLanes(batch);
      Sized(&planes_[l], groups * std::max(InputPlanes(c, lanes).group,
                                           DeltaPlanes(c, lanes).group));
    }
    const size_t top = network.layers.size();
    blocks_.resize(std::max(blocks_.size(), top + 1));
    for (size_t l = planes_.size(); l < top; ++l) {
      Sized(&blocks_[l], padded * network.layers[l].inputs);
    }
    Sized(&blocks_[top], padded * network.layers.back().outputs);
  }

 private:
  std::vector<Tensor> blocks_, planes_;
  int64_t batch_ = 0;
};

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_LAYERS_H_
