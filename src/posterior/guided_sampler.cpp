// A guidance method, bound to a problem, makes the denoiser of each slice's rows; what is the same for all
// slices is computed once.

#include "core/shape.h"
#include "posterior/oracle.h"
#include "tweedie/classifier_guidance.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <chrono>

namespace tweedie {

namespace {

// y: (cases, *codomain) in the dtype and on the device of the draws
template <class Options>
Conditioned bind(const Options& options, const Problem& problem, const Tensor& y, Tally* tally) {
  return [=](const std::vector<int64_t>& cases) {
    const Tensor rows = y.index_select(0, at::tensor(cases).to(y.device()));
    return guide(options, problem.prior, problem.likelihood, rows, tally);
  };
}

Conditioned bind(PigdmOptions options, const Problem& problem, const Tensor& y, Tally* tally) {
  if (!options.data_variance) options.data_variance = estimate_data_variance(*problem.prior);
  return bind<PigdmOptions>(options, problem, y, tally);
}

Conditioned bind(const OracleOptions&, const Problem& problem, const Tensor&, Tally* tally) {
  const auto oracle = std::make_shared<const Oracle>("oracle", problem.prior, problem.likelihood, problem.y);
  return [=](const std::vector<int64_t>& cases) { return counted(oracle->rows(cases), tally); };
}

Conditioned bind(const CfgOptions& options, const Problem& problem, const Tensor&, Tally* tally) {
  const auto oracle = std::make_shared<const Oracle>("cfg", problem.prior, problem.likelihood, problem.y);
  return [=](const std::vector<int64_t>& cases) {
    return classifier_free(options.scale, counted(problem.prior, tally), counted(oracle->rows(cases), tally));
  };
}

// What the user of a method should know of its draws, if anything.
template <class Options>
std::optional<std::string> caveat(const Options&, const Problem&) {
  return std::nullopt;
}
std::optional<std::string> caveat(const CfgOptions& options, const Problem&) {
  if (options.scale == 1) return std::nullopt;
  return fmt::format("cfg with scale {} samples neither p(x | y) nor p(x) p(y | x)^{}", options.scale,
                     options.scale);
}
std::optional<std::string> caveat(const DdnmOptions&, const Problem& problem) {
  if (!problem.likelihood.has_density()) return std::nullopt;
  return "ddnm takes y as if it had no noise, so the draws reproduce its noise; ddnm-plus knows of it";
}

}  // namespace

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
  const Conditioned conditioned =
      std::visit([&](const auto& options) { return bind(options, problem, y, &tally); }, guidance_);
  std::atomic<int64_t> rows{0};
  const auto of_slice = [&](const std::vector<int64_t>& cases) {
    rows += static_cast<int64_t>(cases.size());
    return conditioned(cases);
  };
  Draws result;
  result.x = draw(of_slice, problem.prior->shape(), *sampler_, schedule_, draws, problem.cases(), noise,
                  observer, options_, &result.run);
  result.log_weight = at::zeros({draws, problem.cases()}, at::kDouble);

  RunRecord& run = result.run;
  record_work(run, tally, rows);
  run.steps = schedule_.steps();
  if (auto words = std::visit([&](const auto& options) { return caveat(options, problem); }, guidance_))
    run.warnings.push_back(*words);
  run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (tally.broken_solves > tally.solves / 100) {
    run.warnings.push_back(fmt::format(
        "the prior's covariance was not positive in {:.1f}% of the solves, which were cut short: its "
        "derivative is inaccurate there",
        100.0 * static_cast<double>(tally.broken_solves.load()) / static_cast<double>(tally.solves.load())));
  }
  return result;
}

}  // namespace tweedie
