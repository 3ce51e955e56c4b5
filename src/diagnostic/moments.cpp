// Errors of mean and covariance, beside what they would be for finite sets of one law:
//   E|mean - m|^2 = tr C / n,    E|Cov - C|_F^2 = (E|x - m|^4 - |C|_F^2) / n  to first order.

#include "tweedie/metrics.h"

#include "core/shape.h"
#include "diagnostic/samples.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

// <A^T A, B^T B>_F = |A B^T|_F^2: no (d, d) matrix where rows are long and few
double square_between(const Tensor& a, const Tensor& b) {
  return a.matmul(b.t()).square().sum().item<double>();
}

double relative_to(double scale, double error) {
  return error == 0 ? 0 : error / scale;
}

}  // namespace

MomentError mean_error(const SampleSet& a, const SampleSet& b) {
  const auto [x, y] = rows_of(a, b, "mean_error", 2);
  const Spread s = spread_of(x), t = spread_of(y);
  const double absolute = (s.mean - t.mean).norm().item<double>();
  return {absolute, relative_to(std::sqrt(t.trace), absolute), std::sqrt(s.trace / x.ess + t.trace / y.ess)};
}

MomentError covariance_error(const SampleSet& a, const SampleSet& b) {
  const auto [x, y] = rows_of(a, b, "covariance_error", 2);
  const Spread s = spread_of(x), t = spread_of(y);
  double difference, square_a, square_b;  // squared Frobenius norms
  if (x.d() <= x.n() + y.n()) {
    const Tensor c = s.deviation.t().matmul(s.deviation), e = t.deviation.t().matmul(t.deviation);
    difference = (c - e).square().sum().item<double>();
    square_a = c.square().sum().item<double>();
    square_b = e.square().sum().item<double>();
  } else {
    square_a = square_between(s.deviation, s.deviation);
    square_b = square_between(t.deviation, t.deviation);
    difference = std::max(0.0, square_a + square_b - 2 * square_between(s.deviation, t.deviation));
  }
  const double variance =
      std::max(0.0, s.fourth_moment - square_a) / x.ess + std::max(0.0, t.fourth_moment - square_b) / y.ess;
  const double absolute = std::sqrt(difference);
  return {absolute, relative_to(std::sqrt(square_b), absolute), std::sqrt(variance)};
}

}  // namespace tweedie
