// The orthonormal wavelet transform (core/wavelet.h) as an operator: A A^T = A^T A = I.

#include "core/wavelet.h"
#include "operator/tight.h"
#include "tweedie/image_operators.h"

#include <fmt/format.h>

namespace tweedie {
namespace {

class WaveletOperator final : public TightOperator {
 public:
  WaveletOperator(const Shape& domain, Wavelet wavelet, int64_t levels)
      : TightOperator(domain, domain, 1), transform_(domain, vanishing_moments(wavelet), levels) {}

 protected:
  Tensor do_apply(const Tensor& x) const override { return transform_.forward(x); }
  Tensor do_adjoint(const Tensor& y) const override { return transform_.inverse(y); }

 private:
  WaveletTransform transform_;
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
