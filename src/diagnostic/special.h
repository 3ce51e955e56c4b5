#pragma once
// Distribution functions for tests of significance.

namespace tweedie {

double normal_cdf(double x);
// P(chi2_k <= x) and P(chi2_k > x), k > 0
double chi2_cdf(double x, double k);
double chi2_tail(double x, double k);
// Regularised incomplete beta function I_x(a, b), a, b > 0, 0 <= x <= 1
double incomplete_beta(double a, double b, double x);
// P(T_k > t), Student's t with k > 0 degrees of freedom
double student_t_tail(double t, double k);

}  // namespace tweedie
