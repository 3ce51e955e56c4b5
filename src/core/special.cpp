#include "core/special.h"

#include "tweedie/tensor.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace tweedie {

namespace {

Tensor scalar(double x) {
  return at::scalar_tensor(x, at::kDouble);
}

}  // namespace

double normal_cdf(double x) {
  return 0.5 * std::erfc(-x / std::sqrt(2.0));
}

// Below -30 by the asymptotic series of the tail.
double log_normal_cdf(double x) {
  if (x > -30) return std::log(normal_cdf(x));
  const double u = 1 / (x * x);
  return -0.5 * x * x - std::log(-x) - 0.5 * std::log(2 * std::numbers::pi) +
         std::log1p(-u * (1 - 3 * u * (1 - 5 * u)));
}

// Newton's method on log Phi(x) = log p, which is concave and increasing, for the lower half.
double normal_quantile(double p) {
  if (p <= 0) return -std::numeric_limits<double>::infinity();
  if (p >= 1) return std::numeric_limits<double>::infinity();
  if (p > 0.5) return -normal_quantile(1 - p);
  const double target = std::log(p);
  double x = p > 0.1 ? (p - 0.5) * std::sqrt(2 * std::numbers::pi) : -std::sqrt(-2 * target);
  for (int i = 0; i < 50; ++i) {
    const double log_cdf = log_normal_cdf(x);
    const double slope = std::exp(-0.5 * x * x - 0.5 * std::log(2 * std::numbers::pi) - log_cdf);
    const double step = (target - log_cdf) / slope;
    x += step;
    if (std::abs(step) < 1e-14 * std::max(1.0, std::abs(x))) break;
  }
  return x;
}

double chi2_cdf(double x, double k) {
  return x <= 0 ? 0 : at::special_gammainc(scalar(k / 2), scalar(x / 2)).item<double>();
}

double chi2_tail(double x, double k) {
  return x <= 0 ? 1 : at::special_gammaincc(scalar(k / 2), scalar(x / 2)).item<double>();
}

// By bisection in log x, on the smaller of the two tails
double chi2_quantile(double p, double k) {
  double low = -700, high = std::log(k + 50 * std::sqrt(2 * k) + 1500);
  for (int i = 0; i < 70; ++i) {
    const double middle = (low + high) / 2, x = std::exp(middle);
    const bool below = p < 0.5 ? chi2_cdf(x, k) < p : chi2_tail(x, k) > 1 - p;
    (below ? low : high) = middle;
  }
  return std::exp((low + high) / 2);
}

// The continued fraction 1/(1 + d_1/(1 + d_2/(1 + ...))) (Abramowitz and Stegun 26.5.8), run forwards by the
// modified Lentz method; it converges fast for x < (a + 1)/(a + b + 2), and the reflection covers the rest.
double incomplete_beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incomplete_beta(b, a, 1 - x);
  const double front =
      std::exp(a * std::log(x) + b * std::log1p(-x) + std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b)) /
      a;
  const auto away_from_zero = [](double v) { return std::abs(v) < 1e-300 ? 1e-300 : v; };
  double numerator = 1, denominator = INFINITY, value = 1;
  for (int n = 1; n <= 1000; ++n) {
    const double k = n / 2;
    const double d = n % 2 == 0 ? k * (b - k) * x / ((a + 2 * k - 1) * (a + 2 * k))
                                : -(a + k) * (a + b + k) * x / ((a + 2 * k) * (a + 2 * k + 1));
    numerator = away_from_zero(1 + d / numerator);
    denominator = away_from_zero(1 + d / denominator);
    const double factor = numerator / denominator;
    value *= factor;
    if (std::abs(factor - 1) < 4 * std::numeric_limits<double>::epsilon()) break;
  }
  return front / value;
}

// By bisection: I_x is monotone, and 60 halvings are all that a double has.
double beta_quantile(double a, double b, double p) {
  double low = 0, high = 1;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (incomplete_beta(a, b, middle) < p ? low : high) = middle;
  }
  return (low + high) / 2;
}

double student_t_tail(double t, double k) {
  if (std::isinf(t)) return t > 0 ? 0 : 1;
  const double tail = 0.5 * incomplete_beta(k / 2, 0.5, k / (k + t * t));
  return t >= 0 ? tail : 1 - tail;
}

double student_t_quantile(double p, double k) {
  if (p > 0.5) return -student_t_quantile(1 - p, k);
  const double share = beta_quantile(k / 2, 0.5, 2 * p);  // k / (k + t^2)
  return -std::sqrt(k * (1 - share) / share);
}

double f_tail(double f, double k, double l) {
  if (std::isinf(f)) return f > 0 ? 0 : 1;
  return f <= 0 ? 1 : incomplete_beta(l / 2, k / 2, l / (l + k * f));
}

// P(X >= k) = I_p(k, n - k + 1)
double binomial_p_value(double k, double n, double p) {
  const double at_least = k <= 0 ? 1 : incomplete_beta(k, n - k + 1, p);
  const double at_most = k >= n ? 1 : 1 - incomplete_beta(k + 1, n - k, p);
  return std::min(1.0, 2 * std::min(at_least, at_most));
}

// 2 sum_j (-1)^(j - 1) exp(-2 j^2 x^2); near 0, where that series alternates for long, it is 1 to all digits.
double kolmogorov_p_value(double d, double n) {
  const double x = (std::sqrt(n) + 0.12 + 0.11 / std::sqrt(n)) * d;
  if (x < 0.2) return 1;
  double sum = 0;
  for (int j = 1; j <= 50; ++j) sum += (j % 2 == 1 ? 2 : -2) * std::exp(-2.0 * j * j * x * x);
  return std::min(1.0, std::max(0.0, sum));
}

}  // namespace tweedie
