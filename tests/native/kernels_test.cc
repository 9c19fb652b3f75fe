// The kernels of one instruction set against plain loops in double precision.
// Buffers have exactly the size that they need, so a sanitizer sees overruns.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <utility>
#include <vector>

#include "kernels.h"
#include "structure.h"

namespace tf_sparse_rl {
namespace TF_SPARSE_RL_CPU {
extern const Kernels kKernels;
}
}  // namespace tf_sparse_rl

namespace {

using namespace tf_sparse_rl;
const Kernels& kernels = TF_SPARSE_RL_CPU::kKernels;
std::mt19937 random_bits(0);

float Normal() {
  static std::normal_distribution<float> normal;
  return normal(random_bits);
}

std::vector<float> Normals(int64_t size) {
  std::vector<float> values(size);
  for (float& value : values) value = Normal();
  return values;
}

void Check(bool good, const char* what, double found, double expected) {
  if (good) return;
  std::printf("%s: expected %g, found %g\n", what, expected, found);
  std::exit(1);
}

void Close(double found, double expected, double scale, const char* what) {
  Check(std::abs(found - expected) <= 2e-5 * (1 + scale), what, found,
        expected);
}

double Activate(Activation kind, double x) {
  switch (kind) {
    case Activation::kRelu: return x > 0 ? x : 0;
    case Activation::kTanh: return std::tanh(x);
    case Activation::kSigmoid: return 1 / (1 + std::exp(-x));
    case Activation::kElu: return x < 0 ? std::expm1(x) : x;
    default: return x;
  }
}

double Slope(Activation kind, double y) {
  switch (kind) {
    case Activation::kRelu: return y > 0;
    case Activation::kTanh: return 1 - y * y;
    case Activation::kSigmoid: return y * (1 - y);
    case Activation::kElu: return y < 0 ? y + 1 : 1;
    default: return 1;
  }
}

constexpr Activation kAll[] = {Activation::kLinear, Activation::kRelu,
                               Activation::kTanh, Activation::kSigmoid,
                               Activation::kElu};

struct Layer {
  Structure s;
  std::vector<float> mask, dense, by_input, by_output, bias;
};

Layer MakeLayer(int inputs, int outputs, double sparsity) {
  Layer layer;
  layer.mask.resize(inputs * outputs);
  std::uniform_real_distribution<double> uniform(0, 1);
  for (float& entry : layer.mask) entry = uniform(random_bits) >= sparsity;
  const int row = random_bits() % inputs, column = random_bits() % outputs;
  if (sparsity > 0) {
    for (int j = 0; j < outputs; ++j) layer.mask[row * outputs + j] = 0;
    for (int i = 0; i < inputs; ++i) layer.mask[i * outputs + column] = 0;
  }
  layer.s = MakeStructure(sparsity > 0 ? layer.mask.data() : nullptr, inputs,
                          outputs);
  layer.dense = Normals(inputs * outputs);
  for (int k = 0; k < inputs * outputs; ++k) layer.dense[k] *= layer.mask[k];
  layer.by_output.resize(layer.s.nonzero());
  int64_t k = 0;
  for (int i = 0; i < inputs; ++i) {
    Check(layer.s.input_begin[i] == k, "input_begin", 0, 0);
    for (int j = 0; j < outputs; ++j) {
      if (layer.mask[i * outputs + j] == 0) continue;
      Check(layer.s.output[k] == j, "output", layer.s.output[k], j);
      const int place = layer.s.place[k++];
      Check(layer.s.input[place] == i, "input", layer.s.input[place], i);
      Check(place >= layer.s.output_begin[j] &&
                place < layer.s.output_begin[j + 1],
            "place", place, layer.s.output_begin[j]);
      layer.by_input.push_back(layer.dense[i * outputs + j]);
      layer.by_output[place] = layer.by_input.back();
    }
  }
  Check(layer.s.nonzero() == k, "nonzero", layer.s.nonzero(), k);
  layer.bias = Normals(outputs);
  return layer;
}

std::vector<float> Blocks(const std::vector<float>& matrix, int64_t batch,
                          int64_t units) {
  std::vector<float> blocks(NumBlocks(batch) * BlockWidth(batch) * units);
  kernels.to_blocks(matrix.data(), batch, units, blocks.data());
  std::vector<float> back(batch * units);
  kernels.from_blocks(blocks.data(), batch, units, back.data());
  Check(back == matrix, "to and from blocks", 0, 0);
  return blocks;
}

std::vector<float> Matrix(const std::vector<float>& blocks, int64_t batch,
                          int64_t units) {
  std::vector<float> matrix(batch * units);
  kernels.from_blocks(blocks.data(), batch, units, matrix.data());
  return matrix;
}

void TestLayer(int64_t batch, int inputs, int outputs, double sparsity,
               Activation kind) {
  const Layer layer = MakeLayer(inputs, outputs, sparsity);
  const Structure& s = layer.s;
  const int64_t padded = NumBlocks(batch) * BlockWidth(batch);
  const std::vector<float> x = Normals(batch * inputs);
  const std::vector<float> x_blocks = Blocks(x, batch, inputs);
  const Connections to_outputs = {outputs, inputs, s.output_begin.data(),
                                  s.input.data(), layer.by_output.data()};
  const Connections to_inputs = {inputs, outputs, s.input_begin.data(),
                                 s.output.data(), layer.by_input.data()};

  std::vector<float> y_blocks(padded * outputs);
  kernels.forward(to_outputs, layer.bias.data(), kind, batch, x_blocks.data(),
                  y_blocks.data());
  const std::vector<float> y = Matrix(y_blocks, batch, outputs);
  for (int64_t b = 0; b < batch; ++b) {
    for (int j = 0; j < outputs; ++j) {
      double sum = layer.bias[j];
      for (int i = 0; i < inputs; ++i) {
        sum += double(x[b * inputs + i]) * layer.dense[i * outputs + j];
      }
      Close(y[b * outputs + j], Activate(kind, sum), std::abs(sum), "forward");
    }
  }
  // Bit for bit, whatever units are computed beside one.
  for (int j = 0; j < outputs; ++j) {
    Connections alone = to_outputs;
    alone.begin += j;
    alone.units = 1;
    std::vector<float> unit_blocks(padded);
    kernels.forward(alone, layer.bias.data() + j, kind, batch, x_blocks.data(),
                    unit_blocks.data());
    const std::vector<float> unit = Matrix(unit_blocks, batch, 1);
    for (int64_t b = 0; b < batch; ++b) {
      Check(unit[b] == y[b * outputs + j], "a unit alone", unit[b],
            y[b * outputs + j]);
    }
  }

  const std::vector<float> dy = Normals(batch * outputs);
  const std::vector<float> dy_blocks = Blocks(dy, batch, outputs);
  std::vector<float> dz_blocks(padded * outputs);
  kernels.through(kind, padded * outputs, dy_blocks.data(), y_blocks.data(),
                  dz_blocks.data());
  const std::vector<float> dz = Matrix(dz_blocks, batch, outputs);
  for (int64_t k = 0; k < batch * outputs; ++k) {
    Close(dz[k], dy[k] * Slope(kind, y[k]), std::abs(dy[k]), "through");
  }

  std::vector<float> dx_blocks(padded * inputs);
  kernels.backward(to_inputs, kind, batch, dz_blocks.data(), x_blocks.data(),
                   dx_blocks.data());
  const std::vector<float> dx = Matrix(dx_blocks, batch, inputs);
  for (int64_t b = 0; b < batch; ++b) {
    for (int i = 0; i < inputs; ++i) {
      double sum = 0, size = 0;
      for (int j = 0; j < outputs; ++j) {
        sum += double(dz[b * outputs + j]) * layer.dense[i * outputs + j];
        size += std::abs(dz[b * outputs + j] * layer.dense[i * outputs + j]);
      }
      const double slope = Slope(kind, x[b * inputs + i]);
      Close(dx[b * inputs + i], sum * slope, size * std::abs(slope),
            "backward");
    }
  }

  std::vector<float> packed(s.nonzero()), dense(inputs * outputs),
      of_bias(outputs);
  const int middle = inputs / 2;
  for (const auto& range : {std::pair<int, int>(0, middle), {middle, inputs}}) {
    kernels.weight_gradient(s.input_begin.data(), s.input_begin.data() + 1,
                            s.output.data(), padded, inputs, outputs,
                            range.first, range.second, x_blocks.data(),
                            dz_blocks.data(), packed.data());
  }
  for (const auto& range : {std::pair(0, inputs / 2), {inputs / 2, inputs}}) {
    kernels.dense_gradient(padded, inputs, outputs, range.first, range.second,
                           x_blocks.data(), dz_blocks.data(),
                           dense.data() + range.first * outputs);
  }
  kernels.bias_gradient(padded, outputs, dz_blocks.data(), of_bias.data());
  int64_t k = 0;
  for (int i = 0; i < inputs; ++i) {
    for (int j = 0; j < outputs; ++j) {
      double sum = 0, size = 0;
      for (int64_t b = 0; b < batch; ++b) {
        const double product = double(x[b * inputs + i]) * dz[b * outputs + j];
        sum += product;
        size += std::abs(product);
      }
      Close(dense[i * outputs + j], sum, size, "dense gradient");
      if (layer.mask[i * outputs + j] == 0) continue;
      Close(packed[k++], sum, size, "weight gradient");
    }
  }
  for (int j = 0; j < outputs; ++j) {
    double sum = 0, size = 0;
    for (int64_t b = 0; b < batch; ++b) {
      sum += dz[b * outputs + j];
      size += std::abs(dz[b * outputs + j]);
    }
    Close(of_bias[j], sum, size, "bias gradient");
  }
}

void TestAdam(int64_t size) {
  const AdamStep step = {0.01f, 0.9f, 0.99f, 1e-7f};
  const float decay = 0.3f;
  std::vector<float> w = Normals(size), m = Normals(size), v = Normals(size);
  for (float& entry : v) entry = std::abs(entry);
  const std::vector<float> w0 = w, m0 = m, v0 = v, g = Normals(size);
  kernels.adam(step, decay, size, g.data(), w.data(), m.data(), v.data());
  for (int64_t at = 0; at < size; ++at) {
    const double gradient = g[at] + decay * double(w0[at]);
    const double m1 = m0[at] + (gradient - m0[at]) * (1 - 0.9f);
    const double v1 = v0[at] + (gradient * gradient - v0[at]) * (1 - 0.99f);
    const double w1 = w0[at] - m1 * 0.01f / (std::sqrt(v1) + 1e-7f);
    Close(m[at], m1, std::abs(m1), "adam m");
    Close(v[at], v1, std::abs(v1), "adam v");
    Close(w[at], w1, std::abs(w1), "adam variable");
  }
}

void TestSquash(int64_t size) {
  std::vector<float> mean = Normals(size), log_std = Normals(size);
  const std::vector<float> noise = Normals(size);
  for (int64_t i = 0; i < size; ++i) mean[i] *= i % 7;  // Far out, too.
  std::vector<float> tanh(size), std(size), log_pi(size, 3.0f);
  kernels.squash(size, mean.data(), log_std.data(), noise.data(), tanh.data(),
                 std.data(), log_pi.data());
  for (int64_t i = 0; i < size; ++i) {
    const double z = noise[i], x = mean[i] + std::exp(double(log_std[i])) * z;
    const double slope = 2 * (std::log(2.0) - x - std::log1p(std::exp(-2 * x)));
    Close(std[i], std::exp(double(log_std[i])), std[i], "squash, deviation");
    Close(tanh[i], std::tanh(x), 0, "squash, tanh");
    Close(log_pi[i], 3 - (0.5 * z * z + log_std[i] + slope), std::abs(x),
          "squash, log pi");
  }
}

void TestUnpack(int inputs, int outputs, double sparsity) {
  const Layer layer = MakeLayer(inputs, outputs, sparsity);
  const Structure& s = layer.s;
  const int64_t words = s.active.size() / inputs;
  for (const bool past_cache : {false, true}) {
    // A whole number of lines of the cache, aligned to them.
    const size_t bytes = (inputs * outputs * sizeof(float) + 63) / 64 * 64;
    float* kernel = static_cast<float*>(std::aligned_alloc(64, bytes));
    std::fill_n(kernel, inputs * outputs, 0.0f);
    // In two parts, as two threads do it.
    for (const auto& [first, last] :
         {std::pair(0, inputs / 2), {inputs / 2, inputs}}) {
      kernels.unpack(last - first, outputs, s.input_begin.data() + first,
                     s.output.data(), s.active.data() + first * words,
                     layer.by_input.data(), past_cache,
                     kernel + first * outputs);
    }
    for (int k = 0; k < inputs * outputs; ++k) {
      Check(kernel[k] == layer.dense[k], "unpack", kernel[k], layer.dense[k]);
    }
    std::free(kernel);
  }
}

void TestActivationsFarAndNear() {
  for (const Activation kind : kAll) {
    for (const float z :
         {-100.f, -20.f, -1.f, -0.625f, -1e-3f, -1e-39f, 0.f, 1e-39f, 1e-3f,
          0.624f, 0.626f, 3.f, 20.f, 100.f}) {
      const Structure s = MakeStructure<float>(nullptr, 1, 1);
      const float one = 1, zero = 0;
      std::vector<float> x(16, z), y(16);
      kernels.forward({1, 1, s.output_begin.data(), s.input.data(), &one},
                      &zero, kind, 16, x.data(), y.data());
      const double expected = Activate(kind, z);
      for (const float found : y) {
        Check(std::abs(found - expected) <= 3e-7 * std::abs(expected) + 1e-38,
              "an activation", found, expected);
      }
    }
  }
}

void TestWhatIsNotFinite() {
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    for (const Activation kind : kAll) {
      const int64_t batch = 20;
      const Layer layer = MakeLayer(6, 7, 0.8);
      std::vector<float> x = Normals(batch * 6);
      x[3 * 6 + 2] = bad;
      std::vector<float> x_blocks(32 * 6);
      kernels.to_blocks(x.data(), batch, 6, x_blocks.data());
      std::vector<float> y_blocks(32 * 7);
      kernels.forward({7, 6, layer.s.output_begin.data(),
                       layer.s.input.data(), layer.by_output.data()},
                      layer.bias.data(), kind, batch, x_blocks.data(),
                      y_blocks.data());
      const std::vector<float> y = Matrix(y_blocks, batch, 7);
      for (int64_t k = 0; k < batch * 7; ++k) {
        Check(std::isnan(y[k]) == (k / 7 == 3), "NaN", y[k], k / 7 == 3);
      }
    }
  }
}

}  // namespace

int main() {
  int count = 0;
  for (const int64_t batch :
       {1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 128}) {
    for (const double sparsity : {0.0, 0.1, 0.5, 0.9, 0.99, 1.0}) {
      TestLayer(batch, 1 + random_bits() % 70, 1 + random_bits() % 70, sparsity,
                kAll[count++ % 5]);
    }
  }
  for (const int64_t size : {0, 1, 15, 16, 17, 335, 5240}) TestAdam(size);
  for (const int64_t size : {16, 64, 4096}) TestSquash(size);
  for (const double sparsity : {0.0, 0.5, 0.9, 0.99, 1.0}) {
    TestUnpack(1, 1, sparsity);
    TestUnpack(5, 67, sparsity);
    TestUnpack(40, 128, sparsity);
  }
  TestActivationsFarAndNear();
  TestWhatIsNotFinite();
  std::printf("%s: all good\n", kernels.name);
}
