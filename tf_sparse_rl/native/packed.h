// Where active entries lie packed, and who may read a variable.
//
// A "packed" tensor has one entry per connection, in the order of the
// mask's ones. A mask of no entries stands for one of ones.

#ifndef TF_SPARSE_RL_NATIVE_PACKED_H_
#define TF_SPARSE_RL_NATIVE_PACKED_H_

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernels.h"
#include "structure.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/resource_mgr.h"
#include "tensorflow/core/framework/resource_var.h"

namespace tf_sparse_rl {

using tensorflow::OpInputList;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::OpOutputList;
using tensorflow::OkStatus;
using tensorflow::Status;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::errors::InvalidArgument;
using tensorflow::Var;
using VarPtr = tensorflow::core::RefCountPtr<Var>;

inline const float* Data(const Tensor& t) { return t.flat<float>().data(); }
inline float* Data(Tensor* t) { return t->flat<float>().data(); }

// Structures of the masks in use. A mask is known by its buffer: the entry
// shares it, so that TensorFlow must give a changed mask a buffer of its own.
class Structures {
 public:
  static std::shared_ptr<const Structure> Of(const Tensor& mask,
                                             int64_t inputs, int64_t outputs) {
    return mask.NumElements() ? All().OfMask(mask, inputs, outputs)
                              : All().OfOnes(inputs, outputs);
  }

  // Remembers the structure that a mask was written by.
  static void Keep(const Tensor& mask,
                   std::shared_ptr<const Structure> structure) {
    std::lock_guard<std::mutex> lock(All().mutex_);
    All().Forget();
    All().of_masks_[Data(mask)] = Entry{mask, std::move(structure)};
  }

  // Forgets the masks that are no more: nobody but an entry has their buffer.
  static void ForgetTheGone() {
    std::lock_guard<std::mutex> lock(All().mutex_);
    All().Forget();
  }

 private:
  struct Entry {
    Tensor mask;
    std::shared_ptr<const Structure> structure;
  };

  static Structures& All() {
    static Structures* all = new Structures;
    return *all;
  }

  void Forget() {
    for (auto it = of_masks_.begin(); it != of_masks_.end();) {
      it = it->second.mask.RefCountIsOne() ? of_masks_.erase(it) : ++it;
    }
  }

  std::shared_ptr<const Structure> OfMask(const Tensor& mask, int64_t inputs,
                                          int64_t outputs) {
    const float* key = Data(mask);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      const auto found = of_masks_.find(key);
      if (found != of_masks_.end() &&
          found->second.structure->inputs == inputs &&
          found->second.structure->outputs == outputs) {
        return found->second.structure;
      }
    }
    auto made = std::make_shared<const Structure>(
        MakeStructure(key, inputs, outputs));
    std::lock_guard<std::mutex> lock(mutex_);
    Forget();
    of_masks_[key] = Entry{mask, made};
    return made;
  }

  std::shared_ptr<const Structure> OfOnes(int64_t inputs, int64_t outputs) {
    std::lock_guard<std::mutex> lock(mutex_);
    auto& found = of_ones_[inputs << 32 | outputs];
    if (!found) {
      found = std::make_shared<const Structure>(
          MakeStructure<float>(nullptr, inputs, outputs));
    }
    return found;
  }

  std::mutex mutex_;
  std::unordered_map<const float*, Entry> of_masks_;
  std::unordered_map<int64_t, std::shared_ptr<const Structure>> of_ones_;
};

// The structure of a variable's mask. Of a convolution's kernel all dimensions
// but the last count as inputs: entry by entry it is a matrix like any other.
inline Status StructureOf(const Tensor& mask, const Tensor& variable,
                          std::shared_ptr<const Structure>* structure) {
  if (variable.dims() == 0 || mask.shape() != variable.shape()) {
    return InvalidArgument("Expected a mask of shape ",
                           variable.shape().DebugString(), ". Received: ",
                           mask.shape().DebugString());
  }
  const int64_t outputs = variable.dim_size(variable.dims() - 1);
  const int64_t inputs =
      variable.NumElements() / std::max<int64_t>(outputs, 1);
  *structure = Structures::Of(mask, inputs, outputs);
  return OkStatus();
}

// The active weights of a kernel, by input, and where they are asked for by
// output.
struct Packed {
  std::shared_ptr<const Structure> structure;
  Tensor by_input;
  Tensor by_output;
};

inline Status Allocate(OpKernelContext* ctx,
                       std::shared_ptr<const Structure> structure,
                       Packed* packed) {
  const TensorShape shape({structure->nonzero()});
  packed->structure = std::move(structure);
  TF_RETURN_IF_ERROR(ctx->allocate_temp(tensorflow::DT_FLOAT, shape,
                                        &packed->by_input));
  return ctx->allocate_temp(tensorflow::DT_FLOAT, shape, &packed->by_output);
}

