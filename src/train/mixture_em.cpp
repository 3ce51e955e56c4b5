// EM (Dempster, Laird, Rubin 1977): the E-step's expected complete-data log-likelihood is maximised by the
// M-step, so that the likelihood never falls.

#include "train/mixture_em.h"

#include "core/shape.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <sstream>

namespace tweedie {

namespace {

void require(bool in_range, const char* field, const std::string& what) {
  if (!in_range) throw Error(std::string("model.") + field, what);
}

std::string words(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

}  // namespace

void check_options(const MixtureFitOptions& o, double rows) {
  if (o.components) {
    require(*o.components >= 1, "components", words(*o.components) + ": at least 1 is meant");
    require(*o.components <= rows, "components",
            words(*o.components) + ": more than the " + words(rows) + " rows to learn from");
  }
  require(o.max_components >= 1, "max_components", words(o.max_components) + ": at least 1 is meant");
  require(o.covariance_floor >= 1e-12 && o.covariance_floor <= 1, "covariance_floor",
          words(o.covariance_floor) + ": 1e-12 to 1 is meant");
  require(o.iterations >= 1, "iterations", words(o.iterations) + ": at least 1 is meant");
  require(o.tolerance >= 0, "tolerance", words(o.tolerance) + ": at least 0 is meant");
  require(o.restarts >= 1, "restarts", words(o.restarts) + ": at least 1 is meant");
}

void run_em(const EmSteps& steps, const MixtureFitOptions& options,
            const std::function<Control(double)>& observe, MixtureFit& fit) {
  double before = steps.expect();
  for (int64_t i = 0; i < options.iterations && !fit.converged; ++i) {
    steps.maximise();
    const double now = steps.expect();
    fit.log_likelihood.push_back(now);
    fit.converged = now - before <= options.tolerance;
    before = now;
    if (observe && observe(now) == Control::stop) return;
  }
}

int64_t free_parameters(const MixtureFit& fit) {
  const int64_t k = fit.weights.size(0);
  const int64_t d = fit.means.size(1);
  int64_t each = 1;
  if (fit.covariances.dim() == 2) each = d;
  if (fit.covariances.dim() == 3) each = d * (d + 1) / 2;
  return k - 1 + k * (d + each);
}

double bayes_information(const MixtureFit& fit, double rows) {
  const auto parameters = static_cast<double>(free_parameters(fit));
  return -2 * rows * fit.log_likelihood.back() + parameters * std::log(rows);
}

MixtureFit choose_components(const MixtureFitOptions& options, double rows,
                             const std::function<std::optional<MixtureFit>(int64_t)>& fit_with) {
  const int64_t first = options.components.value_or(1);
  const int64_t last =
      options.components.value_or(std::min(options.max_components, static_cast<int64_t>(rows)));
  std::optional<MixtureFit> best;
  std::vector<std::pair<int64_t, double>> table;
  for (int64_t k = first; k <= last; ++k) {
    std::optional<MixtureFit> fit = fit_with(k);
    if (!fit) break;
    fit->bic = bayes_information(*fit, rows);
    table.emplace_back(k, fit->bic);
    if (!best || fit->bic < best->bic) best = std::move(fit);
  }
  best->bic_by_components = std::move(table);
  return std::move(*best);
}

MixturePrior MixtureFit::prior(const Shape& shape) const {
  const Tensor centres = means.reshape(with_batch(means.size(0), shape));
  if (covariances.dim() == 1) return MixturePrior::isotropic(weights, centres, covariances.sqrt());
  if (covariances.dim() == 2)
    return MixturePrior::diagonal(weights, centres, covariances.reshape(centres.sizes()));
  return MixturePrior::full(weights, centres, covariances);
}

}  // namespace tweedie
