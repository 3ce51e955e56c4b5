// Pearson's chi2 (1900) of class counts c_j against e_j = N P(class j): with m classes and p parameters that
// maximise the likelihood of these counts, chi2_{m-1-p} for many rows. It needs e_j of about 5 or more, so
// from the left each class takes in the next until it has them, and the last one what is left.

#include "tweedie/goodness_of_fit.h"

#include "core/special.h"
#include "train/mixture_em.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

// P(x <= edge)
double cumulative(const MixtureFit& fit, double edge) {
  double p = 0;
  for (int64_t k = 0; k < fit.weights.size(0); ++k) {
    const double z = (edge - fit.means[k].item<double>()) / std::sqrt(fit.covariances[k].item<double>());
    p += fit.weights[k].item<double>() * normal_cdf(z);
  }
  return p;
}

}  // namespace

GoodnessOfFit goodness_of_fit(const Tensor& edges, const Tensor& counts, const MixtureFit& fit,
                              double least_expected) {
  require_classes(edges, counts);
  if (fit.means.dim() != 2 || fit.means.size(1) != 1 || fit.covariances.numel() != fit.weights.size(0))
    throw Error("fit", "a mixture on the line is meant");
  if (!(least_expected >= 1))
    throw Error("least_expected", fmt::format("{}: at least 1 is meant", least_expected));
  const int64_t n = counts.size(0);
  const Tensor edge = edges.to(at::kCPU, at::kDouble), count = counts.to(at::kCPU, at::kDouble);
  const double total = count.sum().item<double>();

  GoodnessOfFit result;
  result.expected = at::empty({n}, at::kDouble);
  double below = 0, observed = 0, expected = 0;  // the last two: of the class that is being joined
  double last_observed = 0, last_expected = 0;   // of the one before, not yet in chi2
  const auto term = [](double c, double e) { return e > 0 ? (c - e) * (c - e) / e : 0; };
  for (int64_t j = 0; j < n; ++j) {
    const double up_to = j + 1 < n ? cumulative(fit, edge[j + 1].item<double>()) : 1;
    result.expected[j] = total * (up_to - below);
    expected += total * (up_to - below);
    observed += count[j].item<double>();
    below = up_to;
    if (expected < least_expected) continue;
    result.chi2 += term(last_observed, last_expected);
    ++result.classes;
    last_observed = observed, last_expected = expected;
    observed = expected = 0;
  }
  result.chi2 += term(last_observed + observed, last_expected + expected);
  result.degrees_of_freedom = result.classes - 1 - free_parameters(fit);
  if (result.degrees_of_freedom > 0)
    result.p_value = chi2_tail(result.chi2, static_cast<double>(result.degrees_of_freedom));
  return result;
}

}  // namespace tweedie
