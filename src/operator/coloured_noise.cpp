// y = z + L n: log p = -|L^{-1} (y - z)|^2 / 2 - log |L| - m log(2 pi) / 2. L^{-1} is computed once, in
// float64.

#include "core/rows.h"
#include "core/shape.h"
#include "operator/linear.h"
#include "tweedie/whitening.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

constexpr int64_t largest_covariance = 8192;

class DiagonalWhitening final : public Whitening {
 public:
  explicit DiagonalWhitening(const Tensor& std)
      : std_(std), log_scale_(std.log().sum().item<double>()), diagonal_(std) {}
  Tensor whiten(const Tensor& y) const override { return y / std_.like(y); }
  Tensor whiten_adjoint(const Tensor& y) const override { return y / std_.like(y); }
  Tensor colour(const Tensor& n) const override { return n * std_.like(n); }
  double log_scale() const override { return log_scale_; }
  Tensor diagonal() const override { return diagonal_; }

 private:
  Constant std_;
  double log_scale_;
  Tensor diagonal_;
};

class TriangularWhitening final : public Whitening {
 public:
  explicit TriangularWhitening(const Tensor& l)
      : l_(l),
        lt_(l.t().contiguous()),
        inverse_(inverse_of(l)),
        inverse_t_(inverse_of(l).t().contiguous()),
        log_scale_(l.diagonal().log().sum().item<double>()) {}
  Tensor whiten(const Tensor& y) const override { return times(y, inverse_t_); }
  Tensor whiten_adjoint(const Tensor& y) const override { return times(y, inverse_); }
  Tensor colour(const Tensor& n) const override { return times(n, lt_); }
  double log_scale() const override { return log_scale_; }

 private:
  static Tensor inverse_of(const Tensor& l) {
    return at::linalg_solve_triangular(l, at::eye(l.size(0), l.options()), /*upper=*/false).contiguous();
  }
  static Tensor times(const Tensor& rows, const Constant& m) {
    return row_matmul(rows.flatten(1).contiguous(), m.like(rows)).view(rows.sizes());
  }

  Constant l_, lt_, inverse_, inverse_t_;
  double log_scale_;
};

class ColouredNoise final : public NoiseModel {
 public:
  // information: of each entry, or a bound on the norm of the covariance's inverse
  ColouredNoise(std::unique_ptr<const Whitening> whitening, Tensor information)
      : whitening_(std::move(whitening)), information_(std::move(information)) {}
  const char* kind() const override { return "gaussian that differs between entries of y"; }
  const Whitening* whitening() const override { return whitening_.get(); }

  Tensor log_prob(const Tensor& y, const Tensor& z) const override {
    const Tensor r = residual(y, z);
    const double m = z.size(0) > 0 ? static_cast<double>(z.numel() / z.size(0)) : 0;
    return -0.5 * row_dot(r, r) - whitening_->log_scale() - 0.5 * m * std::log(2 * std::numbers::pi);
  }
  // The normaliser is spread evenly over the entries.
  LogDensitySlope slope(const Tensor& y, const Tensor& z) const override {
    const Tensor r = residual(y, z);
    const double m = z.size(0) > 0 ? static_cast<double>(z.numel() / z.size(0)) : 1;
    return {-0.5 * r.square() - whitening_->log_scale() / m - 0.5 * std::log(2 * std::numbers::pi),
            whitening_->whiten_adjoint(r), information_.to(r.device()).expand_as(r)};
  }
  Tensor simulate(const Tensor& z, Noise& noise) const override {
    return z + whitening_->colour(noise.normal_like(z));
  }
  Tensor residuals(const Tensor& y, const Tensor& z, Noise&) const override { return residual(y, z); }

 private:
  Tensor residual(const Tensor& y, const Tensor& z) const {
    return whitening_->whiten(y.to(at::kDouble) - z.to(at::kDouble));
  }

  std::unique_ptr<const Whitening> whitening_;
  Tensor information_;
};

}  // namespace

NoiseModelPtr make_gaussian_noise(const Tensor& noise_std) {
  require_real(noise_std, "noise.std");
  const Tensor std = noise_std.to(at::kCPU, at::kDouble).contiguous();
  const Tensor bad = std.gt(0).logical_and(std.isfinite()).logical_not();
  if (bad.any().item<bool>()) {
    throw Error("noise.std", fmt::format("{} among them, but finite numbers above 0 are needed",
                                         std.masked_select(bad)[0].item<double>()));
  }
  return std::make_shared<ColouredNoise>(std::make_unique<DiagonalWhitening>(std), std.square().reciprocal());
}

NoiseModelPtr make_correlated_noise(const Tensor& covariance, Shape codomain) {
  require_real(covariance, "noise.covariance");
  const int64_t m = product(codomain);
  if (covariance.sizes() != at::IntArrayRef({m, m})) {
    throw Error("noise.covariance", fmt::format("shape {}, but {} is needed, for the {} entries of y",
                                                to_string(covariance.sizes()), to_string({m, m}), m));
  }
  if (m > largest_covariance) {
    throw Error("noise.covariance", fmt::format("of {} entries of y, but at most {} are taken; give std_file",
                                                m, largest_covariance));
  }
  require_finite(covariance, "noise.covariance");
  const Tensor c = covariance.to(at::kCPU, at::kDouble);
  const double lopsided = (c - c.t()).abs().max().item<double>(), size = c.abs().max().item<double>();
  if (lopsided > 1e-6 * size)
    throw Error("noise.covariance", fmt::format("not symmetric: entries differ by {:.3g}", lopsided));
  const auto [l, failed] = at::linalg_cholesky_ex((c + c.t()) / 2);
  if (failed.item<int>() != 0) {
    throw Error("noise.covariance", fmt::format("not positive definite: its smallest eigenvalue is {:.3g}",
                                                at::linalg_eigvalsh(c)[0].item<double>()));
  }
  const Tensor bound = at::cholesky_inverse(l).abs().sum(1).max();
  return std::make_shared<ColouredNoise>(std::make_unique<TriangularWhitening>(l.contiguous()), bound);
}

}  // namespace tweedie
