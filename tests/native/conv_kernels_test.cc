// The convolution kernels of one instruction set against plain loops in double
// precision. Buffers have exactly the size that they need, so a sanitizer sees
// overruns.

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "conv.h"
#include "conv_plan.h"
#include "conv_shapes.h"
#include "structure.h"

namespace tf_sparse_rl {
namespace TF_SPARSE_RL_CPU {
extern const ConvKernels kConvKernels;
}
}  // namespace tf_sparse_rl

namespace {

using namespace tf_sparse_rl;
using Floats = std::vector<float>;
const ConvKernels& kernels = TF_SPARSE_RL_CPU::kConvKernels;
std::mt19937 random_bits(0);

Floats Normals(int64_t size) {
  static std::normal_distribution<float> normal;
  Floats values(size);
  for (float& value : values) value = normal(random_bits);
  return values;
}

void Close(const Floats& found, const std::vector<double>& expected,
           const char* what) {
  for (size_t i = 0; i < expected.size(); ++i) {
    const bool both_nan = std::isnan(expected[i]) && std::isnan(found[i]);
    if (both_nan || std::abs(found[i] - expected[i]) <=
                        1e-4 * (1 + std::abs(expected[i]))) {
      continue;
    }
    std::printf("%s: expected %g, found %g\n", what, expected[i], found[i]);
    std::exit(1);
  }
}

// A group of images and everything about one convolution of them.
struct Case {
  Convolution c;
  int32_t examples, lanes;
  bool relu;
  Structure s;
  ConvPlan plan;
  Floats mask, weight, packed, bias, x, dy;

  int64_t Image() const { return int64_t{c.height} * c.width * c.channels; }
  int64_t Output() const {
    return int64_t{c.out_height} * c.out_width * c.outputs;
  }

