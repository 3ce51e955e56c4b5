#include "posterior/loop.h"

#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>

namespace tweedie {

namespace {

class CountedDenoiser final : public Denoiser {
 public:
  CountedDenoiser(const Denoiser& prior, Tally& tally) : prior_(prior), tally_(tally) {}
  Shape shape() const override { return prior_.shape(); }

 protected:
  Tensor do_mean(const Tensor& x, const Tensor& sigma) const override {
    tally_.evaluations += x.size(0);
    return prior_.mean(x, flat_sigma(sigma));
  }
  Linearised do_linearise(const Tensor& x, const Tensor& sigma) const override {
    tally_.evaluations += x.size(0);
    const Linearised inner = linearise(prior_, x, flat_sigma(sigma));
    return {inner.mean, [vjp = inner.vjp, &tally = tally_](const Tensor& v) {
              tally.vjps += v.size(0);
              return vjp(v);
            }};
  }

 private:
  const Denoiser& prior_;
  Tally& tally_;
};

}  // namespace

void require_positive(double value, const char* place) {
  if (!(value > 0 && std::isfinite(value)))
    throw Error(place, fmt::format("{}: a finite number above 0 is needed", value));
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
  return forward.vjp(x, y - forward.apply(x));
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
  const CountedDenoiser prior(*problem.prior, tally);
  const auto walk = [&](const Slice& slice) {
    rows += slice.rows();
    return loop({slice, prior, problem.likelihood.forward(), slice.rows_of(y), tally});
  };
  Draws result;
  result.x = draw_slices(walk, run.steps, shape, run.draws, problem.cases(), run.noise, run.observer,
                         run.options, &result.run);
  result.log_weight = at::zeros({run.draws, problem.cases()}, at::kDouble);

  // Work per row: rows that fill up a slice are among those counted and among those divided by.
  RunRecord& record = result.run;
  const auto per_row = [&](const std::atomic<int64_t>& count) {
    return static_cast<double>(count.load()) / static_cast<double>(rows.load());
  };
  record.steps = run.steps;
  record.network_evaluations = per_row(tally.evaluations);
  record.network_vjps = per_row(tally.vjps);
  record.operator_applications = per_row(tally.operator_applications);
  record.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

}  // namespace tweedie
