#include "posterior/known_part.h"

#include "core/rows.h"
#include "core/shape.h"
#include "posterior/singular.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr double tolerance = 1e-9;

Tensor probe(const Shape& shape) {
  Noise fixed(0);
  return fixed.normal(with_batch(1, shape), at::kDouble);
}

bool close(const Tensor& a, const Tensor& b) {
  return (a - b).abs().max().item<double>() <= tolerance;
}

bool has_orthonormal_rows(const LinearOperator& a) {
  const Tensor v = probe(a.codomain());
  return close(a.gram(v), v);
}

}  // namespace

bool is_mask(const LinearOperator& a) {
  if (!has_orthonormal_rows(a)) return false;
  const Tensor x = probe(a.domain()), keep = a.normal(at::ones_like(x));
  return close(keep, keep.round()) && close(a.normal(x), keep * x);
}

KnownPart::KnownPart(const LinearOperator& a, double noise_std, const DrawOptions& options)
    : a_(a), noise_std_(noise_std) {
  if (has_orthonormal_rows(a)) return;
  svd_ = svd_of(a);
  v_ = svd_->v.to(options.device, options.dtype).contiguous();
  vt_ = v_.t().contiguous();
  tau_ = (noise_std / svd_->s).to(options.device);
}

Tensor KnownPart::target(const Tensor& y) const {
  if (orthonormal()) return y;
  return singular_target(*svd_, y).to(y.device(), y.scalar_type());
}

Tensor KnownPart::overwrite(const LoopRows& rows, const Tensor& x, const Tensor& target, double t,
                            double weight, Noise& noise) const {
  const Tensor n = noise.normal_like(target);  // drawn at every level, so that levels keep their numbers
  if (orthonormal()) {
    if (t < noise_std_) return x;
    rows.applied(2);
    const Tensor aim = target + std::sqrt(t * t - noise_std_ * noise_std_) * n;
    return x + weight * a_.adjoint(aim - a_.apply(x));
  }
  rows.applied(2);
  const Tensor spread = (t * t - tau_.square()).clamp_min(0).sqrt().to(x.scalar_type());
  const Tensor known = (tau_ <= t).to(x.scalar_type());
  const Tensor shift = known * (target + spread * n - row_matmul(x.flatten(1), v_));
  return x + weight * row_matmul(shift, vt_).view(x.sizes());
}

NoiseSchedule with_level(const NoiseSchedule& schedule, double level) {
  const double* sigma = schedule.sigma.data_ptr<double>();
  std::vector<double> levels(sigma, sigma + schedule.sigma.numel());
  const auto after = std::lower_bound(levels.begin(), levels.end(), level, std::greater<>());
  if (after != levels.begin() && after != levels.end() && *after != level) levels.insert(after, level);
  return {at::tensor(levels, at::kDouble), schedule.initial_std};
}

}  // namespace tweedie
