#pragma once
// Orthonormal periodic wavelet transforms (Mallat 1989) with Daubechies' filters of the shortest support
// (Daubechies 1992, table 6.1). One level takes a signal of even length n to n / 2 averages and n / 2
// details,
//   low[i] = sum_k h[k] x[2 i + k],   high[i] = sum_k g[k] x[2 i + k],   g[k] = (-1)^k h[L - 1 - k],
// indices modulo n; an image by rows and columns. The next level does the same to the averages.

#include "tweedie/tensor.h"

namespace tweedie {

// h, of 2 `moments` numbers; moments: 1 (Haar) to 4
std::vector<double> daubechies(int moments);

class WaveletTransform {
 public:
  // Over the last two axes of the domain, or the only one. levels: 0 means as many as there are up to 4, on
  // axes at least as long as the filter. Throws Error(method.levels) where an axis can't be halved so often.
  WaveletTransform(const Shape& domain, int moments, int64_t levels);

  // x: (B, *domain) -> coefficients of the same shape: averages of the last level in the corner of the first
  // indices, details around them, coarse to fine
  Tensor forward(const Tensor& x) const;
  Tensor inverse(const Tensor& coefficients) const;

  // The view of (B, *domain) that holds the averages
  Tensor averages(const Tensor& coefficients) const;
  int64_t levels() const { return levels_; }

 private:
  Tensor block(const Tensor& x, int64_t level) const;

  std::vector<double> low_, high_;
  int64_t axes_, levels_ = 0;
  Shape sides_;  // of the transformed axes
};

}  // namespace tweedie
