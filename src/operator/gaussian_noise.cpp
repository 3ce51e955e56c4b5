// log N(y; z, noise_std^2 I) = -|y - z|^2 / (2 noise_std^2) - m (log noise_std + log(2 pi) / 2)

#include "core/rows.h"
#include "tweedie/error.h"
#include "tweedie/noise_model.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

class GaussianNoise final : public NoiseModel {
 public:
  explicit GaussianNoise(double std) : std_(std) {}
  const char* kind() const override { return "gaussian"; }

  Tensor log_prob(const Tensor& y, const Tensor& z) const override {
    const Tensor r = residual(y, z);
    const double m = z.size(0) > 0 ? static_cast<double>(z.numel() / z.size(0)) : 0;
    return -0.5 * (row_dot(r, r) / (std_ * std_)) -
           m * (std::log(std_) + 0.5 * std::log(2 * std::numbers::pi));
  }
  LogDensitySlope slope(const Tensor& y, const Tensor& z) const override {
    const Tensor r = residual(y, z).to(at::kDouble) / std_;
    return {-0.5 * r.square() - std::log(std_) - 0.5 * std::log(2 * std::numbers::pi), r / std_,
            at::full_like(r, 1 / (std_ * std_))};
  }
  Tensor simulate(const Tensor& z, Noise& noise) const override {
    return std_ == 0 ? z : z + std_ * noise.normal_like(z);
  }
  Tensor residuals(const Tensor& y, const Tensor& z, Noise&) const override {
    return residual(y, z).to(at::kDouble) / std_;
  }
  std::optional<double> noise_std() const override { return std_; }

 private:
  Tensor residual(const Tensor& y, const Tensor& z) const {
    if (std_ == 0) {
      throw Error("likelihood.noise_std", "0: a measurement without noise has no density; above 0 is needed");
    }
    return y - z;
  }

  double std_;
};

}  // namespace

NoiseModelPtr make_gaussian_noise(double noise_std) {
  if (!(noise_std >= 0) || !std::isfinite(noise_std)) {
    throw Error("likelihood.noise_std", fmt::format("{}, but a finite number >= 0 is needed", noise_std));
  }
  return std::make_shared<GaussianNoise>(noise_std);
}

}  // namespace tweedie
