#include "posterior/guided_denoiser.h"

#include <fmt/format.h>

namespace tweedie {

const LinearOperator& require_linear(const GaussianLikelihood& likelihood, const char* method) {
  if (const LinearOperator* a = likelihood.linear()) return *a;
  throw Error("method.kind", fmt::format("{} needs a linear operator; use dps for this one", method));
}

void require_noise(const GaussianLikelihood& likelihood, const char* method) {
  if (likelihood.noise_std() > 0) return;
  throw Error(
      "measurement.noise.std",
      fmt::format(
          "0, but {} divides by the noise's std; exact, pigdm, ddrm and mcgdiff are among those that take 0",
          method));
}

std::shared_ptr<const AnalyticPrior> require_analytic(const DenoiserPtr& prior, const char* method) {
  if (auto analytic = std::dynamic_pointer_cast<const AnalyticPrior>(prior)) return analytic;
  throw Error(
      "method.kind",
      fmt::format("{} needs an analytic prior, whose posterior is known; use mmps for this one", method));
}

}  // namespace tweedie
