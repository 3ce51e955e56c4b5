#include "tweedie/gaussian_prior.h"

#include "core/shape.h"
#include "prior/sample_spectrum.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

constexpr double rounding = 1e-9;  // relative to the largest eigenvalue: what a float64 file may be off by

Tensor to_double(const Tensor& x, const std::string& place) {
  require_real(x, place);
  require_finite(x, place);
  return x.detach().to(at::kCPU, at::kDouble).contiguous();
}

void require_shape(const Tensor& x, at::IntArrayRef shape, const std::string& place) {
  if (x.sizes() == shape) return;
  throw Error(place, fmt::format("shape {}, but {} is needed", to_string(x.sizes()), to_string(shape)));
}

// Eigenvalues below 0 by rounding alone become 0.
Tensor non_negative(const Tensor& value, const std::string& place) {
  if (value.numel() == 0) return value;
  const double least = value.min().item<double>();
  if (least < -rounding * value.max().item<double>()) {
    throw Error(place, fmt::format("its smallest eigenvalue is {:.6g}, but none below 0 is meant", least));
  }
  return value.clamp_min(0);
}

struct Eigen {
  Tensor value, basis;  // ascending (d), (d, d)
};

Eigen decompose(const Tensor& symmetric) {
  auto [value, basis] = at::linalg_eigh(symmetric);
  return {value, basis};
}

}  // namespace

GaussianPrior::GaussianPrior(Shape shape, Spectrum exact, double rest)
    : shape_(std::move(shape)), exact_(std::move(exact)), rest_(rest) {
  const auto to_float = [](const Tensor& x) { return x.defined() ? x.to(at::kFloat) : x; };
  single_ = {to_float(exact_.mean), to_float(exact_.basis), to_float(exact_.value)};
}

GaussianPrior GaussianPrior::full(const Tensor& mean, const Tensor& covariance) {
  const Tensor m = to_double(mean, "prior.mean"), sigma = to_double(covariance, "prior.covariance");
  require_shape(sigma, {m.numel(), m.numel()}, "prior.covariance");
  const auto [value, basis] = decompose((sigma + sigma.t()) / 2);
  const double skew = (sigma - sigma.t()).abs().max().item<double>();
  // A float32 file is symmetric to float32 rounding.
  if (skew > 1e-6 * sigma.abs().max().item<double>()) {
    throw Error("prior.covariance",
                fmt::format("differs from its transpose by {:.3g} (smallest eigenvalue of the symmetric part "
                            "{:.6g}), but a symmetric matrix is meant",
                            skew, value[0].item<double>()));
  }
  return {mean.sizes().vec(), {m.flatten(), basis, non_negative(value, "prior.covariance")}, 0};
}

GaussianPrior GaussianPrior::diagonal(const Tensor& mean, const Tensor& variance) {
  const Tensor m = to_double(mean, "prior.mean"), v = to_double(variance, "prior.variance");
  require_shape(v, m.sizes(), "prior.variance");
  return {mean.sizes().vec(), {m.flatten(), {}, non_negative(v.flatten(), "prior.variance")}, 0};
}

GaussianPrior GaussianPrior::low_rank(const Tensor& mean, const Tensor& factor, const Tensor& variance,
                                      double rest) {
  const Tensor m = to_double(mean, "prior.mean"), f = to_double(factor, "prior.factor");
  const Tensor v = to_double(variance, "prior.variance");
  if (f.dim() != 2 || f.size(0) != m.numel()) {
    throw Error("prior.factor",
                fmt::format("shape {}, but ({}, rank) is needed", to_string(f.sizes()), m.numel()));
  }
  require_shape(v, {f.size(1)}, "prior.variance");
  if (!(rest >= 0 && std::isfinite(rest))) {
    throw Error("prior.residual_variance",
                fmt::format("{}, but a finite value of at least 0 is needed", rest));
  }
  // F = Q R: the spectrum of F diag(v) F^T is that of the small R diag(v) R^T.
  const auto [q, r] = at::linalg_qr(f);
  const auto [value, rotation] = decompose(at::matmul(r * non_negative(v, "prior.variance"), r.t()));
  return {mean.sizes().vec(), {m.flatten(), at::matmul(q, rotation), value.clamp_min(0) + rest}, rest};
}

SampleSpectrum sample_spectrum(const Tensor& data) {
  require_real(data, "data");
  require_finite(data, "data");
  if (data.dim() < 2 || data.size(0) < 2 || data.numel() == 0) {
    throw Error("data", fmt::format("shape {}, but at least 2 rows are needed", to_string(data.sizes())));
  }
  const int64_t rows = data.size(0), d = data.numel() / rows;
  // In chunks: a float64 copy of the whole data set may not fit.
  const Tensor flat = data.detach().reshape({rows, d});
  Tensor mean = at::zeros({d}, at::kDouble);
  for (const Tensor& chunk : flat.split(4096)) mean += chunk.to(at::kCPU, at::kDouble).sum(0) / rows;
  Tensor covariance = at::zeros({d, d}, at::kDouble);
  for (const Tensor& chunk : flat.split(4096)) {
    const Tensor centred = chunk.to(at::kCPU, at::kDouble) - mean;
    covariance.addmm_(centred.t(), centred);
  }
  const auto [value, basis] = decompose(covariance.div_(rows));
  return {mean, value.clamp_min(0), basis};
}

