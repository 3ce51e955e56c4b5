#include "posterior/case_by_case.h"

#include "core/shape.h"
#include "core/workers.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <mutex>

namespace tweedie {

Draws case_by_case(const Problem& problem, int64_t draws, const Observer& observer,
                   const DrawOptions& options, const char* name,
                   const std::function<CaseEstimate(const Tensor& y)>& estimate) {
  require_batch_of(problem.y, problem.likelihood.forward().codomain(), "measurement.y");
  require_finite(problem.y, "measurement.y");
  const auto begin = std::chrono::steady_clock::now();
  const Tensor y = problem.y.to(options.device, options.dtype);
  const int64_t cases = problem.cases();
  std::vector<CaseEstimate> estimates(cases);
  std::mutex mutex;
  int64_t done = 0;
  const auto solve = [&](int64_t c) {
    estimates[c] = estimate(y.narrow(0, c, 1));
    const std::lock_guard lock(mutex);
    if (observer && observer({.done = ++done, .total = cases}) == Control::stop) throw Interrupted{};
  };
  Workers workers(options.threads);
  if (cases >= workers.threads()) {
    workers.for_each(cases, solve);
  } else {
    const UseWorkers use(workers);
    for (int64_t c = 0; c < cases; ++c) solve(c);
  }

  Draws result;
  std::vector<Tensor> x;
  double applications = 0;
  for (const CaseEstimate& e : estimates) {
    x.push_back(e.x);
    applications += static_cast<double>(e.applications);
  }
  const Tensor all = at::cat(x).cpu().unsqueeze(0);
  Shape shape = all.sizes().vec();
  shape[0] = draws;
  result.x = all.expand(shape).contiguous();
  result.log_weight = at::zeros({draws, cases}, at::kDouble);
  result.run.point = PointRecord{.iterations = at::zeros({cases}, at::kLong),
                                 .objective = at::full({cases}, NAN, at::kDouble),
                                 .residual = at::full({cases}, NAN, at::kDouble),
                                 .converged = at::ones({cases}, at::kBool),
                                 .weight = {},
                                 .trials = {}};
  for (int64_t c = 0; c < cases; ++c) {
    result.run.point->iterations[c] = estimates[c].iterations;
    result.run.point->residual[c] = estimates[c].residual;
    result.run.point->converged[c] = estimates[c].converged;
  }
  result.run.steps = result.run.point->iterations.max().item<int64_t>();
  result.run.operator_applications = applications / static_cast<double>(cases);
  result.run.warnings.push_back(fmt::format(
      "{} is a point estimate: its draws are one and the same, and say nothing of the posterior's spread",
      name));
  result.run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

}  // namespace tweedie
