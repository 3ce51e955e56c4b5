// Is an ensemble of forecasts reliable? Over leads, from what is independent: the cases.

#include "core/shape.h"
#include "core/special.h"
#include "tweedie/forecast_scores.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace tweedie {

namespace {

constexpr double most = 1.25;  // of spread and error, either way

void judge(Finding& f, bool large, const Significance& significance) {
  if (!(*f.p_value < significance.warn_below)) return;
  f.status = large && *f.p_value < significance.fail_below ? Finding::Status::fail : Finding::Status::warn;
}

Finding skipped(const char* name, const char* why) {
  return {name, Finding::Status::skipped, std::numeric_limits<double>::quiet_NaN(), std::nullopt, why, ""};
}

}  // namespace

Finding flat_ranks(const std::vector<RankFlatness>& leads, const Significance& significance) {
  Finding f = skipped("flat-ranks", "too few cases for the error of a rank histogram: two a bin are needed");
  double smallest = INFINITY, outer = 0;
  size_t lead = 0;
  for (size_t l = 0; l < leads.size(); ++l) {
    if (!leads[l].p_value || *leads[l].p_value >= smallest) continue;
    smallest = *leads[l].p_value;
    lead = l;
  }
  if (!std::isfinite(smallest)) return f;
  const Tensor& share = leads[lead].share;
  const auto bins = static_cast<double>(share.size(0));
  f.status = Finding::Status::pass;
  f.value = (share * bins - 1).abs().max().item<double>();
  f.p_value = std::min(1.0, smallest * static_cast<double>(leads.size()));
  outer = (share[0] + share[-1]).item<double>() * bins / 2;
  f.message = fmt::format("rank histograms at {} leads: that of lead {} is the least flat, p = {:.2g}",
                          leads.size(), lead + 1, *f.p_value);
  judge(f, f.value > most - 1, significance);
  if (f.status == Finding::Status::pass) return f;
  f.message += fmt::format(": its outer bins hold {:.2f} times their share", outer);
  f.remedy = outer > 1
                 ? "members vary too little or are off: add what the state leaves out ([field] residuals)"
                 : "members vary too much: lower the noise that is added";
  return f;
}

Finding ensemble_spread(const Tensor& square_error, const Tensor& expected,
                        const Significance& significance) {
  if (square_error.dim() != 2 || expected.sizes() != square_error.sizes() || square_error.numel() == 0) {
    throw Error("ensemble_spread", fmt::format("{} and {}; (cases, leads) is meant",
                                               to_string(square_error.sizes()), to_string(expected.sizes())));
  }
  const int64_t cases = square_error.size(0), leads = square_error.size(1);
  Finding f = skipped("spread", "one case does not tell what the error of the mean is");
  if (cases < 2) return f;
  f.status = Finding::Status::pass;
  const Tensor excess = expected - square_error, mean = excess.mean(0);
  const Tensor error = (excess.var(0, true) / static_cast<double>(cases)).sqrt();
  double smallest = INFINITY;
  int64_t lead = 0;
  for (int64_t l = 0; l < leads; ++l) {
    const double m = std::abs(mean[l].item<double>()), e = error[l].item<double>();
    const double p = m > 0 ? 2 * student_t_tail(m / e, static_cast<double>(cases - 1)) : 1;
    if (p >= smallest) continue;
    smallest = p;
    lead = l;
  }
  const double is = std::sqrt(square_error.select(1, lead).mean().item<double>());
  const double said = std::sqrt(expected.select(1, lead).mean().item<double>());
  f.value = said / is;
  f.p_value = std::min(1.0, smallest * static_cast<double>(leads));
  f.message =
      fmt::format("lead {}: the members expect an RMSE of {:.4g} of their mean, which has {:.4g}, p = {:.2g}",
                  lead + 1, said, is, *f.p_value);
  judge(f, !(f.value < most && f.value > 1 / most), significance);
  if (f.status != Finding::Status::pass) {
    f.remedy = f.value < 1
                   ? "members vary too little or are off: add what the state leaves out ([field] residuals)"
                   : "members vary too much: lower the noise that is added";
  }
  return f;
}

}  // namespace tweedie
