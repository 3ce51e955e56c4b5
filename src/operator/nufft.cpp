// The non-uniform Fourier transform by gridding: x over the kernel's transform, a Fourier transform on an
// oversampled grid, and interpolation with the kernel at the points (Fessler and Sutton, "Nonuniform fast
// Fourier transforms using min-max interpolation", IEEE TSP 2003, with a Kaiser-Bessel kernel). The adjoint
// is the transpose of each step. A^T A is the convolution with t[d] = sum_j exp(2 pi i k_j . d) / (H W), on a
// grid of twice the size (Wajer and Pruessmann, "Major speedup of reconstruction for sensitivity encoding
// with arbitrary trajectories", ISMRM 2001).

#include "tweedie/nufft.h"

#include "operator/k_space.h"
#include "operator/nufft_plan.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

class NufftOperator final : public FixedShape {
 public:
  // points: (m, 2) float64; sensitivities: (coils, 2, H, W) float64 or undefined
  NufftOperator(const Shape& domain, const Shape& codomain, Tensor points, const Tensor& sensitivities,
                const NufftSettings& settings)
      : FixedShape(domain, codomain),
        settings_(settings),
        height_(domain[domain.size() - 2]),
        width_(domain.back()),
        points_(std::move(points)),
        coils_(sensitivities.defined() ? sensitivities.size(0) : 1),
        sensitivities_(sensitivities.defined() ? sensitivities : at::empty({0}, at::kDouble)) {}
  bool measures_complex() const override { return true; }
  bool takes_complex() const override { return settings_.complex; }

 protected:
  Tensor do_apply(const Tensor& x) const override {
    const Tensor from = x.cpu().contiguous(), s = sensitivities_.as(x.scalar_type(), at::kCPU);
    Tensor y = at::empty(with_batch(x.size(0), codomain()), from.options());
    with_value_of(x.scalar_type(), [&](auto zero) {
      using Value = decltype(zero);
      const auto& plan = plan_of<Value>();
      in_parallel(x.size(0) * coils_, [&](int64_t i) {
        plan.forward(planes_of<const Value>(from.data_ptr<Value>(), i / coils_, pixels(), settings_.complex),
                     coil<Value>(s, i % coils_), y.data_ptr<Value>() + 2 * i * points_.size(0));
      });
    });
    return y.to(x.device());
  }
  Tensor do_adjoint(const Tensor& y) const override {
    const Tensor from = y.cpu().contiguous(), s = sensitivities_.as(y.scalar_type(), at::kCPU);
    return sum_of_coils(y, [&](auto zero, int64_t i, auto planes) {
      using Value = decltype(zero);
      plan_of<Value>().adjoint(from.data_ptr<Value>() + 2 * i * points_.size(0), coil<Value>(s, i % coils_),
                               planes);
    });
  }
  Tensor do_normal(const Tensor& x) const override {
    if (!settings_.toeplitz) return FixedShape::do_normal(x);
    const Tensor from = x.cpu().contiguous(), s = sensitivities_.as(x.scalar_type(), at::kCPU);
    return sum_of_coils(x, [&](auto zero, int64_t i, auto planes) {
      using Value = decltype(zero);
      convolution_of<Value>().apply(
          planes_of<const Value>(from.data_ptr<Value>(), i / coils_, pixels(), settings_.complex),
          coil<Value>(s, i % coils_), planes);
    });
  }

 private:
  int64_t pixels() const { return height_ * width_; }

  template <class Value>
  PlanesOf<const Value> coil(const Tensor& s, int64_t i) const {
    if (s.numel() == 0) return {nullptr, nullptr};
    return planes_of<const Value>(s.data_ptr<Value>(), i, pixels(), true);
  }
  // Over the images where they are enough for all threads, else within each.
  template <class Work>
  static void in_parallel(int64_t count, Work work) {
    if (count >= threads_in_use()) return for_each(count, work);
    for (int64_t i = 0; i < count; ++i) work(i);
  }
  // part(0 of the type, case x coils + coil, planes that it writes), summed over coils in their order
  template <class Part>
  Tensor sum_of_coils(const Tensor& like, Part part) const {
    Tensor parts = at::empty(with_batch(like.size(0) * coils_, domain()), like.options().device(at::kCPU));
    with_value_of(like.scalar_type(), [&](auto zero) {
      using Value = decltype(zero);
      prepare<Value>();
      in_parallel(like.size(0) * coils_, [&](int64_t i) {
        part(zero, i, planes_of(parts.data_ptr<Value>(), i, pixels(), settings_.complex));
      });
    });
    if (coils_ == 1) return parts.to(like.device());
    parts = parts.view(with_batch(like.size(0), with_batch(coils_, domain())));
    Tensor sum = parts.select(1, 0).clone();
    for (int64_t c = 1; c < coils_; ++c) sum += parts.select(1, c);
    return sum.to(like.device());
  }

