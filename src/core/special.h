#pragma once
// Distribution functions and their inverses.

namespace tweedie {

double normal_cdf(double x);
double log_normal_cdf(double x);   // without underflow
double normal_quantile(double p);  // 0 <= p <= 1
// P(chi2_k <= x) and P(chi2_k > x), k > 0
double chi2_cdf(double x, double k);
double chi2_tail(double x, double k);
// x with chi2_cdf(x, k) = p, 0 < p < 1
double chi2_quantile(double p, double k);
// Regularised incomplete beta function I_x(a, b), a, b > 0, 0 <= x <= 1
double incomplete_beta(double a, double b, double x);
// x with I_x(a, b) = p, 0 <= p <= 1
double beta_quantile(double a, double b, double p);
// P(T_k > t), Student's t with k > 0 degrees of freedom
double student_t_tail(double t, double k);
// t with P(T_k <= t) = p
double student_t_quantile(double p, double k);
// P(F > f) with k and l > 0 degrees of freedom
double f_tail(double f, double k, double l);
// Two-sided p-value of k successes in n trials of probability p in [0, 1]: twice the smaller tail, at most 1
double binomial_p_value(double k, double n, double p);
// P(sup |F_n - F| > d) for the empirical distribution function of n draws of a continuous law F: Kolmogorov's
// limit at (sqrt n + 0.12 + 0.11 / sqrt n) d (Stephens 1970), good from n = 5
double kolmogorov_p_value(double d, double n);

}  // namespace tweedie
