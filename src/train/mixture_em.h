#pragma once
// What EM from rows and from class counts have in common.

#include "tweedie/mixture_fit.h"

namespace tweedie {

// Throws Error, naming the field, unless the options are in range; rows: how many there are to learn from
void check_options(const MixtureFitOptions& options, double rows);

// expect: the E-step, which returns the mean log-likelihood of what it started from; maximise: the M-step.
// Fills log_likelihood and converged; ends early when the observer says stop.
struct EmSteps {
  std::function<double()> expect;
  std::function<void()> maximise;
};
void run_em(const EmSteps& steps, const MixtureFitOptions& options,
            const std::function<Control(double log_likelihood)>& observe, MixtureFit& fit);

// Throws Error unless these are the classes and counts that fit_grouped_mixture describes
void require_classes(const Tensor& edges, const Tensor& counts);

// Of the weights, means and covariances together
int64_t free_parameters(const MixtureFit& fit);

// -2 L + p ln N (Schwarz 1978)
double bayes_information(const MixtureFit& fit, double rows);

// The fit with options.components, or else that of least BIC (with bic_by_components); fit_with(K) returns
// nothing once it was told to stop, but something the first time.
MixtureFit choose_components(const MixtureFitOptions& options, double rows,
                             const std::function<std::optional<MixtureFit>(int64_t)>& fit_with);

}  // namespace tweedie