  // Calls `function(example, output pixel, input pixel, weight, output
  // channel)` of all products, pixels with their channels.
  template <typename Function>
  void EachProduct(Function function) const {
    for (int e = 0; e < examples; ++e) {
      for (int oy = 0; oy < c.out_height; ++oy) {
        for (int ox = 0; ox < c.out_width; ++ox) {
          for (int i = 0; i < s.inputs; ++i) {
            const int channel = i % c.channels;
            const int kx = i / c.channels % c.kernel_width;
            const int ky = i / c.channels / c.kernel_width;
            const int y = oy * c.stride_y + ky - c.top;
            const int x = ox * c.stride_x + kx - c.left;
            if (y < 0 || y >= c.height || x < 0 || x >= c.width) continue;
            const int64_t from =
                e * Image() + (int64_t{y} * c.width + x) * c.channels + channel;
            for (int o = 0; o < c.outputs; ++o) {
              const int64_t to = e * Output() +
                                 (int64_t{oy} * c.out_width + ox) * c.outputs +
                                 o;
              function(from, to, int64_t{i} * c.outputs + o, o);
            }
          }
        }
      }
    }
  }
};

Case MakeCase(const Convolution& c, int32_t examples, int32_t lanes,
              double sparsity) {
  Case t;
  t.c = c;
  t.examples = examples;
  t.lanes = lanes;
  t.relu = random_bits() % 2;
  const int inputs = c.kernel_height * c.kernel_width * c.channels;
  for (int k = 0; k < inputs * c.outputs; ++k) {
    t.mask.push_back(std::uniform_real_distribution<>()(random_bits) >=
                     sparsity);
  }
  t.s = MakeStructure(t.mask.data(), inputs, c.outputs);
  t.plan = MakeConvPlan(t.s, c, lanes, kernels.scratch);
  t.weight = Normals(t.mask.size());
  for (size_t k = 0; k < t.mask.size(); ++k) {
    t.weight[k] *= t.mask[k];
    if (t.mask[k]) t.packed.push_back(t.weight[k]);
  }
  t.bias = Normals(c.outputs);
  t.x = Normals(examples * t.Image());
  t.dy = Normals(examples * t.Output());
  return t;
}

Images ImagesOf(int32_t examples, int32_t pixels, const Planes& planes,
                const std::vector<int32_t>& at, bool by_channel = false) {
  return {examples,     pixels,           planes.channels, at.data(),
          planes.lanes, planes.channel(), by_channel};
}

// Images in planes, as bytes if they are.
Floats ToPlanes(const Floats& images, const float* slope, int32_t examples,
                int32_t height, int32_t width, const Planes& planes) {
  Floats result(planes.group);
  const auto at = PixelPlaces(height, width, planes);
  kernels.to_planes(ImagesOf(examples, height * width, planes, at),
                    images.data(), slope, 1.0f, result.data());
  return result;
}

Floats FromPlanes(const Floats& from, int32_t examples, int32_t height,
                  int32_t width, const Planes& planes) {
  const auto at = PixelPlaces(height, width, planes);
  Floats images(int64_t{examples} * height * width * planes.channels);
  kernels.from_planes(ImagesOf(examples, height * width, planes, at),
                      from.data(), images.data());
  return images;
}

// Runs a pass; the weights of its taps are those of its entries.
bool Run(const Pass& pass, const Floats& packed, const float* source,
         const Finish& finish, const Target& target) {
  Floats weight, scratch(kernels.scratch * pass.units);
  for (const int32_t entry : pass.entry) weight.push_back(packed[entry]);
  return kernels.sum(pass.taps(), weight.data(), pass.spans.data(), 0,
                     pass.spans.size(), source, finish, target,
                     scratch.data());
}

void TestForward(const Case& t, const Floats& x) {
  const Convolution& c = t.c;
  std::vector<double> expected(t.examples * t.Output());
  t.EachProduct([&](int64_t from, int64_t to, int64_t k, int) {
    expected[to] += double(t.x[from]) * t.weight[k];
  });
  for (size_t i = 0; i < expected.size(); ++i) {
    expected[i] += t.bias[i % c.outputs];
    if (t.relu && expected[i] < 0) expected[i] = 0;
  }
  const Planes to =
      PlainPlanes(c.out_height, c.out_width, c.outputs, t.lanes);
  const auto at = OutputPlaces(
      t.plan, [&](int32_t y, int32_t x) { return to.At(y, x); });
  Floats y(to.group);
  const Finish finish{t.bias.data(), t.relu, nullptr, 0, nullptr};
  if (!Run(t.plan.forward, t.packed, x.data(), finish,
           {y.data(), to.channel(), at.data(), t.lanes})) {
    std::printf("Not finite\n");
    std::exit(1);
  }
  Close(FromPlanes(y, t.examples, c.out_height, c.out_width, to), expected,
        "forward");
}

void TestBackward(const Case& t, const Floats& x, const Floats& delta) {
  const Convolution& c = t.c;
  std::vector<double> expected(t.examples * t.Image());
  t.EachProduct([&](int64_t from, int64_t to, int64_t k, int) {
    expected[from] += double(t.dy[to]) * t.weight[k];
  });
  for (size_t i = 0; i < expected.size(); ++i) {
    if (t.relu && t.x[i] <= 0) expected[i] = 0;
  }
  const Planes& in = t.plan.input;
  const Planes to = PlainPlanes(c.height, c.width, c.channels, t.lanes);
  Floats dx(to.group);
  for (size_t phase = 0; phase < t.plan.backward.size(); ++phase) {
    const auto at = PhasePlaces(t.plan, phase, to);
    const float* slope = t.relu ? x.data() + phase * in.plane : nullptr;
    const Finish finish{nullptr, false, slope, in.channel(), nullptr};
    Run(t.plan.backward[phase], t.packed, delta.data() + t.plan.delta.front,
        finish, {dx.data(), to.channel(), at.data(), t.lanes});
  }
  Close(FromPlanes(dx, t.examples, c.height, c.width, to), expected,
        "backward");
}

void TestWeightGradient(const Case& t, const Floats& x, const Floats& delta) {
  std::vector<double> dense(t.mask.size()), bias(t.c.outputs), expected;
  t.EachProduct([&](int64_t from, int64_t to, int64_t k, int) {
    dense[k] += double(t.x[from]) * t.dy[to];
  });
  for (size_t i = 0; i < t.dy.size(); ++i) bias[i % t.c.outputs] += t.dy[i];
  for (size_t k = 0; k < dense.size(); ++k) {
    if (t.mask[k]) expected.push_back(dense[k]);
  }
  const Pass& pass = t.plan.forward;
  Floats sums(16 * pass.entry.size()), bias_sums(16 * pass.units);
  const int32_t middle = pass.units / 2;  // In two parts, as two threads do it.
  for (const auto& [first, last] :
       {std::pair(0, middle), {middle, pass.units}}) {
    kernels.weight_gradient(pass.taps(), pass.spans.data(), pass.spans.size(),
                            first, last, x.data(),
                            delta.data() + t.plan.delta.front,
                            t.plan.delta.plane, sums.data(), bias_sums.data());
  }
  Floats sorted(pass.entry.size()), gradient(sorted), of_bias(pass.units);
  kernels.reduce(sums.data(), sorted.size(), sorted.data());
  kernels.reduce(bias_sums.data(), pass.units, of_bias.data());
  for (size_t k = 0; k < sorted.size(); ++k) {
    gradient[pass.entry[k]] = sorted[k];
  }
  Close(gradient, expected, "weight gradient");
  Close(of_bias, bias, "bias gradient");
}

void TestImages(const Case& t, const Floats& x) {
  const Planes plain =
      PlainPlanes(t.c.height, t.c.width, t.c.channels, t.lanes);
  const Floats slope = Normals(t.x.size());
  const Floats through = FromPlanes(
      ToPlanes(t.x, slope.data(), t.examples, t.c.height, t.c.width, plain),
      t.examples, t.c.height, t.c.width, plain);
  std::vector<double> expected;
  for (size_t i = 0; i < t.x.size(); ++i) {
    expected.push_back(slope[i] > 0 ? t.x[i] : 0);
  }
  Close(through, expected, "images through planes");
  std::vector<uint8_t> bytes;
  Floats numbers;
  for (size_t i = 0; i < t.x.size(); ++i) {
    bytes.push_back(random_bits());
    numbers.push_back(bytes[i] * 0.5f);
  }
  const int64_t pixels = t.c.height * t.c.width;
  std::vector<uint8_t> by_channel;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const int64_t pixel = i % pixels, channel = i / pixels % t.c.channels;
    const int64_t image = i / pixels / t.c.channels * t.Image();
    by_channel.push_back(bytes[image + pixel * t.c.channels + channel]);
  }
  const auto at = PixelPlaces(t.c.height, t.c.width, t.plan.input);
  const Floats same = ToPlanes(numbers, nullptr, t.examples, t.c.height,
                               t.c.width, t.plan.input);
  for (const auto* each : {&bytes, &by_channel}) {
    Floats found(x.size());
    kernels.bytes_to_planes(
        ImagesOf(t.examples, pixels, t.plan.input, at, each == &by_channel),
        each->data(), 0.5f, found.data());
    Close(found, {same.begin(), same.end()}, "bytes");
  }
}

