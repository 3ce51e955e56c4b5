#include "posterior/singular.h"

#include "core/rows.h"
#include "core/shape.h"
#include "posterior/guided_denoiser.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <numbers>

namespace tweedie {

Tensor singular_target(const Svd& svd, const Tensor& y) {
  return row_matmul(y.flatten(1).to(svd.s.device(), at::kDouble), svd.u.contiguous()) / svd.s;
}

SingularBasis SingularBasis::of(const Likelihood& likelihood, const char* method) {
  require_linear(likelihood, method);
  Svd svd = svd_of(*likelihood.linear());
  Tensor level = (likelihood.noise_std() / svd.s).contiguous();
  return {std::move(svd), std::move(level), product(likelihood.forward().codomain()), likelihood.noise_std()};
}

double SingularBasis::log_jacobian(const Tensor& y) const {
  const Tensor flat = y.flatten().to(at::kCPU, at::kDouble), reached = at::mv(svd.u.t(), flat);
  const double jacobian = -svd.s.log().sum().item<double>();
  const int64_t others = measurements - count();
  if (others == 0) return jacobian;
  const double total = flat.square().sum().item<double>();
  const double missed = std::max(0.0, total - reached.square().sum().item<double>());
  const double variance = noise_std * noise_std;
  if (variance == 0) return missed > 1e-10 * total ? -std::numeric_limits<double>::infinity() : jacobian;
  return jacobian -
         0.5 * (missed / variance + static_cast<double>(others) * std::log(2 * std::numbers::pi * variance));
}

}  // namespace tweedie
