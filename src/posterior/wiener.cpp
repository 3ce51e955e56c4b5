// Linear minimum mean square error. Wiener 1949; Kay, "Fundamentals of statistical signal processing", 1993,
// section 12.5: of all affine functions of y the nearest to x in the mean,
//   x = m + S A^T (A S A^T + noise_std^2 I)^{-1} (y - A m),   m = E x, S = Cov x.
// m and S are a Gaussian prior's, another analytic prior's in the limit of much noise, where D -> m and
// sigma^2 dD/dx -> S, or those of data: the sample covariance, that of PPCA, or the power spectrum of the
// periodic image, S = F^{-1} |F (x - m)|^2 F / pixels, which a transform applies.

#include "core/conjugate_gradient.h"
#include "core/shape.h"
#include "posterior/point_estimate.h"
#include "prior/gaussian_posterior.h"
#include "tweedie/classical.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr int64_t largest_dense = 4096;    // of both sides of a matrix that is factorised
constexpr int64_t largest_moments = 2048;  // derivatives that a prior is asked for

struct Moments {
  Tensor mean;  // (1, *shape) float64
  BatchMap covariance;
  std::shared_ptr<const GaussianPrior> gaussian;  // the same, where it is one
};

Moments of_gaussian(std::shared_ptr<const GaussianPrior> prior) {
  const Shape shape = with_batch(1, prior->shape());
  return {prior->flat_mean().view(shape),
          [prior](const Tensor& v) { return prior->covariance_times(v.flatten(1)).view(v.sizes()); }, prior};
}

// D(x) = m + S (x - m) / sigma^2 + ..., with x near m and sigma 1e5 times the spread
Moments of_analytic(const AnalyticPrior& prior) {
  const int64_t d = prior.dimension();
  if (d > largest_moments) {
    throw Error("method.kind",
                fmt::format("wiener asks this prior for its covariance, which for {} coordinates, more "
                            "than {}, takes too long; give method.data",
                            d, largest_moments));
  }
  const Shape shape = prior.shape();
  Noise noise(0);
  const double size = 1 + prior.sample(64, noise).abs().max().item<double>(), sigma = 1e5 * size;
  const Tensor mean = prior.mean(at::zeros(with_batch(1, shape), at::kDouble), sigma);
  const Tensor eye = at::eye(d, at::kDouble).view(with_batch(d, shape));
  const Linearised at_mean = linearise(prior, mean.expand(with_batch(d, shape)).contiguous(), sigma);
  const Tensor covariance = sigma * sigma * at_mean.vjp(eye).flatten(1);
  return of_gaussian(
      std::make_shared<GaussianPrior>(GaussianPrior::full(mean[0], 0.5 * (covariance + covariance.t()))));
}

Moments of_spectrum(const Tensor& data) {
  const Tensor x = data.to(at::kDouble), mean = x.mean(0, true);
  if (x.dim() < 3) throw Error("method.covariance", "stationary, but the data are no images");
  const auto pixels = static_cast<double>(x.size(-1) * x.size(-2));
  Tensor power;
  for (int64_t i = 0; i < x.size(0); ++i) {
    const Tensor f = at::view_as_real(at::fft_rfft2(x[i] - mean[0])).square().sum(-1);
    power = i == 0 ? f : power.add_(f);
  }
  power = (power / (pixels * static_cast<double>(x.size(0)))).unsqueeze(0);
  const Shape sides{x.size(-2), x.size(-1)};
  return {mean, [=](const Tensor& v) { return at::fft_irfft2(at::fft_rfft2(v) * power, sides); }, nullptr};
}

Moments of_data(const WienerOptions& o, const Tensor& data, const Shape& shape) {
  require_real(data, "method.data");
  require_finite(data, "method.data");
  require_batch_of(data, shape, "method.data");
  if (data.size(0) < 2)
    throw Error("method.data", fmt::format("{} sample: a covariance needs at least 2", data.size(0)));
  if (o.covariance == WienerOptions::Covariance::stationary) return of_spectrum(data);
  return of_gaussian(std::make_shared<GaussianPrior>(GaussianPrior::fit(data, o.rank)));
}