void TestPoison(const Case& t, Floats x) {
  const int64_t size = t.plan.input.plane + kConvSlack;
  const Planes to =
      PlainPlanes(t.c.out_height, t.c.out_width, t.c.outputs, t.lanes);
  const auto at = OutputPlaces(
      t.plan, [&](int32_t y, int32_t x) { return to.At(y, x); });
  Floats y(to.group), poison(size);
  for (int32_t e = 0; e < t.lanes; ++e) poison[e] = NAN;  // The first place.
  const Finish finish{nullptr, true, nullptr, 0, poison.data()};
  const bool finite = Run(t.plan.forward, t.packed, x.data(), finish,
                          {y.data(), to.channel(), at.data(), t.lanes});
  const Floats images =
      FromPlanes(y, t.examples, t.c.out_height, t.c.out_width, to);
  for (size_t i = 0; i < images.size(); ++i) {
    const bool is_first = int64_t(i) % t.Output() < t.c.outputs;
    if (finite || std::isnan(images[i]) != is_first) {
      std::printf("NaN is not where it should be\n");
      std::exit(1);
    }
  }
}

void Test(const Convolution& c, int32_t examples, int32_t lanes,
          double sparsity) {
  const Case t = MakeCase(c, examples, lanes, sparsity);
  const Floats x = ToPlanes(t.x, nullptr, examples, c.height, c.width,
                            t.plan.input);
  const Floats delta = ToPlanes(t.dy, nullptr, examples, c.out_height,
                                c.out_width, t.plan.delta);
  TestForward(t, x);
  TestBackward(t, x, delta);
  TestWeightGradient(t, x, delta);
  TestImages(t, x);
  TestPoison(t, x);
}

}  // namespace

int main() {
  const auto below = [](int n) { return static_cast<int>(random_bits() % n); };
  for (int i = 0; i < 120; ++i) {
    const bool same = i % 2;
    const int kernel_y = 1 + below(4), kernel_x = 1 + below(4);
    const Convolution c = MakeConvolution(
        kernel_y + below(8), kernel_x + below(8), 1 + below(5), kernel_y,
        kernel_x, 1 + below(6), 1 + below(3), 1 + below(3), same);
    const double sparsity[] = {0.0, 0.5, 0.9, 1.0};
    if (i % 3) {
      Test(c, 1 + below(16), 16, sparsity[i % 4]);
    } else {
      Test(c, 1, 1, sparsity[i % 4]);
    }
  }
  // More channels than one chunk holds, and rows longer than the registers.
  Test(MakeConvolution(6, 29, 40, 3, 3, 7, 1, 1, true), 16, 16, 0.5);
  Test(MakeConvolution(20, 20, 40, 3, 3, 7, 1, 1, true), 1, 1, 0.5);
  std::printf("all good\n");
}
