// Who chooses new masks in a fused train step: Python, by the agent's updaters.

#ifndef TF_SPARSE_RL_NATIVE_MASK_CHOICE_H_
#define TF_SPARSE_RL_NATIVE_MASK_CHOICE_H_

#include <cstdint>

namespace tf_sparse_rl {

// What a choice is made by, and the choice; [inputs, outputs] each.
struct MaskBuffers {
  float *weight, *mask, *gradient, *new_mask;
  // Not negative: the choice is RigL's, and made without Python and these.
  float drop_fraction;
};

// Functions of native/fused.py. Layers are known by their number.
struct MaskChoice {
  // Whether the mask of a layer is to be chosen now; buffers of its size, or a
  // drop fraction, if so.
  bool (*begin)(int64_t layer, MaskBuffers* buffers);
  // Writes `new_mask`; false if that failed.
  bool (*choose)(int64_t layer);
};

// That of the train step that this thread is in; null: masks stay.
const MaskChoice*& CurrentMaskChoice();

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_MASK_CHOICE_H_
