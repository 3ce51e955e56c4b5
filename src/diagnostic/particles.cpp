// Particle methods: how many particles carry the weight, and how many of the first ones have descendants.

#include "tweedie/chains.h"

#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

Tensor effective_size(const Tensor& log_weight) {
  if (log_weight.dim() == 0 || log_weight.size(0) == 0) {
    throw Error("effective_size", fmt::format("log weights of shape {}; (particles, ...) is meant",
                                              to_string(log_weight.sizes())));
  }
  const Tensor log_w = log_weight.detach().to(at::kCPU, at::kDouble);
  const Tensor top = log_w.amax(0);
  if (top.isnan().logical_or(top == INFINITY).any().item<bool>()) {
    throw Error("effective_size", "a log weight is NaN or +infinity");
  }
  const Tensor w = (log_w - top.clamp_min(-1e300)).exp();
  const Tensor square = w.square().sum(0);
  return at::where(square > 0, w.sum(0).square() / square, at::zeros_like(square));
}

int64_t unique_ancestors(const Tensor& ancestor) {
  if (ancestor.dim() != 2 || !at::isIntegralType(ancestor.scalar_type(), false) || ancestor.size(1) == 0) {
    throw Error("unique_ancestors", fmt::format("shape {}, but whole numbers (steps, particles) is meant",
                                                to_string(ancestor.sizes())));
  }
  const int64_t n = ancestor.size(1);
  if (ancestor.numel() > 0 && (ancestor.min().item<int64_t>() < 0 || ancestor.max().item<int64_t>() >= n)) {
    throw Error("unique_ancestors", fmt::format("an index outside 0 to {}", n - 1));
  }
  Tensor line = at::arange(n, at::kLong);
  for (int64_t s = ancestor.size(0) - 1; s >= 0; --s) line = ancestor[s].to(at::kLong).index_select(0, line);
  return std::get<0>(at::_unique(line)).numel();
}

Finding particle_health(const ParticleRecord& record) {
  constexpr double bad_fraction = 0.01, good_fraction = 0.1, fewest = 2, least_ancestors = 10;
  const Tensor &ess = record.ess, &ancestors = record.unique_ancestors;
  if (ess.dim() != 3 || ancestors.dim() != 2 || ess.sizes().slice(1) != ancestors.sizes() ||
      ess.numel() == 0 || record.particles < 1) {
    throw Error("particle_health",
                fmt::format("effective sizes {} and unique ancestors {} of {} particles; (steps, chains, "
                            "cases) and (chains, cases) are meant",
                            to_string(ess.sizes()), to_string(ancestors.sizes()), record.particles));
  }
  require_finite(ess, "particle_health.ess");
  const double n = static_cast<double>(record.particles);
  const Tensor smallest = ess.to(at::kDouble).amin(0);    // (chains, cases)
  const Tensor lines = ancestors.to(at::kDouble).sum(0);  // (cases)
  const double fail_below = std::max(fewest, bad_fraction * n), warn_below = good_fraction * n;
  const double enough_lines = std::min(least_ancestors, n * static_cast<double>(ancestors.size(0)));

  Finding f{"particle-health", Finding::Status::pass, smallest.min().item<double>(), std::nullopt, "", ""};
  const double fewest_lines = lines.min().item<double>();
  f.message = fmt::format(
      "of {} particles at least {:.3g} carried the weight at every step (median over runs {:.3g}); draws of "
      "a case descend from at least {:.0f} of the first",
      record.particles, f.value, smallest.median().item<double>(), fewest_lines);
  if (f.value < std::min(fail_below, n)) {
    f.status = Finding::Status::fail;
    f.remedy = "take more particles or steps, or check noise std and operator: the weights have collapsed";
  } else if (f.value < warn_below || fewest_lines < enough_lines) {
    f.status = Finding::Status::warn;
    f.remedy = "take more particles, or more independent chains of them";
  }
  return f;
}

}  // namespace tweedie