// Writes what goes out from the inputs from `first` to before `last` to where it
// belongs by output.
inline void WriteByOutput(const Structure& s, int64_t first, int64_t last,
                          const float* by_input, float* by_output) {
  if (!s.is_full()) {
    for (int64_t k = s.input_begin[first]; k < s.input_begin[last]; ++k) {
      by_output[s.place[k]] = by_input[k];
    }
    return;
  }
  // A few outputs at a time, lest those far apart push each other out of the
  // cache.
  constexpr int64_t kOutputs = 16;
  for (int64_t begin = 0; begin < s.outputs; begin += kOutputs) {
    const int64_t end = std::min<int64_t>(begin + kOutputs, s.outputs);
    for (int64_t i = first; i < last; ++i) {
      for (int64_t j = begin; j < end; ++j) {
        by_output[j * s.inputs + i] = by_input[i * s.outputs + j];
      }
    }
  }
}

inline void FillByOutput(Packed* packed) {
  const Structure& s = *packed->structure;
  WriteByOutput(s, 0, s.inputs, Data(packed->by_input),
                Data(&packed->by_output));
}

// Gives entries another structure: those outside it go, those that are new are 0.
inline void Remask(const std::shared_ptr<const Structure>& structure,
                   Packed* packed) {
  const Structure &from = *packed->structure, &to = *structure;
  Tensor by_input(tensorflow::DT_FLOAT, TensorShape({to.nonzero()}));
  const float* entry = Data(packed->by_input);
  for (int64_t i = 0; i < to.inputs; ++i) {
    int64_t old = from.input_begin[i];
    for (int64_t k = to.input_begin[i]; k < to.input_begin[i + 1]; ++k) {
      while (old < from.input_begin[i + 1] &&
             from.output[old] < to.output[k]) {
        ++old;
      }
      const bool stays = old < from.input_begin[i + 1] &&
                         from.output[old] == to.output[k];
      Data(&by_input)[k] = stays ? entry[old] : 0.0f;
    }
  }
  const bool has_both = packed->by_output.NumElements() > 0;
  packed->structure = structure;
  packed->by_input = by_input;
  if (!has_both) return;
  packed->by_output = Tensor(tensorflow::DT_FLOAT, by_input.shape());
  FillByOutput(packed);
}

// What goes out from the inputs from `first` to before `last`: of a mask, which
// has no entries of its own, or a kernel of no connections.
inline void UnpackMask(const Structure& s, int64_t first, int64_t last,
                       float* dense) {
  std::fill_n(dense, (last - first) * s.outputs, 0.0f);
  for (int64_t i = first; i < last; ++i, dense += s.outputs) {
    for (int32_t k = s.input_begin[i]; k < s.input_begin[i + 1]; ++k) {
      dense[s.output[k]] = 1.0f;
    }
  }
}

// And of a kernel or a mask.
inline void Unpack(const Packed& packed, int64_t first, int64_t last,
                   float* dense) {
  const Structure& s = *packed.structure;
  if (packed.by_input.NumElements() == 0) {
    return UnpackMask(s, first, last, dense);
  }
  std::fill_n(dense, (last - first) * s.outputs, 0.0f);
  const int64_t words = (s.outputs + 15) / 16;
  BestKernels().unpack(last - first, s.outputs, s.input_begin.data() + first,
                       s.output.data(), s.active.data() + first * words,
                       Data(packed.by_input), false, dense);
}

inline void PackFrom(const float* dense, const Structure& s, float* by_input) {
  for (int64_t i = 0; i < s.inputs; ++i) {
    const float* row = dense + i * s.outputs;
    for (int64_t k = s.input_begin[i]; k < s.input_begin[i + 1]; ++k) {
      by_input[k] = row[s.output[k]];
    }
  }
}

// Packed weights of kernels, and moments of Adam, that only our own operations
// write to in place. They are known by their buffer, as masks are. Who is about
// to write to it calls Forget first, or would be given a copy.
class PackedKernels {
 public:
  static PackedKernels& All() {
    static PackedKernels* all = new PackedKernels;
    return *all;
  }

  // Whether there are packed weights of this kernel at this structure.
  bool Find(const Tensor& kernel, const Structure* structure, Packed* packed) {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = entries_.find(Data(kernel));
    if (found == entries_.end() ||
        found->second.packed.structure.get() != structure) {
      return false;
    }
    *packed = found->second.packed;
    return true;
  }

