#include "diagnostic/special.h"

#include "tweedie/tensor.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace tweedie {

namespace {

Tensor scalar(double x) {
  return at::scalar_tensor(x, at::kDouble);
}

}  // namespace

double normal_cdf(double x) {
  return 0.5 * std::erfc(-x / std::sqrt(2.0));
}

double chi2_cdf(double x, double k) {
  return x <= 0 ? 0 : at::special_gammainc(scalar(k / 2), scalar(x / 2)).item<double>();
}

double chi2_tail(double x, double k) {
  return x <= 0 ? 1 : at::special_gammaincc(scalar(k / 2), scalar(x / 2)).item<double>();
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
