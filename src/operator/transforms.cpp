// The DCT by one real Fourier transform of the same length (Makhoul 1980): with v = x_0, x_2, ..., x_3, x_1
// and V its transform, sum_i x_i cos(pi k (2 i + 1) / (2 n)) is the real part of e^{-i pi k / (2 n)} V_k, and
// for n - k minus its imaginary part.

#include "operator/transforms.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

// cos and sin of pi k / (2 n), k = 0 .. n / 2
std::pair<Tensor, Tensor> turns(int64_t n, const Tensor& like) {
  const Tensor angle = at::arange(n / 2 + 1, at::kDouble) * (std::numbers::pi / (2 * static_cast<double>(n)));
  return {angle.cos().to(like.options()), angle.sin().to(like.options())};
}

// Makes the cosines orthonormal.
Tensor scales(int64_t n, const Tensor& like) {
  Tensor f = at::full({n}, std::sqrt(2 / static_cast<double>(n)), at::kDouble);
  f[0] = std::sqrt(1 / static_cast<double>(n));
  return f.to(like.options());
}

}  // namespace

Tensor dct(const Tensor& x) {
  const int64_t n = x.size(-1);
  if (n == 1) return x;
  const Tensor v = at::cat({x.slice(-1, 0, n, 2), x.slice(-1, 1, n, 2).flip({-1})}, -1);
  const Tensor f = at::view_as_real(at::fft_rfft(v));
  const Tensor re = f.select(-1, 0), im = f.select(-1, 1);
  const auto [c, s] = turns(n, x);
  const Tensor low = c * re + s * im, high = s * re - c * im;  // (c - i s) (re + i im): real, minus imaginary
  return at::cat({low, high.narrow(-1, 1, (n - 1) / 2).flip({-1})}, -1) * scales(n, x);
}

Tensor inverse_dct(const Tensor& x) {
  const int64_t n = x.size(-1);
  if (n == 1) return x;
  // V_k = (c + i s) (a - i b): a and b the sums of cosines at k and n - k, that at n being 0.
  const Tensor sums = x / scales(n, x);
  const Tensor a = sums.narrow(-1, 0, n / 2 + 1);
  const Tensor b = at::cat({at::zeros_like(a.narrow(-1, 0, 1)), sums.flip({-1}).narrow(-1, 0, n / 2)}, -1);
  const auto [c, s] = turns(n, x);
  const Tensor v = at::fft_irfft(at::view_as_complex(at::stack({c * a + s * b, s * a - c * b}, -1)), n);
  const int64_t evens = (n + 1) / 2;
  Tensor result = at::empty_like(v);
  result.slice(-1, 0, n, 2).copy_(v.narrow(-1, 0, evens));
  result.slice(-1, 1, n, 2).copy_(v.narrow(-1, evens, n - evens).flip({-1}));
  return result;
}

Tensor walsh_hadamard(const Tensor& x) {
  const int64_t n = x.size(-1);
  const Shape shape = x.sizes().vec();
  Tensor y = x.reshape({-1, n});
  for (int64_t half = 1; half < n; half *= 2) {
    const Tensor pairs = y.view({y.size(0), n / (2 * half), 2, half});
    const Tensor a = pairs.select(2, 0), b = pairs.select(2, 1);
    y = at::stack({a + b, a - b}, 2).view({y.size(0), n});
  }
  return (y / std::sqrt(static_cast<double>(n))).view(shape);
}

}  // namespace tweedie
