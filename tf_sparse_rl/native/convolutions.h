// Convolutions in a row, as operations have them.

#ifndef TF_SPARSE_RL_NATIVE_CONVOLUTIONS_H_
#define TF_SPARSE_RL_NATIVE_CONVOLUTIONS_H_

#include <cstdint>
#include <vector>

#include "conv_shapes.h"
#include "packed.h"

namespace tf_sparse_rl {

// Reads the sizes of convolutions in a row from the attributes of a node.
template <typename Context>
Status ReadConvolutions(Context* ctx, std::vector<Convolution>* found) {
  std::vector<int32_t> image, layers;
  std::vector<bool> same;
  TF_RETURN_IF_ERROR(ctx->GetAttr("image", &image));
  TF_RETURN_IF_ERROR(ctx->GetAttr("layers", &layers));
  TF_RETURN_IF_ERROR(ctx->GetAttr("same", &same));
  if (image.size() != 3 || same.empty() || layers.size() != 5 * same.size()) {
    return InvalidArgument(
        "Expected three numbers of the image and five of each layer.");
  }
  for (size_t l = 0; l < same.size(); ++l) {
    const int32_t* sizes = layers.data() + 5 * l;
    found->push_back(MakeConvolution(image[0], image[1], image[2], sizes[0],
                                     sizes[1], sizes[2], sizes[3], sizes[4],
                                     same[l]));
    const Convolution& c = found->back();
    if (c.out_height < 1 || c.out_width < 1) {
      return InvalidArgument("Layer ", l, " has a kernel larger than its ",
                             "image.");
    }
    image = {c.out_height, c.out_width, c.outputs};
  }
  return OkStatus();
}

inline int64_t KernelSize(const Convolution& c) {
  return int64_t{c.kernel_height} * c.kernel_width * c.channels * c.outputs;
}

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_CONVOLUTIONS_H_
