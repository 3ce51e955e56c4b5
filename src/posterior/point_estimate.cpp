#include "posterior/point_estimate.h"

#include "core/rows.h"
#include "core/workers.h"
#include "posterior/local_posterior.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <mutex>

namespace tweedie {

namespace {

void check(const PointRun& run) {
  const Problem& problem = run.problem;
  if (run.draws != 1) {
    throw Error("method.draws",
                fmt::format("{}, but {} gives one answer for each case and no draws; 1 is meant", run.draws,
                            run.method));
  }
  require_batch_of(problem.y, problem.likelihood.forward().codomain(), "measurement.y");
  require_finite(problem.y, "measurement.y");
  if (problem.cases() < 1) throw Error("measurement.y", "no cases: at least 1 is needed");
  if (run.needs_prior && problem.prior == nullptr)
    throw Error("prior", fmt::format("{} needs one", run.method));
  if (run.needs_noise) require_noise(problem.likelihood, run.method);
  if (run.linear_only) require_linear(problem.likelihood, run.method);
}

// One of (done, total) for all cases together; a case that converges early has done all of its own.
class Count {
 public:
  Count(const PointRun& run)
      : observer_(run.observer), each_(run.iterations), total_(run.iterations * run.problem.cases()) {}

  void step(int64_t& of_case) {
    if (of_case >= each_) return;
    ++of_case;
    add(1);
  }
  void finish(int64_t& of_case) {
    add(each_ - of_case);
    of_case = each_;
  }

 private:
  void add(int64_t steps) {
    const std::lock_guard lock(mutex_);
    done_ += steps;
    if (observer_ && !stopped_) stopped_ = observer_({.done = done_, .total = total_}) == Control::stop;
    if (stopped_) throw Interrupted{};
  }