class Wiener final : public PointEstimate {
 public:
  Wiener(WienerOptions options, Tensor data, DrawOptions draw)
      : PointEstimate(draw), options_(std::move(options)), data_(std::move(data)) {
    draw_options_.device = at::kCPU;
  }

  Draws sample(const Problem& problem, int64_t draws, const Noise& noise,
               const Observer& observer) const override {
    const LinearOperator& a = require_linear(problem.likelihood, WienerOptions::kind);
    const Moments moments = moments_of(problem, a.domain());
    const double noise_std = problem.likelihood.noise_std();
    const bool dense = moments.gaussian != nullptr && product(a.codomain()) <= largest_dense &&
                       product(a.domain()) <= largest_dense;
    std::optional<GaussianPosterior> posterior;
    if (dense) posterior.emplace(*moments.gaussian, a.dense(), noise_std);
    const PointRun run{.method = WienerOptions::kind,
                       .problem = problem,
                       .draws = draws,
                       .noise = noise,
                       .observer = observer,
                       .options = draw_options_,
                       .iterations = 1};
    Draws result = run_point_estimate(run, [&](const PointCase& c) {
      PointAnswer answer = posterior ? exact(*posterior, c) : iterated(moments, c);
      c.step_done();
      return answer;
    });
    result.mean = result.x[0];
    if (posterior && std::dynamic_pointer_cast<const GaussianPrior>(problem.prior) == moments.gaussian) {
      const Tensor std = posterior->variance().sqrt().unsqueeze(0);
      result.std = std.expand(with_batch(problem.cases(), a.domain())).contiguous();
      result.run.warnings.clear();  // the prior is Gaussian, so its posterior is known in full
    }
    return result;
  }

 private:
  Moments moments_of(const Problem& problem, const Shape& shape) const {
    if (data_.defined()) return of_data(options_, data_, shape);
    if (const auto gaussian = std::dynamic_pointer_cast<const GaussianPrior>(problem.prior))
      return of_gaussian(gaussian);
    if (const auto analytic = std::dynamic_pointer_cast<const AnalyticPrior>(problem.prior))
      return of_analytic(*analytic);
    throw Error("method.data",
                "wiener needs the mean and covariance of x: from an analytic prior, or from data = "
                "\"file of samples\"");
  }

  static PointAnswer exact(const GaussianPosterior& posterior, const PointCase& c) {
    c.applied(2);
    return {.x = posterior.mean(c.y.flatten(1)).view(with_batch(1, c.forward.domain())),
            .iterations = 1,
            .residual = 0};
  }

  static PointAnswer iterated(const Moments& m, const PointCase& c) {
    const LinearOperator& a = *c.linear;
    const double variance = c.noise_std * c.noise_std;
    const Tensor y = c.y.to(at::kDouble);
    const auto map = [&](const Tensor& v) { return a.apply(m.covariance(a.adjoint(v))) + variance * v; };
    const auto solved =
        conjugate_gradient(map, y - a.apply(m.mean), {.max_iterations = 5000, .tolerance = 1e-8});
    PointAnswer answer;
    answer.x = m.mean + m.covariance(a.adjoint(solved.u));
    answer.iterations = solved.iterations.item<int64_t>();
    answer.residual = solved.residual.item<double>();
    answer.converged = answer.residual <= 1e-6;
    c.applied(2 + 2 * answer.iterations);
    return answer;
  }

  WienerOptions options_;
  Tensor data_;
};

}  // namespace

std::unique_ptr<const PosteriorSampler> point_estimate(const WienerOptions& options, const Tensor& data,
                                                       DrawOptions draw) {
  if (options.rank) require_at_least(*options.rank, 1, "method.rank");
  return std::make_unique<Wiener>(options, data, draw);
}

}  // namespace tweedie
