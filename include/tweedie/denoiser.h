#pragma once
// The central abstraction. All of the code works in x_sigma = x + sigma n, n ~ N(0, I), where the posterior
// mean
//   D(x; sigma) = E[x_0 | x_0 + sigma n = x]
// gives the score by Tweedie's formula, grad log p_sigma(x) = (D(x; sigma) - x) / sigma^2, and the posterior
// covariance by its derivative, V = Cov[x_0 | x] = sigma^2 dD/dx (Efron 2011; algorithms in 0. Notation).

#include "tweedie/tensor.h"

#include <functional>

namespace tweedie {

// D at a point, and the map v -> (dD/dx)^T v there, both (B, *shape). The vjp may be called any number of
// times.
struct Linearised {
  Tensor mean;
  std::function<Tensor(const Tensor& v)> vjp;
};

// D, and where between its smallest and its largest value the variance of an ancestral step lies, both
// (B, *shape): log variance = range log(largest) + (1 - range) log(smallest) (Nichol and Dhariwal 2021, eq.
// 15). The largest is that of a VP path on x / data_std.
struct MeanAndRange {
  Tensor mean, range;
  double data_std = 1;
};

class Denoiser {
 public:
  virtual ~Denoiser() = default;

  // shape of one draw, without the batch axis
  virtual Shape shape() const = 0;

  // x: (B, *shape) float32 or float64; sigma: () or (B), finite and > 0, in the units of the data. Returns
  // (B, *shape) of x's dtype, outside autograd. Throws Error on a wrong shape, dtype or sigma. Safe to call
  // from several threads.
  Tensor mean(const Tensor& x, const Tensor& sigma) const;
  Tensor mean(const Tensor& x, double sigma) const;
  // Throws Error for a denoiser that has not learned the variance.
  MeanAndRange mean_and_range(const Tensor& x, double sigma) const;

 protected:
  // sigma arrives as () or (B, 1, ..., 1), ready to broadcast against x
  virtual Tensor do_mean(const Tensor& x, const Tensor& sigma) const = 0;
  virtual MeanAndRange do_mean_and_range(const Tensor& x, const Tensor& sigma) const;
  // By autograd through do_mean. A denoiser that knows its derivative, or wraps another one, overrides it.
  virtual Linearised do_linearise(const Tensor& x, const Tensor& sigma) const;

  friend Linearised linearise(const Denoiser&, const Tensor&, const Tensor&);
};

// Value and vjp from one evaluation, under the checks of mean(). The vjp runs on any one thread at a time.
Linearised linearise(const Denoiser& denoiser, const Tensor& x, const Tensor& sigma);
Linearised linearise(const Denoiser& denoiser, const Tensor& x, double sigma);

}  // namespace tweedie
