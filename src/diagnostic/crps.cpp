// Of sorted members x_1 <= ... <= x_M the sum of |x_i - x_j| over i < j is sum_i (2 i - M - 1) x_i, so that
// pairs cost a sort.

#include "diagnostic/field.h"
#include "tweedie/forecast_scores.h"

#include <ATen/ATen.h>

namespace tweedie {

double fair_crps(const Tensor& ensemble, const Tensor& truth, const Tensor& weight) {
  const Tensor y = field_row(truth, truth.sizes(), "fair_crps.truth");
  const Tensor x = member_rows(ensemble, truth.sizes(), "fair_crps.ensemble");
  const Tensor w = field_weight(weight, truth.sizes(), "fair_crps.weight");
  const int64_t members = x.size(0);
  Tensor score = (x - y).abs().mean(0);
  if (members > 1) {
    const Tensor sorted = std::get<0>((x - y).t().contiguous().sort(1));  // about y, which cancels less
    const Tensor factor = 2 * at::arange(1, members + 1, at::kDouble) - static_cast<double>(members + 1);
    score = score - sorted.matmul(factor) / static_cast<double>(members * (members - 1));
  }
  return (score * w).sum().item<double>();
}

}  // namespace tweedie
