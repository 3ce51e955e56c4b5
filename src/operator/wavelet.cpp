// The orthonormal wavelet transform with periodic boundary (Daubechies, Comm. Pure Appl. Math. 41, 1988;
// Mallat 1989). One step on an axis: low_i = sum_k h_k x_{2 i + k}, high_i = sum_k g_k x_{2 i + k}, g_k =
// (-1)^k h_{L - 1 - k}; the next step goes on with the low ones. A A^T = A^T A = I.

#include "operator/tight.h"
#include "tweedie/image_operators.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {
namespace {

std::vector<double> scaling_filter(Wavelet wavelet) {
  const double r2 = std::sqrt(2.0), r3 = std::sqrt(3.0), r10 = std::sqrt(10.0), r5 = std::sqrt(5 + 2 * r10);
  switch (wavelet) {
    case Wavelet::haar:
      return {1 / r2, 1 / r2};
    case Wavelet::db2:
      return {(1 + r3) / (4 * r2), (3 + r3) / (4 * r2), (3 - r3) / (4 * r2), (1 - r3) / (4 * r2)};
    case Wavelet::db3:
      return {(1 + r10 + r5) / (16 * r2),          (5 + r10 + 3 * r5) / (16 * r2),
              (10 - 2 * r10 + 2 * r5) / (16 * r2), (10 - 2 * r10 - 2 * r5) / (16 * r2),
              (5 + r10 - 3 * r5) / (16 * r2),      (1 + r10 - r5) / (16 * r2)};
    case Wavelet::db4:
      break;
  }
  return {2.303778133088965008632911830440708500e-01,  7.148465705529156470899219552739926037e-01,
          6.308807679298589078817163383006152202e-01,  -2.798376941685985421141374718007538541e-02,
          -1.870348117190930840795706727890814196e-01, 3.084138183556076362721936253495905017e-02,
          3.288301166688519973540751354924438866e-02,  -1.059740178506903210488320852402722918e-02};
}

class WaveletOperator final : public TightOperator {
 public:
  WaveletOperator(const Shape& domain, Wavelet wavelet, int64_t levels)
      : TightOperator(domain, domain, 1), h_(scaling_filter(wavelet)), levels_(levels) {
    for (size_t k = 0; k < h_.size(); ++k) g_.push_back((k % 2 == 0 ? 1 : -1) * h_[h_.size() - 1 - k]);
  }

 protected:
  Tensor do_apply(const Tensor& x) const override {
    Tensor y = x.clone();
    for (int64_t level = 0; level < levels_; ++level) {
      Tensor coarse = corner(y, level);
      Tensor next = analysed(coarse, -1);
      if (is_image()) next = analysed(next, -2);
      coarse.copy_(next);
    }
    return y;
  }
  Tensor do_adjoint(const Tensor& y) const override {
    Tensor x = y.clone();
    for (int64_t level = levels_; level-- > 0;) {
      Tensor coarse = corner(x, level);
      Tensor next = is_image() ? synthesised(coarse, -2) : coarse;
      coarse.copy_(synthesised(next, -1));
    }
    return x;
  }

 private:
  bool is_image() const { return domain().size() > 1; }

  // What `level` steps leave to be transformed.
  Tensor corner(const Tensor& y, int64_t level) const {
    const Tensor narrow = y.narrow(-1, 0, y.size(-1) >> level);
    return is_image() ? narrow.narrow(-2, 0, y.size(-2) >> level) : narrow;
  }

  Tensor analysed(const Tensor& x, int64_t axis) const {
    const int64_t n = x.size(axis);
    const Tensor even = x.slice(axis, 0, n, 2), odd = x.slice(axis, 1, n, 2);
    const auto filtered = [&](const std::vector<double>& f) {
      Tensor sum = f[0] * even + f[1] * odd;
      for (size_t k = 2; k < f.size(); k += 2) {
        const auto shift = -static_cast<int64_t>(k / 2);
        sum = sum + f[k] * even.roll({shift}, {axis}) + f[k + 1] * odd.roll({shift}, {axis});
      }
      return sum;
    };
    return at::cat({filtered(h_), filtered(g_)}, axis);
  }

  Tensor synthesised(const Tensor& y, int64_t axis) const {
    const int64_t half = y.size(axis) / 2;
    const Tensor low = y.narrow(axis, 0, half), high = y.narrow(axis, half, half);
    const auto at_parity = [&](size_t parity) {
      Tensor sum = h_[parity] * low + g_[parity] * high;
      for (size_t k = 2; k < h_.size(); k += 2) {
        const auto shift = static_cast<int64_t>(k / 2);
        sum = sum + h_[k + parity] * low.roll({shift}, {axis}) + g_[k + parity] * high.roll({shift}, {axis});
      }
      return sum;
    };
    Tensor x = at::empty(y.sizes(), y.options());
    x.slice(axis, 0, 2 * half, 2).copy_(at_parity(0));
    x.slice(axis, 1, 2 * half, 2).copy_(at_parity(1));
    return x;
  }

  std::vector<double> h_, g_;
  int64_t levels_;
};

}  // namespace

LinearOperatorPtr make_wavelet(Shape domain, Wavelet wavelet, int64_t levels) {
  require_domain(domain, 1, "wavelet.domain");
  if (levels < 1 || levels > 30) {
    throw Error("wavelet.levels", fmt::format("{}, but 1 to 30 is needed", levels));
  }
  const size_t axes = std::min<size_t>(domain.size(), 2);
  for (size_t axis = domain.size() - axes; axis < domain.size(); ++axis) {
    if (domain[axis] % (int64_t{1} << levels) != 0) {
      throw Error("wavelet.levels",
                  fmt::format("{}, but 2^{} does not divide the axis of {}", levels, levels, domain[axis]));
    }
  }
  return std::make_shared<WaveletOperator>(domain, wavelet, levels);
}

}  // namespace tweedie
