#include "core/shape.h"
#include "tweedie/guidance.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <chrono>

namespace tweedie {

GuidedSampler::GuidedSampler(Guidance guidance, std::shared_ptr<const Sampler> sampler,
                             NoiseSchedule schedule, DrawOptions options)
    : guidance_(std::move(guidance)),
      sampler_(std::move(sampler)),
      schedule_(std::move(schedule)),
      options_(options) {}

Draws GuidedSampler::sample(const Problem& problem, int64_t draws, const Noise& noise,
                            const Observer& observer) const {
  require_batch_of(problem.y, problem.likelihood.forward().codomain(), "measurement.y");
  require_finite(problem.y, "measurement.y");
  const auto begin = std::chrono::steady_clock::now();
  const Tensor y = problem.y.to(options_.device, options_.dtype);
  Tally tally;
  const Conditioned conditioned = [&](const std::vector<int64_t>& cases) {
    const Tensor rows = y.index_select(0, at::tensor(cases).to(y.device()));
    return std::visit(
        [&](const auto& g) { return guide(g, problem.prior, problem.likelihood, rows, &tally); }, guidance_);
  };
  Draws result;
  result.x = draw(conditioned, problem.prior->shape(), *sampler_, schedule_, draws, problem.cases(), noise,
                  observer, options_, &result.run);
  result.log_weight = at::zeros({draws, problem.cases()}, at::kDouble);

  // Work per row, the filling-up of the last slice left out.
  RunRecord& run = result.run;
  run.steps = schedule_.steps();
  run.network_evaluations = static_cast<double>(sampler_->total_evaluations(run.steps));
  const double per_evaluation = run.network_evaluations / static_cast<double>(tally.evaluations.load());
  run.network_vjps = static_cast<double>(tally.vjps.load()) * per_evaluation;
  run.operator_applications = static_cast<double>(tally.operator_applications.load()) * per_evaluation;
  run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (tally.broken_solves > tally.solves / 100) {
    run.warnings.push_back(fmt::format(
        "the prior's covariance was not positive in {:.1f}% of the solves, which were cut "
        "short: its derivative is inaccurate there",
        100.0 * static_cast<double>(tally.broken_solves.load()) / static_cast<double>(tally.solves.load())));
  }
  return result;
}

}  // namespace tweedie
