// Do the draws predict a measurement that they were not given?
//
// Let x ~ p(x), y and z two measurements of it with independent noise, x_1, ..., x_n ~ p(x | y), and z_k a
// measurement like z of x_k. Given y, z and z_1, ..., z_n are exchangeable: so is how far each is from the
// others,
//   T_j = mean_i (z_ji - m_i)^2 / ((1 + 1 / n) v_i),   m_i, v_i the mean and variance of the n others,
// and the rank of T_0, that of z, among all n + 1 is uniform. Ranks of C cases are independent: the law of
// their sum is a convolution. A prior that is wrong where y says nothing shows here, and nowhere else without
// a truth.

#include "tweedie/diagnostics.h"

#include "core/shape.h"
#include "diagnostic/rank_sum.h"
#include "diagnostic/samples.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

// T_j (n + 1) of one case, z: (n + 1, m). Variances below a thousandth of their mean count as that; where all
// others agree on everything there is no scale, and what differs is infinitely far.
Tensor distances_from_others(const Tensor& z) {
  const auto n = static_cast<double>(z.size(0) - 1);
  const Tensor centred = z - z.mean(0), square = centred.square(), sum = square.sum(0);
  const Tensor others = -centred / n;  // their mean
  const Tensor variance = ((sum - square - n * others.square()) / (n - 1)).clamp_min(0);
  const Tensor scale = variance.maximum(1e-3 * variance.mean(1, true)) * (1 + 1 / n);
  const Tensor off = (centred - others).square();
  return at::where(off.gt(0), off / scale, at::zeros_like(off)).mean(1);
}

}  // namespace

Finding held_out(const Tensor& z, const Tensor& predicted, const Significance& significance) {
  constexpr double tolerance = 1.25;
  if (predicted.dim() < 2 || z.sizes() != predicted.sizes().slice(1) || z.numel() == 0) {
    throw Error("held_out",
                fmt::format("{} measured and {} predicted; (cases, ...) and (draws, cases, ...) are meant",
                            to_string(z.sizes()), to_string(predicted.sizes())));
  }
  Finding f{
      "held-out",       Finding::Status::skipped, NAN, std::nullopt, "fewer than 5 draws predict nothing",
      "take more draws"};
  const int64_t n = predicted.size(0), cases = z.size(0);
  if (n < 5) return f;
  const Tensor all = at::cat({flat_rows(z, "held_out.z").unsqueeze(0),
                              flat_rows(predicted, "held_out.predicted").reshape({n, cases, -1})});
  double measured = 0, expected = 0, spread = 0, below = 0;
  for (int64_t c = 0; c < cases; ++c) {
    const Tensor t = distances_from_others(all.select(1, c)), others = t.slice(0, 1);
    measured += t[0].item<double>();
    expected += others.mean().item<double>();
    spread += others.var().item<double>();
    below += (others.lt(t[0]).sum() + 0.5 * others.eq(t[0]).sum()).item<double>();
  }
  const auto [lower, upper] = rank_sum_tails(below, n, cases);
  const double p = std::min(1.0, 2 * std::min(lower, upper));
  const double ratio = expected > 0 ? measured / expected : measured > 0 ? INFINITY : 1;
  f.value = ratio;
  f.p_value = p;
  f.message = fmt::format(
      "errors of the prediction of what was held out are {:.3g} of what the draws say, p = {:.2g}", ratio, p);
  const bool large = ratio > tolerance || ratio < 1 / tolerance;
  // A single case has no p below 2 / (n + 1), however far off it is.
  const bool far = large && std::abs(measured - expected) > 5 * std::sqrt(spread);
  f.status = large && p < significance.fail_below ? Finding::Status::fail
             : p < significance.warn_below || far ? Finding::Status::warn
                                                  : Finding::Status::pass;
  f.remedy = "";
  if (f.status != Finding::Status::pass) {
    f.message += ratio > 1 ? ": x is not what the prior expects, or the draws are too narrow"
                           : ": the draws are too wide";
    f.remedy = ratio > 1 ? "take a prior learned from data that are like x, and check operator and noise"
                         : "take more steps, or check that the noise std is not overstated";
  }
  return f;
}

}  // namespace tweedie