  void Keep(const Tensor& kernel, Packed packed) {
    std::lock_guard<std::mutex> lock(mutex_);
    for (auto it = entries_.begin(); it != entries_.end();) {
      it = it->second.kernel.RefCountIsOne() ? entries_.erase(it) : ++it;
    }
    entries_[Data(kernel)] = Entry{kernel, std::move(packed)};
  }

  void Forget(const Tensor& kernel) {
    std::lock_guard<std::mutex> lock(mutex_);
    entries_.erase(Data(kernel));
  }

 private:
  struct Entry {
    Tensor kernel;
    Packed packed;
  };

  std::mutex mutex_;
  std::unordered_map<const float*, Entry> entries_;
};

// The entries of a tensor, which becomes a copy if somebody else has it too.
inline Status ForWriting(OpKernelContext* ctx, Tensor* tensor, float** data) {
  if (!tensor->RefCountIsOne()) {
    Tensor copy;
    TF_RETURN_IF_ERROR(
        ctx->allocate_temp(tensor->dtype(), tensor->shape(), &copy));
    std::memcpy(Data(&copy), Data(*tensor), tensor->TotalBytes());
    *tensor = copy;
  }
  *data = Data(tensor);
  return OkStatus();
}

// The active entries of a tensor that is about to be written to: those at hand,
// at hand no more, or else packed now, by input alone.
inline Status TakePacked(OpKernelContext* ctx, const Tensor& dense,
                         const std::shared_ptr<const Structure>& structure,
                         Packed* packed) {
  const bool found = PackedKernels::All().Find(dense, structure.get(), packed);
  PackedKernels::All().Forget(dense);
  if (found) return OkStatus();
  packed->structure = structure;
  TF_RETURN_IF_ERROR(ctx->allocate_temp(tensorflow::DT_FLOAT,
                                        {structure->nonzero()},
                                        &packed->by_input));
  PackFrom(Data(dense), *structure, Data(&packed->by_input));
  return OkStatus();
}

// By output too.
inline Status Complete(OpKernelContext* ctx, Packed* packed) {
  if (packed->by_output.shape() == packed->by_input.shape()) return OkStatus();
  TF_RETURN_IF_ERROR(ctx->allocate_temp(
      tensorflow::DT_FLOAT, packed->by_input.shape(), &packed->by_output));
  FillByOutput(packed);
  return OkStatus();
}

// Variables whose active entries lie packed and whose tensor is gone: fused
// train steps leave them so. Of a mask only its structure is left: it is Packed
// without entries. `Wake` writes the tensor again. Whatever reads a
// variable calls it first: here `Variables::Open`, and for TensorFlow the
// kernels of ReadVariableOp and its like in resting.cc. What does not is told
// that the variable is not initialized; nobody is given an old value.
class Resting {
 public:
  static Resting& All() {
    static Resting* all = new Resting;
    return *all;
  }

  // Takes the tensor of a variable away, and keeps its entries. The caller
  // holds the variable's lock, here and below.
  void Rest(Var* variable, Packed packed) {
    std::lock_guard<std::mutex> lock(mutex_);
    Entry& entry = EntryOf(variable);
    if (variable->is_initialized) entry.shape = variable->tensor()->shape();
    entry.packed = std::move(packed);
    *variable->tensor() = Tensor();
    variable->is_initialized = false;
  }

  // As Rest, of a mask.
  void RestMask(Var* variable, std::shared_ptr<const Structure> structure) {
    const bool had_tensor = variable->is_initialized;
    Rest(variable, Packed{std::move(structure), Tensor(), Tensor()});
    if (had_tensor) Structures::ForgetTheGone();
  }

  // The structure of a mask that rests, or null.
  std::shared_ptr<const Structure> OfMask(Var* variable) {
    if (variable->is_initialized) return nullptr;
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = entries_.find(variable);
    return found == entries_.end() ? nullptr : found->second.packed.structure;
  }

  // The active entries of a kernel, a matrix as in StructureOf, that is to rest
  // again when they have changed: from where they rest, from PackedKernels, or
  // packed now. Its tensor is gone then.
  Status Take(OpKernelContext* ctx, Var* variable,
              const std::shared_ptr<const Structure>& structure,
              Packed* packed) {
    if (!variable->is_initialized) {
      std::unique_lock<std::mutex> lock(mutex_);
      const auto found = entries_.find(variable);
      if (found != entries_.end() && found->second.packed.structure) {
        Packed& resting = found->second.packed;
        if (resting.structure == structure) {
          *packed = std::exchange(resting, {});
          return OkStatus();
        }
      }
    }
    TF_RETURN_IF_ERROR(Wake(ctx, variable));  // The mask is another by now.
    if (!variable->is_initialized) {
      return tensorflow::errors::FailedPrecondition(
          "Expected a variable with a value. Received: ",
          variable->DebugString(), ", not initialized.");
    }
    TF_RETURN_IF_ERROR(
        TakePacked(ctx, *variable->tensor(), structure, packed));
    {
      std::lock_guard<std::mutex> lock(mutex_);
      EntryOf(variable).shape = variable->tensor()->shape();
    }
    // At once: all of them together are large.
    *variable->tensor() = Tensor();
    variable->is_initialized = false;
    return OkStatus();
  }

