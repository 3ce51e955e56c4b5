// Sparse details of a wavelet transform. Daubechies, Defrise, De Mol, Comm. Pure Appl. Math. 57, 2004; with
// FISTA's momentum. W is orthonormal, so that the proximal map is a soft threshold of the details,
//   prox(z) = W^T soft(W z),   soft(c) = sign(c) max(|c| - w / L, 0) on details, c on averages.

#include "core/wavelet.h"
#include "posterior/regularised.h"

#include <ATen/ATen.h>

#include <cmath>

namespace tweedie {

namespace {

class WaveletL1 final : public RegularisedSolver {
 public:
  WaveletL1(const WaveletL1Options& options, const PointCase& c, double squared_norm)
      : options_(options),
        case_(c),
        squared_norm_(squared_norm),
        transform_(c.linear->domain(), vanishing_moments(options.wavelet), options.levels.value_or(0)) {}

  PointAnswer solve(const Tensor& y, double weight) override {
    if (!x_.defined()) {
      x_ = case_.linear->adjoint(y) / squared_norm_;
      case_.applied(1);
    }
    const ProximalGradient steps{
        .lipschitz = squared_norm_, .iterations = options_.iterations, .tolerance = options_.tolerance};
    const ProximalAnswer found =
        proximal_gradient(case_, y, x_, steps, [&](const Tensor& z, double lipschitz, Tensor& x) {
          const double threshold = weight / lipschitz;
          const Tensor c = transform_.forward(z), average = transform_.averages(c).clone();
          const Tensor shrunk = c - c.clamp(-threshold, threshold);
          transform_.averages(shrunk).copy_(average);
          x.copy_(transform_.inverse(shrunk));
        });
    x_ = found.x;
    return {.x = x_,
            .iterations = found.iterations,
            .objective = 0.5 * found.residual2 + weight * penalty(x_),
            .residual = found.residual,
            .converged = found.converged};
  }
  double penalty(const Tensor& x) const override { return details(x).abs().sum(at::kDouble).item<double>(); }
  double largest_weight(const Tensor& y) const override {
    return details(case_.linear->adjoint(y)).abs().max().item<double>();
  }

 private:
  // W x, the averages 0
  Tensor details(const Tensor& x) const {
    const Tensor c = transform_.forward(x);
    transform_.averages(c).zero_();
    return c;
  }

  WaveletL1Options options_;
  const PointCase& case_;
  double squared_norm_;
  WaveletTransform transform_;
  Tensor x_;
};

}  // namespace

std::unique_ptr<const PosteriorSampler> point_estimate(const WaveletL1Options& options, DrawOptions draw) {
  require_positive(options.tolerance, "method.tolerance");
  if (options.levels) require_at_least(*options.levels, 1, "method.levels");
  return regularised(WaveletL1Options::kind, options.weight, options.iterations, draw,
                     [options](const PointCase& c, double squared_norm) {
                       return std::make_unique<WaveletL1>(options, c, squared_norm);
                     });
}

}  // namespace tweedie
