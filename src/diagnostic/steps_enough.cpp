// Would more steps change the answer? The same seeds at half the steps give pairs (f_i, g_i), i = 1..n, of J
// coordinates with differences D_i. With s^2 = sum_j Var f_j,
//   mean shift^2 = sum_{i != k} D_i . D_k / (n (n - 1)) / s^2,  unbiased above the line, where plain |mean
//   D|^2 is not, std change   = log(sum_j Var g_j / s^2) / 2,
// each with the jackknife's standard error over draws, which knows how tightly the pairs are coupled. Pooling
// over coordinates gives those that vary the most the most weight, and one of zero variance none.

#include "tweedie/diagnostics.h"

#include "core/shape.h"
#include "core/special.h"
#include "diagnostic/samples.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

// Sums of squares about the mean, over all coordinates: of all rows, and without each row in turn (n).
struct Scatter {
  Tensor all, without;
};

Scatter scatter_of(const Tensor& x) {
  const double n = static_cast<double>(x.size(0));
  const Tensor each = (x - x.mean(0)).square().sum(1);
  return {each.sum(), each.sum() - each * (n / (n - 1))};
}

struct Change {
  double value, standard_error;
  // p-value of "the change is at most `limit`"
  double p_above(double limit, double freedom) const {
    if (standard_error == 0) return value > limit ? 0 : 1;
    return student_t_tail((value - limit) / standard_error, freedom);
  }
};

Change jackknife(const Tensor& all, const Tensor& without) {
  const double n = static_cast<double>(without.size(0));
  const double spread = (without - without.mean()).square().sum().item<double>();
  return {all.item<double>(), std::sqrt(spread * (n - 1) / n)};
}

}  // namespace

Finding steps_enough(const Tensor& full, const Tensor& half, int64_t steps, const StepsTolerance& tolerance,
                     const Significance& significance) {
  if (full.sizes() != half.sizes()) {
    throw Error("steps_enough", fmt::format("draws {} at all and {} at half the steps; one shape is meant",
                                            to_string(full.sizes()), to_string(half.sizes())));
  }
  const Tensor f = flat_rows(full, "steps_enough.full"), g = flat_rows(half, "steps_enough.half");
  Finding result{"steps-enough", Finding::Status::skipped, NAN, std::nullopt, "", ""};
  const double n = static_cast<double>(f.size(0));
  const Scatter of_full = scatter_of(f), of_half = scatter_of(g);
  if (n < 4 || of_full.without.min().item<double>() <= 0 || of_half.without.min().item<double>() <= 0) {
    result.message =
        fmt::format("{} draws are too few, or do not vary, to compare two numbers of steps", f.size(0));
    result.remedy = "take more draws";
    return result;
  }

  const Tensor d = f - g, sum = d.sum(0), square = d.square().sum(1), to_sum = d.matmul(sum);
  const Tensor pairs = sum.dot(sum) - square.sum();
  const Tensor pairs_without = pairs - 2 * (to_sum - square);
  const Change shift = jackknife(pairs / n / of_full.all, pairs_without / (n - 1) / of_full.without);
  const Change spread =
      jackknife((of_half.all / of_full.all).log() / 2, (of_half.without / of_full.without).log() / 2);

  const double mean_shift = std::sqrt(std::max(0.0, shift.value)), std_ratio = std::exp(spread.value);
  const Change magnitude{std::abs(spread.value), spread.standard_error};
  const double limit_mean = tolerance.mean * tolerance.mean, limit_std = std::log1p(tolerance.std);
  const double p =
      std::min(1.0, 2 * std::min(shift.p_above(limit_mean, n - 1), magnitude.p_above(limit_std, n - 1)));
  const bool within = shift.value <= limit_mean && magnitude.value <= limit_std;

  result.value = mean_shift;
  result.p_value = p;
  result.message =
      fmt::format("half of {} steps shift the mean by {:.2g} posterior std and change the std by {:+.2g}%",
                  steps, mean_shift, 100 * (std_ratio - 1));
  result.status = Finding::Status::pass;
  if (!within && p < significance.fail_below) {
    result.status = Finding::Status::fail;
    result.message += fmt::format(", beyond {:.2g} and {:.2g}%", tolerance.mean, 100 * tolerance.std);
    result.remedy = fmt::format("double the steps to {}", 2 * steps);
  } else if (!within) {
    result.status = Finding::Status::warn;
    result.message += fmt::format(", which {} draws can't tell from enough", f.size(0));
    result.remedy = fmt::format("take more draws, or double the steps to {}", 2 * steps);
  }
  return result;
}

}  // namespace tweedie