  bool Has(Var* variable) {
    if (variable->is_initialized) return false;
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = entries_.find(variable);
    return found != entries_.end() && found->second.packed.structure;
  }

  // Writes the tensor of a variable that rests; of others nothing.
  Status Wake(OpKernelContext* ctx, Var* variable) {
    if (variable->is_initialized) return OkStatus();
    Packed packed;
    TensorShape shape;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      const auto found = entries_.find(variable);
      if (found == entries_.end()) return OkStatus();
      packed = std::exchange(found->second.packed, {});
      shape = found->second.shape;
    }
    if (!packed.structure) return OkStatus();
    Tensor dense;
    TF_RETURN_IF_ERROR(Write(ctx, packed, shape, &dense));
    *variable->tensor() = dense;
    variable->is_initialized = true;
    // Not after single entries have been assigned: from then on TensorFlow
    // writes to the buffer as it is.
    if (variable->copy_on_read_mode.load()) return OkStatus();
    if (packed.by_input.NumElements() == 0) {
      Structures::Keep(dense, packed.structure);
    } else {
      PackedKernels::All().Keep(dense, std::move(packed));
    }
    return OkStatus();
  }

  // What a variable that rests has, while it rests on; of others nothing. Who
  // writes to its entries meanwhile writes to copies.
  Packed Peek(Var* variable, TensorShape* shape) {
    if (variable->is_initialized) return {};
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = entries_.find(variable);
    if (found == entries_.end()) return {};
    *shape = found->second.shape;
    return found->second.packed;
  }

  static Status Write(OpKernelContext* ctx, const Packed& packed,
                      const TensorShape& shape, Tensor* dense) {
    TF_RETURN_IF_ERROR(
        ctx->allocate_temp(tensorflow::DT_FLOAT, shape, dense));
    Unpack(packed, 0, packed.structure->inputs, Data(dense));
    return OkStatus();
  }

 private:
  struct Entry {
    VarPtr variable;
    TensorShape shape;
    Packed packed;  // without a structure: the variable has its tensor
  };

  Entry& EntryOf(Var* variable) {
    auto found = entries_.find(variable);
    if (found == entries_.end()) {
      ForgetTheGone();
      variable->Ref();
      found = entries_.emplace(variable, Entry{VarPtr(variable), {}, {}}).first;
    }
    return found->second;
  }

  void ForgetTheGone() {
    for (auto it = entries_.begin(); it != entries_.end();) {
      it = it->first->RefCountIsOne() ? entries_.erase(it) : ++it;
    }
  }

  std::mutex mutex_;
  std::unordered_map<Var*, Entry> entries_;
};

// Locked variables of an operation, each with a buffer that it may write to.
class Variables {
 public:
  // Opens the variables whose handles are the inputs from `first` on.
  Status Open(OpKernelContext* ctx, int first, int count) {
    for (int i = first; i < first + count; ++i) {
      tensorflow::core::RefCountPtr<tensorflow::Var> variable;
      TF_RETURN_IF_ERROR(tensorflow::LookupResource(
          ctx, tensorflow::HandleFromInput(ctx, i), &variable));
      locks_.emplace_back(*variable->mu());
      TF_RETURN_IF_ERROR(Resting::All().Wake(ctx, variable.get()));
      opened_.push_back(std::move(variable));
    }
    return OkStatus();
  }

  const Tensor& operator[](size_t i) const { return *opened_[i]->tensor(); }

  // What a variable holds, for writing: a copy if somebody else reads it.
  Status Write(OpKernelContext* ctx, size_t i, float** data) {
    return ForWriting(ctx, opened_[i]->tensor(), data);
  }

  // Keeps what a variable holds packed. Not after single entries have been
  // assigned: from then on TensorFlow writes to the buffer as it is.
  void KeepPacked(size_t i, Packed packed) {
    if (opened_[i]->copy_on_read_mode.load()) return;
    PackedKernels::All().Keep(*opened_[i]->tensor(), std::move(packed));
  }

 private:
  std::vector<tensorflow::core::RefCountPtr<tensorflow::Var>> opened_;
  std::vector<tensorflow::mutex_lock> locks_;
};

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_PACKED_H_
