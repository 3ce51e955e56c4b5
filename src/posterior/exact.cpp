#include "core/shape.h"
#include "prior/gaussian_posterior.h"
#include "tweedie/guidance.h"

#include <ATen/ATen.h>

#include <chrono>

namespace tweedie {

Draws ExactSampler::sample(const Problem& problem, int64_t draws, const Noise& noise,
                           const Observer& observer) const {
  const auto* prior = dynamic_cast<const GaussianPrior*>(problem.prior.get());
  if (prior == nullptr) throw Error("method.kind", "exact needs a Gaussian prior; use mmps for this one");
  if (problem.likelihood.linear() == nullptr) throw Error("method.kind", "exact needs a linear operator");
  require_batch_of(problem.y, problem.likelihood.forward().codomain(), "measurement.y");
  const auto begin = std::chrono::steady_clock::now();
  const GaussianPosterior posterior(*prior, problem.likelihood.linear()->dense(),
                                    problem.likelihood.noise_std());
  const Tensor y = problem.y.flatten(1).to(at::kCPU, at::kDouble);
  std::vector<Tensor> cases;
  for (int64_t c = 0; c < problem.cases(); ++c) {
    std::vector<uint64_t> rows(draws);
    for (int64_t d = 0; d < draws; ++d) rows[d] = static_cast<uint64_t>(c) << 32 | static_cast<uint64_t>(d);
    Noise of_rows = noise.rows(std::move(rows)).stream(Stream::initial);
    cases.push_back(posterior.sample(y[c], draws, of_rows).to(options_.dtype));
    if (observer && observer({.done = c + 1, .total = problem.cases()}) == Control::stop) throw Interrupted{};
  }
  Draws result;
  result.x = at::stack(cases, 1);
  result.log_weight = at::zeros({draws, problem.cases()}, at::kDouble);
  result.mean = posterior.mean(y).to(options_.dtype);
  result.log_evidence = posterior.log_evidence(y);
  result.run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

}  // namespace tweedie
