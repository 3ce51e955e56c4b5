// A draw against the mean. Given y, a draw x' and the truth x are independent and of one law with mean m and
// covariance C, so E|x' - x|^2 = 2 tr C = 2 E|m - x|^2: draws are 10 log10 2 = 3.01 dB worse than m. The mean
// of L draws has E|mean - x|^2 = tr C + tr C / L, hence the factor 1 + 1/L = 1 + sum of squared normalised
// weights. The differences draw - 2 mean of the cases are independent and of mean 0; Student's t tests them.

#include "tweedie/calibration.h"

#include "core/shape.h"
#include "core/special.h"
#include "diagnostic/samples.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

SquaredErrors squared_errors(const Simulations& s) {
  constexpr const char* place = "squared_errors";
  if (s.draws.dim() < 2 || s.draws.sizes().slice(1) != s.x.sizes() || s.draws.size(0) < 2 ||
      s.x.numel() == 0) {
    throw Error(
        place,
        fmt::format(
            "draws {} of x {}; (draws, cases, *shape) and (cases, *shape), with at least 2 draws, are meant",
            to_string(s.draws.sizes()), to_string(s.x.sizes())));
  }
  const int64_t n = s.draws.size(0), cases = s.draws.size(1);
  const Tensor x = flat_rows(s.x, place);
  const Tensor draws = flat_rows(s.draws, place).reshape({n, cases, -1});
  Tensor weight = at::full({n, cases}, 1.0 / static_cast<double>(n), at::kDouble);
  if (s.log_weight.defined()) {
    if (s.log_weight.sizes() != weight.sizes()) {
      throw Error("squared_errors.log_weight",
                  fmt::format("shape {}, but {} is meant", to_string(s.log_weight.sizes()),
                              to_string(weight.sizes())));
    }
    for (int64_t c = 0; c < cases; ++c)
      weight.select(1, c).copy_(normalised(s.log_weight.select(1, c), "squared_errors.log_weight"));
  }
  const Tensor mean = (weight.unsqueeze(2) * draws).sum(0);
  return {(weight * (draws - x).square().sum(2)).sum(0),
          (mean - x).square().sum(1) / (1 + weight.square().sum(0))};
}

MeanIdentity mean_identity(const SquaredErrors& errors) {
  if (errors.draw.dim() != 1 || errors.draw.sizes() != errors.mean.sizes() || errors.draw.size(0) < 2) {
    throw Error("mean_identity",
                fmt::format("errors {} of draws and {} of means; (cases) of both, at least 2, are meant",
                            to_string(errors.draw.sizes()), to_string(errors.mean.sizes())));
  }
  require_finite(errors.draw, "mean_identity.draw");
  require_finite(errors.mean, "mean_identity.mean");
  const double n = static_cast<double>(errors.draw.size(0));
  const Tensor difference = errors.draw - 2 * errors.mean;
  const double draw = errors.draw.mean().item<double>(), mean = errors.mean.mean().item<double>();
  const double ratio = draw / mean;
  if (!(mean > 0)) throw Error("mean_identity", "all means of draws equal the truth");
  const double standard_error = std::sqrt(difference.var(0, true).item<double>() / n);
  MeanIdentity result{10 * std::log10(ratio), 0, 0, 1};
  // d log ratio = (d draw - ratio d mean) / draw
  const double of_ratio =
      std::sqrt((errors.draw - ratio * errors.mean).var(0, true).item<double>() / n) / draw;
  result.standard_error = 10 / std::log(10.0) * of_ratio;
  const double offset = difference.mean().item<double>();
  result.z = offset == 0 ? 0 : offset / standard_error;
  result.p_value = 2 * student_t_tail(std::abs(result.z), n - 1);
  return result;
}

Finding draw_against_mean(const SquaredErrors& errors, const Significance& significance) {
  const MeanIdentity m = mean_identity(errors);
  Finding f{"draw-against-mean", Finding::Status::pass, m.decibels, m.p_value, "", ""};
  f.message = fmt::format(
      "a draw is {:.2f} dB worse than the mean (3.01 expected, standard error {:.2g}), p = {:.2g}",
      m.decibels, m.standard_error, m.p_value);
  if (m.p_value >= significance.warn_below) return f;
  f.status = m.p_value < significance.fail_below ? Finding::Status::fail : Finding::Status::warn;
  f.message += m.z < 0 ? ": draws vary too little for their error" : ": draws vary too much for their error";
  f.remedy = m.z < 0 ? "use mmps, or take more steps" : "take more steps";
  return f;
}

}  // namespace tweedie
