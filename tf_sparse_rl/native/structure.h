// Where the active connections of a dense layer are, by input and by output.

#ifndef TF_SPARSE_RL_NATIVE_STRUCTURE_H_
#define TF_SPARSE_RL_NATIVE_STRUCTURE_H_

#include <cstdint>
#include <utility>
#include <vector>

namespace tf_sparse_rl {

// The ones of a mask [inputs, outputs], in the order of the mask ("by input")
// and in that of its transpose ("by output").
struct Structure {
  int32_t inputs = 0;
  int32_t outputs = 0;
  std::vector<int32_t> input_begin;   // inputs + 1: first entry by input
  std::vector<int32_t> output;        // by input: output unit of an entry
  std::vector<int32_t> output_begin;  // outputs + 1: first entry by output
  std::vector<int32_t> input;         // by output: input unit of an entry
  std::vector<int32_t> place;         // by input: its index by output
  std::vector<uint16_t> active;       // inputs x ceil(outputs / 16): a bit each

  int64_t nonzero() const { return static_cast<int64_t>(output.size()); }
  bool is_full() const { return nonzero() == int64_t{inputs} * outputs; }
};

// The structure of these bits, see `active`.
inline Structure StructureOfBits(std::vector<uint16_t> active, int32_t inputs,
                                 int32_t outputs) {
  Structure s;
  s.inputs = inputs;
  s.outputs = outputs;
  s.active = std::move(active);
  int64_t nonzero = 0;
  for (const uint16_t bits : s.active) nonzero += __builtin_popcount(bits);
  s.output.reserve(nonzero);
  s.input_begin.assign(inputs + 1, 0);
  s.output_begin.assign(outputs + 1, 0);
  const int32_t words = (outputs + 15) / 16;
  const uint16_t* word = s.active.data();
  for (int32_t i = 0; i < inputs; ++i) {
    for (int32_t w = 0; w < words; ++w, ++word) {
      for (uint32_t bits = *word; bits; bits &= bits - 1) {
        const int32_t j = 16 * w + __builtin_ctz(bits);
        s.output.push_back(j);
        ++s.output_begin[j + 1];
      }
    }
    s.input_begin[i + 1] = static_cast<int32_t>(s.output.size());
  }
  for (int32_t j = 0; j < outputs; ++j) {
    s.output_begin[j + 1] += s.output_begin[j];
  }
  s.input.resize(s.output.size());
  s.place.resize(s.output.size());
  std::vector<int32_t> next(s.output_begin.begin(), s.output_begin.end() - 1);
  for (int32_t i = 0; i < inputs; ++i) {
    for (int32_t k = s.input_begin[i]; k < s.input_begin[i + 1]; ++k) {
      const int32_t place = next[s.output[k]]++;
      s.input[place] = i;
      s.place[k] = place;
    }
  }
  return s;
}

// Reads a mask, of numbers of any type; null stands for one of ones.
template <typename Number>
Structure MakeStructure(const Number* mask, int32_t inputs, int32_t outputs) {
  const int64_t words = (outputs + 15) / 16;
  std::vector<uint16_t> active(inputs * words);
  for (int64_t i = 0; i < inputs; ++i) {
    for (int64_t j = 0; j < outputs; ++j) {
      const bool is_active = !mask || mask[i * outputs + j] != 0;
      active[i * words + j / 16] |= is_active << j % 16;
    }
  }
  return StructureOfBits(std::move(active), inputs, outputs);
}

}  // namespace tf_sparse_rl

#endif  // TF_SPARSE_RL_NATIVE_STRUCTURE_H_
