#pragma once
// Problems whose posterior is known: x ~ N(0, S), y = A x + noise_std w. Exact draws, and wrong ones to be
// caught.

#include "tweedie/noise.h"
#include "tweedie/tensor.h"

#include <ATen/ATen.h>

#include <cmath>

namespace tweedie::test {

struct Simulated {
  Tensor x;      // (cases, d)
  Tensor y;      // (cases, m)
  Tensor draws;  // (n, cases, d)
  Tensor ax;     // (n, cases, m)
  Tensor chi2;   // (n, cases)
};

struct GaussianProblem {
  GaussianProblem(const Tensor& s, Tensor operator_, double std) : A(std::move(operator_)), noise_std(std) {
    const Tensor eye = at::eye(A.size(0), at::kDouble);
    root = at::linalg_cholesky(s + 1e-12 * at::eye(s.size(0), at::kDouble));
    gain = at::linalg_solve(A.matmul(s).matmul(A.t()) + std * std * eye, A.matmul(s)).t();
    posterior = s - gain.matmul(A).matmul(s);
    posterior_root = at::linalg_cholesky(posterior + 1e-12 * at::eye(s.size(0), at::kDouble));
    prior_of_ax = A.matmul(s).matmul(A.t()).diagonal();
    posterior_of_ax = A.matmul(posterior).matmul(A.t()).diagonal();
  }

  // Draws mean_scale * mean + std_scale * (exact deviation); 1 and 1 are exact.
  Simulated simulate(uint64_t seed, int64_t cases, int64_t n, double mean_scale = 1,
                     double std_scale = 1) const {
    Noise noise(seed);
    const int64_t m = A.size(0), d = A.size(1);
    Simulated s;
    s.x = noise.normal({cases, d}, at::kDouble).matmul(root.t());
    s.y = s.x.matmul(A.t()) + noise_std * noise.normal({cases, m}, at::kDouble);
    s.draws = mean_scale * s.y.matmul(gain.t()) +
              std_scale * noise.normal({n, cases, d}, at::kDouble).matmul(posterior_root.t());
    s.ax = s.draws.matmul(A.t());
    s.chi2 = ((s.y - s.ax) / noise_std).square().mean(2);
    return s;
  }

  Tensor A;
  double noise_std;
  Tensor root, gain, posterior, posterior_root;
  Tensor prior_of_ax, posterior_of_ax;  // (m)
};

// Correlation rho^|i - j|
inline Tensor chain(int64_t d, double rho) {
  const Tensor i = at::arange(d, at::kDouble);
  return (std::log(rho) * (i.unsqueeze(1) - i).abs()).exp();
}

// m coordinates chosen evenly from d
inline Tensor every(int64_t m, int64_t d) {
  return at::eye(d, at::kDouble).index_select(0, at::arange(m, at::kLong) * (d / m));
}

}  // namespace tweedie::test
