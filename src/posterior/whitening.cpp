#include "tweedie/whitening.h"

#include "core/shape.h"
#include "tweedie/posterior.h"

namespace tweedie {

namespace {

class WithWhitening final : public PosteriorSampler {
 public:
  explicit WithWhitening(std::unique_ptr<const PosteriorSampler> method) : method_(std::move(method)) {}

  Draws sample(const Problem& problem, int64_t draws, const Noise& noise,
               const Observer& observer) const override {
    const Whitening* whitening = problem.likelihood.noise().whitening();
    if (whitening == nullptr) return method_->sample(problem, draws, noise, observer);
    Draws result = method_->sample(whitened(problem), draws, noise, observer);
    const double scale = whitening->log_scale();
    if (result.log_evidence) *result.log_evidence = *result.log_evidence - scale;
    if (auto& particles = result.run.particles; particles && particles->log_evidence.defined()) {
      particles->log_evidence = particles->log_evidence - scale;
      result.log_weight = result.log_weight - scale;  // whose scale is that of the evidence
    }
    return result;
  }

 private:
  std::unique_ptr<const PosteriorSampler> method_;
};

}  // namespace

Problem whitened(const Problem& problem) {
  const Likelihood& likelihood = problem.likelihood;
  const Whitening* whitening = likelihood.noise().whitening();
  if (whitening == nullptr) return problem;
  require_batch_of(problem.y, likelihood.forward().codomain(), "measurement.y");
  return {problem.prior,
          GaussianLikelihood(whitened(likelihood.forward_ptr(), *whitening, likelihood.noise_ptr()), 1),
          whitening->whiten(problem.y)};
}

std::unique_ptr<const PosteriorSampler> with_whitening(std::unique_ptr<const PosteriorSampler> method) {
  return std::make_unique<WithWhitening>(std::move(method));
}

}  // namespace tweedie