  template <class Value>
  struct Made {
    std::once_flag plan_once, convolution_once;
    std::unique_ptr<const NufftPlan<Value>> plan;
    std::unique_ptr<const NufftConvolution<Value>> convolution;
  };
  template <class Value>
  Made<Value>& made() const {
    if constexpr (std::is_same_v<Value, float>) {
      return single_;
    } else {
      return twice_;
    }
  }
  template <class Value>
  const NufftPlan<Value>& plan_of() const {
    Made<Value>& m = made<Value>();
    std::call_once(m.plan_once,
                   [&] { m.plan = std::make_unique<NufftPlan<Value>>(points_, height_, width_, settings_); });
    return *m.plan;
  }
  template <class Value>
  const NufftConvolution<Value>& convolution_of() const {
    Made<Value>& m = made<Value>();
    std::call_once(m.convolution_once, [&] {
      m.convolution = std::make_unique<NufftConvolution<Value>>(points_, height_, width_, settings_);
    });
    return *m.convolution;
  }
  // Made by the thread that asks, before others wait for it.
  template <class Value>
  void prepare() const {
    plan_of<Value>();
    if (settings_.toeplitz) convolution_of<Value>();
  }

  NufftSettings settings_;
  int64_t height_, width_;
  Tensor points_;
  int64_t coils_;
  Constant sensitivities_;
  mutable Made<float> single_;
  mutable Made<double> twice_;
};

void check(const Tensor& trajectory, const NufftSettings& settings) {
  if (trajectory.dim() < 2 || trajectory.size(-1) != 2 || trajectory.numel() == 0) {
    throw Error(
        "nufft.trajectory",
        fmt::format("shape {}, but (points, 2) or (spokes, samples, 2) is needed: k along height and width",
                    to_string(trajectory.sizes())));
  }
  require_real(trajectory, "nufft.trajectory");
  require_finite(trajectory, "nufft.trajectory");
  const double largest = trajectory.abs().max().item<double>();
  if (largest > 0.5 * (1 + 1e-5)) {
    throw Error(
        "nufft.trajectory",
        fmt::format("reaches {:.6g}, but cycles per pixel, at most 0.5, are needed; cycles per field of "
                    "view are divided by the number of pixels",
                    largest));
  }
  if (!(settings.tolerance >= 1e-12 && settings.tolerance <= 0.1)) {
    throw Error("nufft.tolerance", fmt::format("{}, but 1e-12 to 0.1 is needed", settings.tolerance));
  }
  if (!(settings.oversampling >= 1.25 && settings.oversampling <= 2)) {
    throw Error("nufft.oversampling", fmt::format("{}, but 1.25 to 2 is needed", settings.oversampling));
  }
}

}  // namespace

LinearOperatorPtr make_nufft(Shape domain, const Tensor& trajectory, const Tensor& sensitivities,
                             const NufftSettings& settings) {
  require_image(domain, settings.complex, "nufft.domain");
  if (!settings.complex && product(domain) != domain[domain.size() - 2] * domain.back()) {
    throw Error("nufft.domain",
                fmt::format("shape {}, but (H, W), (1, H, W) or, with complex = true, (2, H, W) is needed",
                            to_string(domain)));
  }
  check(trajectory, settings);
  Shape codomain = trajectory.sizes().vec();
  Tensor planes;
  if (sensitivities.defined()) {
    planes = coil_planes(sensitivities, domain, "nufft.sensitivities");
    codomain = with_batch(planes.size(0), codomain);
  }
  const Tensor points = trajectory.detach().to(at::kCPU, at::kDouble).reshape({-1, 2}).contiguous();
  return std::make_shared<NufftOperator>(domain, codomain, points, planes, settings);
}

}  // namespace tweedie