  const Observer& observer_;
  int64_t each_, total_, done_ = 0;
  bool stopped_ = false;
  std::mutex mutex_;
};

PointRecord record_of(const std::vector<PointAnswer>& answers) {
  const auto n = static_cast<int64_t>(answers.size());
  PointRecord r;
  r.iterations = at::empty({n}, at::kLong);
  r.objective = at::empty({n}, at::kDouble);
  r.residual = at::empty({n}, at::kDouble);
  r.converged = at::empty({n}, at::kBool);
  if (answers[0].weight) r.weight = at::empty({n}, at::kDouble);
  bool tried = false;
  for (int64_t i = 0; i < n; ++i) {
    const PointAnswer& a = answers[i];
    r.iterations[i] = a.iterations;
    r.objective[i] = a.objective;
    r.residual[i] = a.residual;
    r.converged[i] = a.converged;
    if (a.weight) r.weight[i] = *a.weight;
    r.trials.push_back(a.trials);
    tried = tried || !a.trials.empty();
  }
  if (!tried) r.trials.clear();
  return r;
}

void warn(const PointRun& run, const std::vector<PointAnswer>& answers, RunRecord& record) {
  record.warnings.push_back(fmt::format(
      "{} is a point estimate: one answer for each case, which says nothing of the posterior's spread",
      run.method));
  const auto warn_of = [&](bool broke_down, const char* where, const char* what) {
    int64_t count = 0;
    double worst = 0;
    for (const PointAnswer& a : answers) {
      if (a.converged || a.broke_down != broke_down) continue;
      ++count;
      worst = std::max(worst, a.residual);
    }
    if (count == 0) return;
    record.warnings.push_back(
        fmt::format("{} stopped {} in {} of {} cases, with a residual of up to {:.1e}; {}", run.method, where,
                    count, answers.size(), worst, what));
  };
  warn_of(false, "at its last iteration", "more iterations would change the answer");
  warn_of(true, "where the curvature along its direction is not a positive number",
          "more iterations would not change the answer, but a larger weight or a wider arithmetic may");
}

}  // namespace

Shape PointCase::prior_shape() const {
  return with_batch(1, forward.domain());
}

void require_levels(double start, double level) {
  require_positive(level, "method.level");
  require_positive(start, "method.start");
  if (start < level) {
    throw Error("method.start",
                fmt::format("{}, but method.level is {}: levels fall from start to level", start, level));
  }
}

double falling_level(double start, double level, int64_t k, int64_t iterations) {
  if (2 * k >= iterations) return level;
  return start * std::pow(level / start, 2.0 * static_cast<double>(k) / static_cast<double>(iterations));
}

double squared_norm(const PointCase& c, const Tensor& x) {
  if (c.linear != nullptr) return c.linear_squared_norm();
  c.applied(jacobian_norm_applications);
  return jacobian_squared_norm(c.forward, x).item<double>();
}

double norm_of(const Tensor& x) {
  const Tensor row = x.reshape({1, -1});
  return std::sqrt(row_dot(row, row).item<double>());
}

double relative_change(const Tensor& a, const Tensor& b) {
  const double change = norm_of(a - b);
  return change == 0 ? 0 : change / std::max(norm_of(a), 1e-300);
}

double residual2(const PointCase& c, const Tensor& x) {
  c.applied(1);
  const Tensor r = (c.y - c.forward.apply(x)).reshape({1, -1});
  return row_dot(r, r).item<double>();
}

namespace {

// Raised, since Lanczos comes from below. Steps a hundredth shorter cost less than more digits.
double safe_squared_norm(const LinearOperator& a) {
  constexpr double tolerance = 1e-2;
  return std::max(std::pow(a.norm(tolerance), 2) / (1 - tolerance), 1e-300);
}

}  // namespace

Draws run_point_estimate(const PointRun& run, const PointSolve& solve) {
  check(run);
  const Problem& problem = run.problem;
  const auto begin = std::chrono::steady_clock::now();
  const int64_t cases = problem.cases();
  const int64_t threads = run.options.device.is_cuda() ? 1
                          : run.options.threads > 0    ? run.options.threads
                                                       : available_cores();
  const Tensor y = problem.y.to(run.options.device, run.options.dtype);
  Tally tally;
  const DenoiserPtr prior = problem.prior ? counted(problem.prior, &tally) : nullptr;
  std::vector<PointAnswer> answers(cases);
  Count count(run);
  std::once_flag measured;
  double squared = 0;
  const std::function<double()> linear_squared_norm = [&] {
    std::call_once(measured, [&] { squared = safe_squared_norm(*problem.likelihood.linear()); });
    return squared;
  };
  const double noise_std =
      run.any_noise ? problem.likelihood.noise().noise_std().value_or(NAN) : problem.likelihood.noise_std();
  const auto one = [&](int64_t i) {
    int64_t done = 0;
    const PointCase c{.index = i,
                      .y = y.slice(0, i, i + 1).contiguous(),
                      .prior = prior.get(),
                      .forward = problem.likelihood.forward(),
                      .linear = problem.likelihood.linear(),
                      .noise_std = noise_std,
                      .noise = run.noise.rows({static_cast<uint64_t>(i) << 32}),
                      .tally = tally,
                      .linear_squared_norm = linear_squared_norm,
                      .step_done = [&] { count.step(done); }};
    answers[i] = solve(c);
    count.finish(done);
  };
  // Cases side by side; the threads that are left over are shared out to the loops inside each.
  const int64_t together = std::max<int64_t>(1, std::min(threads, cases));
  Workers(together).for_each(cases, [&](int64_t i) {
    Workers inside(threads / together);
    const UseWorkers share(inside);
    one(i);
  });

  Draws result;
  std::vector<Tensor> x;
  for (const PointAnswer& a : answers) x.push_back(a.x.to(at::kCPU, run.options.dtype));
  result.x = at::cat(x).unsqueeze(0);
  result.log_weight = at::zeros({1, cases}, at::kDouble);
  result.run.point = record_of(answers);
  record_work(result.run, tally, cases);
  result.run.steps = result.run.point->iterations.max().item<int64_t>();
  warn(run, answers, result.run);
  result.run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

Draws CasePointEstimate::sample(const Problem& problem, int64_t draws, const Noise& noise,
                                const Observer& observer) const {
  const PointRun run{.method = method_,
                     .problem = problem,
                     .draws = draws,
                     .noise = noise,
                     .observer = observer,
                     .options = draw_options_,
                     .iterations = iterations_,
                     .needs_prior = needs_.prior,
                     .needs_noise = needs_.noise,
                     .linear_only = needs_.linear};
  return run_point_estimate(run, [&](const PointCase& c) { return solve(c); });
}

}  // namespace tweedie
