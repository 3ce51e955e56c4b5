#pragma once
// The noise of a measurement: the law p(y | z) of y given z = h(x), what would be measured without it. Every
// model but Gaussian noise with a full covariance is independent over the entries of y.

#include "tweedie/noise.h"

#include <memory>
#include <optional>
#include <string>

namespace tweedie {

// log p(y | z) as methods that follow its derivative see it, entry by entry, all (B, *codomain) float64.
// value is log p(y | z), but where p falls steeply to 0 (counts of a rate near 0) or vanishes it goes on
// along its tangent, so that it is finite and points back. derivative is that of value in z, and information
// the scale of -d^2 value / dz^2 near its top: steps that are small beside 1 / information are stable.
struct LogDensitySlope {
  Tensor value, derivative, information;
};

class Whitening;

// Counts: y = k, k ~ Poisson(rate), rate = gain z + background. Where that is negative it is 0.
struct Counting {
  double gain = 1;      // > 0: counts for one unit of z
  Tensor background;    // >= 0, (*codomain) or (), in counts; undefined: 0
  bool scaled = false;  // y is counts / gain
};

class NoiseModel {
 public:
  virtual ~NoiseModel() = default;
  virtual const char* kind() const = 0;  // as in configs

  // Throws Error(place) where this noise can't give one of y (B, *codomain): a count below 0, a label of 2.
  virtual void require_possible(const Tensor& /*y*/, const std::string& /*place*/) const {}

  // y, z: (B, *codomain), float32 or float64, of as many rows, or one of y for all; outside autograd.

  // log p(y | z) in nats with all its normalisers, (B) float64; -infinity where y is impossible
  virtual Tensor log_prob(const Tensor& y, const Tensor& z) const = 0;
  virtual LogDensitySlope slope(const Tensor& y, const Tensor& z) const = 0;
  // One y for each z, of z's dtype
  virtual Tensor simulate(const Tensor& z, Noise& noise) const = 0;
  // N(0, I) at the true z, (B, *codomain) float64: for Gaussian noise (y - z) / noise_std; else the quantile
  // residuals of Dunn and Smyth (1996), Phi^{-1}(P(Y < y) + U P(Y = y)), U uniform, exact for counts too.
  virtual Tensor residuals(const Tensor& y, const Tensor& z, Noise& noise) const = 0;

  // The standard deviation of Gaussian noise that is the same in every entry
  virtual std::optional<double> noise_std() const { return std::nullopt; }
  // Of Gaussian noise that is not; else null
  virtual const Whitening* whitening() const { return nullptr; }
  // Of counts without any other noise; else null
  virtual const Counting* counting() const { return nullptr; }
};

using NoiseModelPtr = std::shared_ptr<const NoiseModel>;

// y = z + noise_std n, n ~ N(0, I). Throws Error(likelihood.noise_std) unless it is finite and >= 0. Without
// noise there is no density: what needs one throws Error.
NoiseModelPtr make_gaussian_noise(double noise_std);

// y = z + L n, Gaussian noise with a standard deviation > 0 for each entry (*codomain), or with a covariance
// L L^T (m, m) over the flattened codomain, symmetric and positive definite. m <= 8192.
NoiseModelPtr make_gaussian_noise(const Tensor& noise_std);
NoiseModelPtr make_correlated_noise(const Tensor& covariance, Shape codomain);

NoiseModelPtr make_poisson_noise(const Counting& counting);
// Counts read with an error: y = k + noise_std n, noise_std > 0 in counts. p(y | z) is the sum over k, as far
// as its terms are above 1e-16 of it; `gaussian`: N(y; rate, rate + noise_std^2) instead, which is another
// law at low counts.
NoiseModelPtr make_poisson_gaussian_noise(const Counting& counting, double noise_std, bool gaussian = false);

// p(y | z) = exp(-|y - z| / scale) / (2 scale), scale > 0; variance 2 scale^2
NoiseModelPtr make_laplace_noise(double scale);
// y = z + scale t, t Student's with freedom > 0 degrees of freedom; scale > 0
NoiseModelPtr make_student_noise(double freedom, double scale);

// One bit: y = 1 where z + scale n > threshold, else 0; n standard normal (probit) or logistic (logit)
enum class Link { logit, probit };
struct OneBit {
  Link link = Link::logit;
  double scale = 1;  // > 0
  double threshold = 0;
};
NoiseModelPtr make_bernoulli_noise(const OneBit& options);

}  // namespace tweedie
