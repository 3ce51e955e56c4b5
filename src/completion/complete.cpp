#include "completion/low_rank.h"
#include "core/shape.h"
#include "core/workers.h"
#include "tweedie/posterior.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

void check(const Tensor& observed, const Tensor& mask, const CompletionOptions& o) {
  require_real(observed, "matrix");
  if (observed.dim() != 2 || observed.numel() == 0)
    throw Error("matrix",
                fmt::format("shape {}, but a matrix (m, n) is needed", to_string(observed.sizes())));
  if (mask.sizes() != observed.sizes() || mask.scalar_type() != at::kBool) {
    throw Error("mask",
                fmt::format("{} of shape {}, but bool of shape {} is needed", toString(mask.scalar_type()),
                            to_string(mask.sizes()), to_string(observed.sizes())));
  }
  if (!mask.any().item<bool>()) throw Error("matrix", "no entry is observed");
  const auto require = [](const std::optional<double>& value, bool zero, const char* place) {
    if (value && !(std::isfinite(*value) && (*value > 0 || (zero && *value == 0))))
      throw Error(place, fmt::format("{}: a finite number above 0 is needed", *value));
  };
  require(o.weight, o.method == CompletionMethod::admm, "weight");
  require(o.noise_std, false, "noise");
  require(o.delta, false, "delta");
  if (o.weight && o.noise_std)
    throw Error("weight", "given beside noise, which chooses it; one of them is meant");
  if (o.noise_std && (o.method == CompletionMethod::svt || o.method == CompletionMethod::robust))
    throw Error("noise", "svt and robust keep the observed entries; use fista, admm or logdet");
  if (o.iterations < 1) throw Error("iterations", fmt::format("{}: at least 1 is needed", o.iterations));
  if (!(o.tolerance > 0 && std::isfinite(o.tolerance)))
    throw Error("tolerance", fmt::format("{}: a finite number above 0 is needed", o.tolerance));
}

double weight_of(const CompletionTask& t) {
  const CompletionOptions& o = t.options;
  if (o.weight) return *o.weight;
  const auto m = static_cast<double>(t.m.size(0)), n = static_cast<double>(t.m.size(1));
  const double threshold =
      o.noise_std ? *o.noise_std * (std::sqrt(m) + std::sqrt(n)) * std::sqrt(t.share) : 1e-4 * t.norm2;
  switch (o.method) {
    case CompletionMethod::svt:
      return 5 * std::sqrt(m * n) * frobenius(t.m) / std::sqrt(m * n * t.share);
    case CompletionMethod::fista:
      return threshold;
    case CompletionMethod::admm:
      return o.noise_std ? threshold : 0;
    case CompletionMethod::logdet:
      return threshold * threshold / 4;
    case CompletionMethod::robust:
      return 1 / std::sqrt(std::max(m, n) * t.share);
  }
  return threshold;
}

Completion solve(const CompletionTask& task) {
  switch (task.options.method) {
    case CompletionMethod::svt:
      return complete_svt(task);
    case CompletionMethod::fista:
      return complete_fista(task);
    case CompletionMethod::admm:
      return complete_admm(task);
    case CompletionMethod::logdet:
      return complete_logdet(task);
    case CompletionMethod::robust:
      return complete_robust(task);
  }
  throw Error("method", "none");
}

}  // namespace

Completion complete_matrix(const Tensor& observed, const Tensor& mask, const CompletionOptions& options,
                           const Noise& noise, const Observer& observer) {
  check(observed, mask, options);
  const Tensor known = mask.cpu(), m = observed.cpu().to(at::kDouble).masked_fill(known.logical_not(), 0);
  require_finite(m, "matrix");
  ThresholdedSvd svd(m.size(0), m.size(1), options.svd, noise);
  const std::function<void(int64_t)> step_done = [&](int64_t done) {
    if (observer &&
        observer({.done = std::min(done, options.iterations), .total = options.iterations}) == Control::stop)
      throw Interrupted{};
  };
  CompletionTask task{.m = m,
                      .p = known.to(at::kDouble),
                      .options = options,
                      .share = known.to(at::kDouble).mean().item<double>(),
                      .norm2 = 0,
                      .weight = 0,
                      .svd = svd,
                      .step_done = step_done};
  Completion result;
  // On one thread of its own, so that no bit depends on how many libtorch would take.
  Workers(1).for_each(1, [&](int64_t) {
    task.norm2 = svd.norm(m);
    if (!(task.norm2 > 0)) throw Error("matrix", "every observed entry is 0: nothing to complete");
    task.weight = weight_of(task);
    result = solve(task);
  });
  const bool keeps = options.method == CompletionMethod::svt ||
                     (options.method == CompletionMethod::admm && task.weight == 0);
  result.completed = keeps ? at::where(known, m, result.low_rank) : result.low_rank;
  result.rank = result.singular_values.size(0);
  result.weight = task.weight;
  step_done(options.iterations);
  return result;
}

}  // namespace tweedie
