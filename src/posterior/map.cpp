// The mode of the posterior by gradient ascent (Buchanan, Pai, Wang, Ma, "Learning deep representations of
// data distributions", eq. 7.1.7):
//   x_{k+1} = x_k + a (grad log p(y | x_k) + grad log p(x_k)),
// where the density of x, which may have none, is that of x_level, and its score Tweedie's (D - x) / level^2.
// The level falls geometrically from `start` to `level` over the first half of the steps, and a with it:
// ||dh/dx||^2 / s^2 + 1 / level^2 is the largest curvature that there can be where p_level is log-concave.
// Nesterov's momentum is taken back where it points downhill (O'Donoghue and Candes 2015).

#include "core/rows.h"
#include "posterior/point_estimate.h"
#include "tweedie/classical.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

class Map final : public CasePointEstimate {
 public:
  Map(const MapOptions& options, DrawOptions draw)
      : CasePointEstimate(MapOptions::kind, options.iterations, {.prior = true, .noise = true}, draw),
        options_(options) {}

 private:
  PointAnswer solve(const PointCase& c) const override {
    const double per_variance = 1 / (c.noise_std * c.noise_std);
    Tensor x = c.prior->mean(at::zeros(c.prior_shape(), c.y.options()), 100 * options_.start), v = x;
    PointAnswer answer{.x = x};
    double t = 1, curvature = 0;
    for (int64_t k = 0; k < options_.iterations; ++k) {
      const double sigma = falling_level(options_.start, options_.level, k, options_.iterations);
      if (k == 0 || c.linear == nullptr) curvature = squared_norm(c, v) * per_variance;
      const double a = options_.step / (curvature + 1 / (sigma * sigma));
      const Tensor score = (c.prior->mean(v, sigma) - v) / (sigma * sigma);
      const Tensor gradient = per_variance * c.data_gradient(v) + score;
      const Tensor next = v + a * gradient;
      const bool downhill = row_dot(gradient, next - x).item<double>() < 0;
      if (downhill) t = 1;
      const double t_next = (1 + std::sqrt(1 + 4 * t * t)) / 2;
      const double momentum = options_.momentum && !downhill ? (t - 1) / t_next : 0;
      t = t_next;
      answer.residual = relative_change(next, v);
      v = next + momentum * (next - x);
      x = next;
      ++answer.iterations;
      c.step_done();
      if (answer.residual <= tolerance(x) && sigma == options_.level) break;
    }
    answer.converged = answer.residual <= 1e-3;
    answer.x = x;
    return answer;
  }
  static double tolerance(const Tensor& x) { return x.scalar_type() == at::kDouble ? 1e-10 : 1e-6; }

  MapOptions options_;
};

}  // namespace

std::unique_ptr<const PosteriorSampler> point_estimate(const MapOptions& options, DrawOptions draw) {
  require_levels(options.start, options.level);
  require_at_least(options.iterations, 1, "method.iterations");
  if (!(options.step > 0 && options.step < 2))
    throw Error("method.step", fmt::format("{}: above 0 and below 2 is needed", options.step));
  return std::make_unique<Map>(options, draw);
}

}  // namespace tweedie
