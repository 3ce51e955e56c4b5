// Mean square error, what an ensemble expects it to be, and anomaly correlation.

#include "diagnostic/field.h"
#include "tweedie/error.h"
#include "tweedie/forecast_scores.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

namespace tweedie {

double mean_square_error(const Tensor& forecast, const Tensor& truth, const Tensor& weight) {
  const Tensor y = field_row(truth, truth.sizes(), "mean_square_error.truth");
  const Tensor x = field_row(forecast, truth.sizes(), "mean_square_error.forecast");
  const Tensor w = field_weight(weight, truth.sizes(), "mean_square_error.weight");
  return ((x - y).square() * w).sum().item<double>();
}

double expected_square_error(const Tensor& ensemble, const Tensor& weight) {
  if (ensemble.dim() < 1 || ensemble.size(0) < 2)
    throw Error("expected_square_error", "one member has no spread; at least two are needed");
  const auto shape = ensemble.sizes().slice(1);
  const Tensor x = member_rows(ensemble, shape, "expected_square_error.ensemble");
  const Tensor w = field_weight(weight, shape, "expected_square_error.weight");
  const double members = static_cast<double>(x.size(0));
  const Tensor square = (x - x.mean(0)).square_().sum(0);  // faster than var along the first axis
  return (1 + 1 / members) / (members - 1) * (square * w).sum().item<double>();
}

double anomaly_correlation(const Tensor& forecast, const Tensor& truth, const Tensor& climatology,
                           const Tensor& weight) {
  const Tensor y = field_row(truth, truth.sizes(), "anomaly_correlation.truth");
  const Tensor x = field_row(forecast, truth.sizes(), "anomaly_correlation.forecast");
  const Tensor c = field_row(climatology, truth.sizes(), "anomaly_correlation.climatology");
  const Tensor w = field_weight(weight, truth.sizes(), "anomaly_correlation.weight");
  const auto inner = [&](const Tensor& a, const Tensor& b) { return (a * b * w).sum().item<double>(); };
  const double power = inner(x - c, x - c) * inner(y - c, y - c);
  return power > 0 ? inner(x - c, y - c) / std::sqrt(power) : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace tweedie