GaussianPrior GaussianPrior::fit(const Tensor& data, std::optional<int64_t> rank) {
  auto [mean, value, basis] = sample_spectrum(data);
  const int64_t d = mean.numel();
  if (rank && (*rank < 0 || *rank > d)) {
    throw Error("prior.rank", fmt::format("{}, but 0 to {} is meant", *rank, d));
  }
  double rest = 0;
  if (rank && *rank < d) {
    rest = value.slice(0, 0, d - *rank).mean().item<double>();
    value = value.slice(0, d - *rank).clone();
    basis = basis.slice(1, d - *rank).clone();
  }
  return {data.sizes().slice(1).vec(), {mean, basis, value}, rest};
}

GaussianPrior::Spectrum GaussianPrior::spectrum(const Tensor& like) const {
  const Spectrum& s = like.scalar_type() == at::kDouble ? exact_ : single_;
  if (like.device().is_cpu()) return s;
  return {s.mean.to(like.device()), s.basis.defined() ? s.basis.to(like.device()) : s.basis,
          s.value.to(like.device())};
}

// f acts on eigenvalues; it gets a tensor and returns one that broadcasts to (B, r), or to (B, 1) for the
// rest.
template <class Function>
Tensor GaussianPrior::apply(const Spectrum& s, const Tensor& v, Function f) const {
  if (!s.basis.defined()) return v * f(s.value);
  const Tensor rest = f(at::full({1}, rest_, s.value.options()));
  return v * rest + at::matmul(at::matmul(v, s.basis) * (f(s.value) - rest), s.basis.t());
}

// Sigma (Sigma + sigma^2 I)^{-1} v
Tensor GaussianPrior::shrink(const Spectrum& s, const Tensor& v, const Tensor& sigma) const {
  const Tensor noise = (sigma * sigma).reshape({-1, 1});
  return apply(s, v.flatten(1), [&](const Tensor& value) { return value / (value + noise); })
      .reshape(v.sizes());
}

Tensor GaussianPrior::do_mean(const Tensor& x, const Tensor& sigma) const {
  const Spectrum s = spectrum(x);
  const Tensor m = s.mean.reshape(shape_);
  return m + shrink(s, x - m, sigma);
}

Linearised GaussianPrior::do_linearise(const Tensor& x, const Tensor& sigma) const {
  // dD/dx is symmetric, so the vjp is the shrinkage itself.
  return {do_mean(x, sigma), [prior = *this, sigma, options = x.options()](const Tensor& v) {
            const Tensor w = v.to(options);
            return prior.shrink(prior.spectrum(w), w, sigma);
          }};
}

Tensor GaussianPrior::sample(int64_t draws, Noise& noise, at::ScalarType dtype) const {
  const Tensor z = noise.normal({draws, dimension()}, at::kDouble);
  const Tensor x = exact_.mean + apply(exact_, z, [](const Tensor& value) { return value.sqrt(); });
  return x.to(dtype).reshape(with_batch(draws, shape_));
}

Tensor GaussianPrior::log_prob(const Tensor& x, double sigma) const {
  require_real(x, "x");
  require_batch_of(x, shape_, "x");
  const int64_t d = dimension(), others = d - exact_.value.numel();
  const Tensor value = exact_.value + sigma * sigma;
  const double rest = rest_ + sigma * sigma;
  if ((value.numel() > 0 && !(value.min().item<double>() > 0)) || (others > 0 && !(rest > 0))) {
    throw Error("prior.covariance", "singular, so it has no density; sigma > 0 gives it one");
  }
  const Tensor centred = x.to(at::kCPU, at::kDouble).flatten(1) - exact_.mean;
  const Tensor whitened = apply(
      exact_, centred, [&](const Tensor& v) { return (v + sigma * sigma).reciprocal().nan_to_num(0, 0, 0); });
  const double log_det = value.log().sum().item<double>() + (others > 0 ? others * std::log(rest) : 0);
  return -0.5 * ((centred * whitened).sum(1) + log_det + d * std::log(2 * std::numbers::pi));
}

Tensor GaussianPrior::covariance_times(const Tensor& v) const {
  return apply(exact_, v.to(at::kDouble), [](const Tensor& value) { return value; });
}

Tensor GaussianPrior::covariance() const {
  return covariance_times(at::eye(dimension(), at::kDouble));
}

}  // namespace tweedie
