// The arithmetic of sparse dense layers, one set of functions per instruction
// set.
//
// Activations are held in blocks: [blocks, units, width], `width` examples of
// the batch side by side, so that a connection is one broadcast multiply-add
// over registers. Nothing here knows of TensorFlow.

#ifndef TF_SPARSE_RL_NATIVE_KERNELS_H_
#define TF_SPARSE_RL_NATIVE_KERNELS_H_

#include <cstdint>

namespace tf_sparse_rl {

enum class Activation : int32_t { kLinear, kRelu, kTanh, kSigmoid, kElu };

// Examples of a block: as few as hold the batch, at most 64.
inline int64_t BlockWidth(int64_t batch) {
  return batch <= 16 ? 16 : batch <= 32 ? 32 : 64;
}
inline int64_t NumBlocks(int64_t batch) {
  return (batch + BlockWidth(batch) - 1) / BlockWidth(batch);
}

// Connections sorted by the unit that they go to.
struct Connections {
  int32_t units;         // that they go to
  int32_t sources;       // units that they come from
  const int32_t* begin;  // [units + 1]
  const int32_t* source; // [connections]
  const float* weight;   // [connections]
};

// Numbers of an Adam step. `rate` has the corrections of both moments.
struct AdamStep {
  float rate, beta_1, beta_2, epsilon;
};

struct Kernels {
  const char* name;

  // From [batch, units] to blocks, missing examples 0; and back.
  void (*to_blocks)(const float* matrix, int64_t batch, int64_t units,
                    float* blocks);
  void (*from_blocks)(const float* blocks, int64_t batch, int64_t units,
                      float* matrix);

  // y = activation(weights x + bias). NaN and infinity in any entry of x reach
  // all units, as they do where absent connections are multiplied by 0.
  void (*forward)(const Connections& to_outputs, const float* bias,
                  Activation activation, int64_t batch, const float* x,
                  float* y);

  // dx = (weights^T dy) * activation'(x), the derivative written in terms of
  // what the activation returned.
  void (*backward)(const Connections& to_inputs, Activation activation,
                   int64_t batch, const float* dy, const float* x, float* dx);

  // dz = dy * activation'(y) over whole blocks.
  void (*through)(Activation activation, int64_t size, const float* dy,
                  const float* y, float* dz);

  // Gradients of the weights by input, of the inputs from `first` to before
  // `last`, each from `begin` to before `end`; and of the biases.
  void (*weight_gradient)(const int32_t* begin, const int32_t* end,
                          const int32_t* output, int64_t batch, int64_t inputs,
                          int64_t outputs, int64_t first, int64_t last,
                          const float* x, const float* dz, float* gradient);
  void (*bias_gradient)(int64_t batch, int64_t outputs, const float* dz,
                        float* gradient);
  // Gradient of all weights, active or not, of the inputs from `first` to before
  // `last`: [last - first, outputs].
  void (*dense_gradient)(int64_t batch, int64_t inputs, int64_t outputs,
                         int64_t first, int64_t last, const float* x,
                         const float* dz, float* gradient);

  // One Adam step of `size` entries, whose gradients are `gradient` plus
  // `decay` times the variable.
  void (*adam)(const AdamStep& step, float decay, int64_t size,
               const float* gradient, float* variable, float* m, float* v);
  // Actions in (-1, 1) of a Gaussian squashed by tanh, for `size` examples, a
  // multiple of 16: from the mean and the logarithm of the standard deviation
  // to the tanh of what was drawn and to the standard deviation. Takes the
  // logarithm of their probability density away from `log_pi`, without its
  // constants.
  void (*squash)(int64_t size, const float* mean, const float* log_std,
                 const float* noise, float* tanh, float* std, float* log_pi);
  // Writes packed entries to where they belong in a kernel [inputs, outputs]
  // that is 0 elsewhere, or becomes so. `active` has for each 16 outputs of an
  // input the bits of the mask, too. `past_cache`: nobody will read it soon.
  void (*unpack)(int64_t inputs, int64_t outputs, const int32_t* input_begin,
                 const int32_t* output, const uint16_t* active,
                 const float* packed, bool past_cache, float* kernel);
};

// The fastest set that this CPU runs, or that TF_SPARSE_RL_CPU names.
const Kernels& BestKernels();

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_KERNELS_H_
