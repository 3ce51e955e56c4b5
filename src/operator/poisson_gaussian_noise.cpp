// Counts read with an error, y = k + s n (Foi, Trimeche, Katkovnik, Egiazarian 2008):
//   p(y | rate) = sum_k Poisson(k; rate) N(y; k, s^2)
// The terms are log-concave in k. They are summed from the largest outwards; beyond a term t whose successor
// is r t with r < 1 what is left is at most t r / (1 - r), and the sum ends where that is below 1e-16 of it.
//   d log p / d rate = E[k | y] / rate - 1

#include "core/special.h"
#include "operator/counting_noise.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

const double log_root_2_pi = 0.5 * std::log(2 * std::numbers::pi);
constexpr double negligible = 1e-16;

class PoissonGaussianNoise final : public CountingNoise {
 public:
  PoissonGaussianNoise(const Counting& counting, double std) : CountingNoise(counting), std_(std) {}
  const char* kind() const override { return "poisson-gaussian"; }

 protected:
  double log_prob_of(double y, double z, int64_t i) const override {
    return sum(counts_of(y), rate(z, i)).log_density + log_unit();
  }
  InRate in_rate(double counts, double rate) const override {
    const Sum s = sum(counts, rate);
    const double ratio = rate > 0 ? s.mean / rate : std::exp((2 * counts - 1) / (2 * std_ * std_));
    return {s.log_density + log_unit(), ratio - 1};
  }
  double information_of(double counts) const override {
    return 1 / std::max(std::max(counts, 0.0) + std_ * std_, 1.0);
  }
  double draw(double z, int64_t i, double u, double n) const override {
    return y_of(poisson_quantile(u, rate(z, i)) + std_ * n);
  }
  // sum_k Poisson(k) Phi((y - k) / s), over the k that are worth it
  Split split(double y, double z, int64_t i) const override {
    const double counts = counts_of(y), r = rate(z, i);
    const double spread = 40 * std::sqrt(r + 1) + 40;
    Split s{0, 0, 0};
    double mass = std::exp(log_poisson(std::max(0.0, std::floor(r - spread)), r));
    for (double k = std::max(0.0, std::floor(r - spread)); k <= r + spread; ++k) {
      s.below += mass * normal_cdf((counts - k) / std_);
      s.above += mass * normal_cdf((k - counts) / std_);
      mass = mass > 1e-290 ? mass * r / (k + 1) : std::exp(log_poisson(k + 1, r));
    }
    return s;
  }

 private:
  struct Sum {
    double log_density, mean;  // of counts; E[k | y]
  };

  // Of p over one unit of y
  double log_unit() const { return scaled() ? std::log(gain()) : 0; }

  Sum sum(double y, double rate) const {
    const double s2 = std_ * std_;
    const double k0 = rate > 0 ? std::max(0.0, std::round(largest(y, rate))) : 0;
    const double first =
        log_poisson(k0, rate) - (y - k0) * (y - k0) / (2 * s2) - std::log(std_) - log_root_2_pi;
    if (rate <= 0) return {first, 0};
    double total = 1, of_k = k0;
    // Of term k + 1 to term k; the next ratio is (k + 1) / (k + 2) exp(-1 / s^2) times as large
    const auto ratio = [&](double k) { return rate / (k + 1) * std::exp((2 * (y - k) - 1) / (2 * s2)); };
    const double shrink = std::exp(-1 / s2);
    const auto finished = [&](double term, double r) {
      return r < 1 && term * r / (1 - r) < negligible * total;
    };
    for (double k = k0, term = 1, r = ratio(k0); !finished(term, r); r *= k / (k + 1) * shrink) {
      term *= r;
      ++k;
      total += term;
      of_k += k * term;
    }
    double term = 1, r = k0 > 0 ? 1 / ratio(k0 - 1) : 0;
    for (double k = k0; k > 0 && !finished(term, r); r *= k / (k + 1) * shrink) {
      term *= r;
      --k;
      total += term;
      of_k += k * term;
    }
    return {first + std::log(total), of_k / total};
  }

  // The k whose term is largest: log(rate / k) = (k - y) / s^2, for u = log k by Newton's method from above,
  // where it goes down to the root of a convex function.
  double largest(double y, double rate) const {
    const double s2 = std_ * std_, target = y + s2 * std::log(rate);
    double u = std::log(std::max({rate, y, 1.0}));
    for (int i = 0; i < 100; ++i) {
      const double step = (std::exp(u) + s2 * u - target) / (std::exp(u) + s2);
      u -= step;
      if (std::abs(step) < 1e-9 || u < -40) break;
    }
    return std::exp(u);
  }

  double std_;
};

// y ~ N(rate, rate + s^2)
class ApproximateNoise final : public CountingNoise {
 public:
  ApproximateNoise(const Counting& counting, double std) : CountingNoise(counting), variance_(std * std) {}
  const char* kind() const override { return "poisson-gaussian"; }

 protected:
  double log_prob_of(double y, double z, int64_t i) const override {
    return in_rate(counts_of(y), rate(z, i)).value;
  }
  InRate in_rate(double counts, double rate) const override {
    const double v = rate + variance_, r = counts - rate;
    return {-0.5 * (std::log(v) + r * r / v) - log_root_2_pi + (scaled() ? std::log(gain()) : 0),
            (-0.5 + r + r * r / (2 * v)) / v};
  }
  double information_of(double counts) const override {
    return 1 / std::max(std::max(counts, 0.0) + variance_, 1.0);
  }
  double draw(double z, int64_t i, double, double n) const override {
    const double r = rate(z, i);
    return y_of(r + std::sqrt(r + variance_) * n);
  }
  Split split(double y, double z, int64_t i) const override {
    const double r = rate(z, i), t = (counts_of(y) - r) / std::sqrt(r + variance_);
    return {normal_cdf(t), 0, normal_cdf(-t)};
  }

 private:
  double variance_;
};

}  // namespace

NoiseModelPtr make_poisson_gaussian_noise(const Counting& counting, double noise_std, bool gaussian) {
  require_scale(noise_std, "noise.std");
  if (gaussian) return std::make_shared<ApproximateNoise>(counting, noise_std);
  return std::make_shared<PoissonGaussianNoise>(counting, noise_std);
}

}  // namespace tweedie
