#pragma once
// Convolutions of bfloat16 images with sums in float32, by oneDNN, on the calling thread alone: k x k, stride
// 1, padded with zeros to the same size. oneDNN multiplies with the best that the processor has (AMX tiles,
// AVX512-BF16), and may have nothing for a processor without (cpu_has_bfloat16). Values are of one image at a
// time, so that an image's bits do not depend on those beside it.

#include "kernel/image.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace tweedie {

// Sizes of a layer: images of height x width pixels, channels as lanes (lanes.h)
struct ConvolutionSize {
  int64_t height, width, in, out, kernel;
  auto operator<=>(const ConvolutionSize&) const = default;
};

// What becomes of the outputs: rounded, rounded with what was there added before, or kept in float32
enum class OutputKind { bfloat16, added_bfloat16, float32 };

// One layer with its kernels, rounded to bfloat16 and in the order that oneDNN wants.
class DirectConvolution {
 public:
  // weight: (out, k, k, in) of `out` and `in` channels, as channels-last memory has it
  static DirectConvolution forward(const ImageSize& x, const float* weight, int64_t out, int64_t kernel,
                                   OutputKind output);
  // of the transposed convolution, from images of out channels, y's, to those of in channels
  static DirectConvolution adjoint(const ImageSize& y, const float* weight, int64_t in, int64_t kernel,
                                   OutputKind output);

  int64_t scratch_numbers() const;  // float32 that a run works in
  // y: Bfloat16 or float as `output` says. bias: of all lanes.
  void run(const Bfloat16* x, const float* bias, void* y, float* scratch) const;

 private:
  struct State;
  explicit DirectConvolution(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  static DirectConvolution make(const ConvolutionSize& size, const std::vector<float>& weight,
                                OutputKind output);
  std::shared_ptr<const State> state_;
};

// gradient (out, k, k, in) += that of sum(dy . (weight * x)) with respect to the weights, over `rows` images
class DirectKernelGradient {
 public:
  DirectKernelGradient(const ImageSize& x, int64_t out, int64_t kernel, int64_t rows);
  int64_t scratch_numbers() const;
  void add(const Bfloat16* x, const Bfloat16* dy, float* gradient, float* scratch) const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
  int64_t in_, out_;  // channels
};

}  // namespace tweedie
