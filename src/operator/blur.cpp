// Convolution, by Fourier transforms. With a circular boundary the transform diagonalises A, with K the
// spectrum of the kernel: A = F^{-1} K F, A^T = F^{-1} conj(K) F, and (A^T A + lambda I)^{-1} = F^{-1} (|K|^2
// + lambda)^{-1} F. With a zero boundary the image is continued by zeros so far that nothing wraps around
// into what is kept.

#include "operator/linear.h"
#include "tweedie/image_operators.h"
#include "tweedie/operators.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace tweedie {
namespace {

// How long an axis the transform has, for an image of n and a kernel of k: displacements reach from -floor(k
// / 2) to k - 1 - floor(k / 2).
int64_t grid_size(int64_t n, int64_t k, Boundary boundary) {
  return boundary == Boundary::circular ? n : n + k / 2;
}

// The spectrum's real and imaginary parts, (2, P, Q / 2 + 1) float64, of the kernel laid with its centre at
// (0, 0).
Tensor spectrum(const Tensor& kernel, const Shape& grid) {
  const auto place = [&](int64_t axis) {
    return (at::arange(kernel.size(axis)) - kernel.size(axis) / 2).remainder(grid[axis]);
  };
  const Tensor flat = (place(0).unsqueeze(1) * grid[1] + place(1)).flatten();
  const Tensor laid = at::zeros({grid[0] * grid[1]}, at::kDouble).index_add(0, flat, kernel.flatten());
  return at::view_as_real(at::fft_rfft2(laid.view(grid))).permute({2, 0, 1}).contiguous();
}

class BlurOperator final : public FixedShape {
 public:
  BlurOperator(const Shape& domain, const Tensor& kernel, Boundary boundary)
      : FixedShape(domain, domain),
        boundary_(boundary),
        height_(domain[domain.size() - 2]),
        width_(domain.back()),
        grid_{grid_size(height_, kernel.size(0), boundary), grid_size(width_, kernel.size(1), boundary)},
        spectrum_(spectrum(kernel, grid_)) {}

 protected:
  double do_norm(double tolerance) const override {
    if (boundary_ == Boundary::zero) return FixedShape::do_norm(tolerance);
    return std::sqrt(power(at::zeros({1}, at::kDouble)).max().item<double>());
  }
  Tensor do_apply(const Tensor& x) const override {
    const Tensor k = spectrum_.like(x);
    return filter(x, k[0], k[1]);
  }
  Tensor do_adjoint(const Tensor& y) const override {
    const Tensor k = spectrum_.like(y);
    return filter(y, k[0], -k[1]);
  }
  Tensor do_solve_normal(const Tensor& b, double lambda) const override {
    if (boundary_ == Boundary::zero) return FixedShape::do_solve_normal(b, lambda);
    const Tensor inverse = 1 / (power(b) + lambda);
    return filter(b, inverse, at::zeros_like(inverse));
  }
  Tensor do_solve_gram(const Tensor& b, double lambda) const override {
    // A and A^T commute.
    return boundary_ == Boundary::zero ? FixedShape::do_solve_gram(b, lambda) : do_solve_normal(b, lambda);
  }
  Tensor do_pseudo_inverse(const Tensor& y) const override {
    if (boundary_ == Boundary::zero) return FixedShape::do_pseudo_inverse(y);
    const Tensor size = power(y), k = spectrum_.like(y);
    const Tensor kept = size.sqrt().gt(rank_tolerance(height_ * width_, y.scalar_type()) * size.max().sqrt());
    const Tensor inverse = at::where(kept, size.reciprocal(), at::zeros_like(size));
    return filter(y, k[0] * inverse, -k[1] * inverse);
  }

 private:
  // |K|^2
  Tensor power(const Tensor& x) const { return spectrum_.like(x).square().sum(0); }

  // The product is spelt in real numbers, each rounded once: libtorch's complex product rounds differently in
  // the last few entries of an array, and a row would depend on where it lies.
  Tensor filter(const Tensor& x, const Tensor& real, const Tensor& imaginary) const {
    const Tensor f = at::view_as_real(at::fft_rfft2(x, grid_));
    const Tensor re = f.select(-1, 0), im = f.select(-1, 1);
    const Tensor product = at::stack({re * real - im * imaginary, re * imaginary + im * real}, -1);
    const Tensor y = at::fft_irfft2(at::view_as_complex(product), grid_);
    return y.narrow(-2, 0, height_).narrow(-1, 0, width_).contiguous();
  }

  Boundary boundary_;
  int64_t height_, width_;
  Shape grid_;
  Constant spectrum_;
};

}  // namespace

LinearOperatorPtr make_blur(Shape domain, const Tensor& kernel, Boundary boundary) {
  require_domain(domain, 2, "blur.domain");
  if (kernel.dim() != 2 || kernel.numel() == 0) {
    throw Error("blur.kernel",
                fmt::format("shape {}, but (height, width) is needed", to_string(kernel.sizes())));
  }
  require_real(kernel, "blur.kernel");
  require_finite(kernel, "blur.kernel");
  return std::make_shared<BlurOperator>(domain, kernel.detach().to(at::kCPU, at::kDouble), boundary);
}

Tensor gaussian_kernel(double std, double truncation) {
  if (!(std > 0 && std <= 1000)) {
    throw Error("blur.std", fmt::format("{}, but 0 < std <= 1000 pixels is needed", std));
  }
  if (!(truncation > 0 && truncation <= 10)) {
    throw Error("blur.truncation", fmt::format("{}, but 0 < truncation <= 10 is needed", truncation));
  }
  const double radius = std::ceil(truncation * std);
  const Tensor line = (-0.5 * (at::arange(-radius, radius + 1, at::kDouble) / std).square()).exp();
  const Tensor normalised = line / line.sum();
  return normalised.outer(normalised);
}

// The mean of many points of the segment, each shared out among the four pixels around it.
Tensor motion_kernel(double length, double angle) {
  if (!(length > 0 && length <= 1000)) {
    throw Error("blur.length", fmt::format("{}, but 0 < length <= 1000 pixels is needed", length));
  }
  if (!std::isfinite(angle))
    throw Error("blur.angle", fmt::format("{}, but a finite angle is needed", angle));
  const double turn = angle * std::numbers::pi / 180, rows = -std::sin(turn), columns = std::cos(turn);
  const auto radius_of = [&](double direction) {
    return static_cast<int64_t>(std::ceil(0.5 * length * std::abs(direction) - 1e-9));
  };
  const int64_t top = radius_of(rows), left = radius_of(columns);
  Tensor kernel = at::zeros({2 * top + 1, 2 * left + 1}, at::kDouble);
  auto k = kernel.accessor<double, 2>();
  const auto points = static_cast<int64_t>(std::ceil(64 * length));
  for (int64_t p = 0; p < points; ++p) {
    const double along = length * ((static_cast<double>(p) + 0.5) / static_cast<double>(points) - 0.5);
    const double i = along * rows + static_cast<double>(top), j = along * columns + static_cast<double>(left);
    const double i0 = std::floor(i), j0 = std::floor(j);
    for (const int di : {0, 1}) {
      for (const int dj : {0, 1}) {
        const double weight = (di == 1 ? i - i0 : 1 - i + i0) * (dj == 1 ? j - j0 : 1 - j + j0);
        const auto row = static_cast<int64_t>(i0) + di, column = static_cast<int64_t>(j0) + dj;
        if (row >= 0 && row < kernel.size(0) && column >= 0 && column < kernel.size(1))
          k[row][column] += weight;
      }
    }
  }
  return kernel / kernel.sum();
}

}  // namespace tweedie
