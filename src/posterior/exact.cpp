// Independent draws of the posterior that an analytic prior knows (tweedie/analytic_prior.h).

#include "core/shape.h"
#include "core/workers.h"
#include "posterior/guided_denoiser.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <mutex>

namespace tweedie {

namespace {
constexpr int64_t slice_rows = 16;
}

Draws ExactSampler::sample(const Problem& problem, int64_t draws, const Noise& noise,
                           const Observer& observer) const {
  const auto prior = require_analytic(problem.prior, "exact");
  const LinearOperator& a = require_linear(problem.likelihood, "exact");
  if (draws < 1) throw Error("draws", fmt::format("{}: at least 1 is needed", draws));
  require_batch_of(problem.y, problem.likelihood.forward().codomain(), "measurement.y");
  require_finite(problem.y, "measurement.y");
  const auto begin = std::chrono::steady_clock::now();
  const auto posterior = prior->condition(a.dense(), problem.likelihood.noise_std());
  const Tensor y = problem.y.flatten(1).to(at::kCPU, at::kDouble);
  // In slices of fixed size, one thread each, as draw() does and for the same reason.
  const int64_t cases = problem.cases(), per_case = (draws + slice_rows - 1) / slice_rows;
  Draws result;
  result.x = at::empty(with_batch(draws, with_batch(cases, prior->shape())),
                       at::TensorOptions().dtype(options_.dtype));
  std::mutex mutex;
  int64_t done = 0;
  Workers(options_.threads).for_each(cases * per_case, [&](int64_t slice) {
    const int64_t c = slice / per_case, first = slice % per_case * slice_rows;
    const int64_t used = std::min(slice_rows, draws - first);
    std::vector<uint64_t> rows(slice_rows);
    for (int64_t i = 0; i < slice_rows; ++i)
      rows[i] = static_cast<uint64_t>(c) << 32 | static_cast<uint64_t>(first + i);
    Noise of_rows = noise.rows(std::move(rows)).stream(Stream::initial);
    const Tensor x = posterior->sample(y[c], slice_rows, of_rows);
    result.x.select(1, c).narrow(0, first, used).copy_(x.narrow(0, 0, used));
    const std::lock_guard lock(mutex);
    if (observer && observer({.done = ++done, .total = cases * per_case}) == Control::stop)
      throw Interrupted{};
  });
  result.log_weight = at::zeros({draws, problem.cases()}, at::kDouble);
  result.mean = posterior->mean(y).to(options_.dtype);
  result.log_evidence = posterior->log_evidence(y);
  result.run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

}  // namespace tweedie
