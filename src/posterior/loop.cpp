#include "posterior/loop.h"

#include "core/rows.h"
#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>

namespace tweedie {

void require_positive(double value, const char* place) {
  if (!(value > 0 && std::isfinite(value)))
    throw Error(place, fmt::format("{}: a finite number above 0 is needed", value));
}

void require_not_negative(double value, const char* place) {
  if (!(value >= 0) || !std::isfinite(value))
    throw Error(place, fmt::format("{}: a finite number of at least 0 is needed", value));
}

void require_at_least(int64_t value, int64_t least, const char* place) {
  if (value < least) throw Error(place, fmt::format("{}: at least {} is needed", value, least));
}

Tensor LoopRows::start(double std) const {
  Noise noise = slice.noise().stream(Stream::initial);
  const Tensor n = noise.normal(with_batch(slice.rows(), prior.shape()), y.scalar_type());
  return n.to(y.device()) * std;
}

Tensor LoopRows::each(double value) const {
  return at::full({slice.rows()}, value, y.options().dtype(at::kDouble));
}

Tensor LoopRows::data_gradient(const Tensor& x) const {
  applied(2);
  const Tensor z = forward.apply(x);
  return forward.vjp(x, noise.noise_std() ? y - z : noise.slope(y, z).derivative.to(x.scalar_type()));
}

double LoopRows::noise_unit() const {
  const auto std = noise.noise_std();
  return std ? *std * *std : 1;
}

Tensor LoopRows::log_likelihood(const Tensor& x) const {
  constexpr double impossible = 1e6;
  applied(1);
  const Tensor z = forward.apply(x), exact = noise.log_prob(y, z);
  if (exact.isfinite().all().item<bool>()) return exact;
  const Tensor value = noise.slope(y, z).value.flatten(1);
  return at::where(exact.isfinite(), exact, row_dot(value, at::ones_like(value)) - impossible);
}

Draws run_loop(const LoopRun& run, const Loop& loop) {
  return run_loop(run, run.problem.prior->shape(), loop);
}

Draws run_loop(const LoopRun& run, const Shape& shape, const Loop& loop) {
  const Problem& problem = run.problem;
  require_batch_of(problem.y, problem.likelihood.forward().codomain(), "measurement.y");
  require_finite(problem.y, "measurement.y");
  const auto begin = std::chrono::steady_clock::now();
  const Tensor y = problem.y.to(run.options.device, run.options.dtype);
  Tally own;
  Tally& tally = run.tally != nullptr ? *run.tally : own;
  std::atomic<int64_t> rows{0};
  const DenoiserPtr prior = counted(problem.prior, &tally);
  const auto walk = [&](const Slice& slice) {
    rows += slice.rows();
    return loop(
        {slice, *prior, problem.likelihood.forward(), slice.rows_of(y), tally, problem.likelihood.noise()});
  };
  Draws result;
  result.x = draw_slices(walk, run.steps, shape, run.draws, problem.cases(), run.noise, run.observer,
                         run.options, &result.run);
  result.log_weight = at::zeros({run.draws, problem.cases()}, at::kDouble);

  record_work(result.run, tally, rows);
  result.run.steps = run.steps;
  result.run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

}  // namespace tweedie
