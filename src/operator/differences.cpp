// Forward differences. A^T A is minus the Laplacian, which a cosine transform (the edge replicated) or a
// Fourier transform (circular) diagonalises: its eigenvalues are sums over the axes of 4 sin^2(pi k / (2 n))
// or 4 sin^2(pi k / n).
//   (A A^T + lambda I)^{-1} = (I - A (A^T A + lambda I)^{-1} A^T) / lambda,  A^+ = (A^T A)^+ A^T

#include "operator/linear.h"
#include "operator/transforms.h"
#include "tweedie/image_operators.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>

namespace tweedie {
namespace {

Shape with_axis(const Shape& domain) {
  return with_batch(domain.size() > 1 ? 2 : 1, domain);
}

// Of one axis, (n)
Tensor eigenvalues(int64_t n, Edge edge) {
  const double step = std::numbers::pi / static_cast<double>(edge == Edge::circular ? n : 2 * n);
  return 4 * (at::arange(n, at::kDouble) * step).sin().square();
}

class DifferencesOperator final : public FixedShape {
 public:
  DifferencesOperator(const Shape& domain, Edge edge)
      : FixedShape(domain, with_axis(domain)), edge_(edge), eigenvalues_(all_eigenvalues(domain, edge)) {}

 protected:
  double do_norm(double /*tolerance*/) const override {
    return std::sqrt(eigenvalues_.as(at::kDouble, at::kCPU).max().item<double>());
  }
  Tensor do_apply(const Tensor& x) const override {
    std::vector<Tensor> parts;
    if (is_image()) parts.push_back(difference(x, -2));
    parts.push_back(difference(x, -1));
    return at::stack(parts, 1);
  }
  Tensor do_adjoint(const Tensor& y) const override {
    if (!is_image()) return transposed_difference(y.select(1, 0), -1);
    return transposed_difference(y.select(1, 0), -2) + transposed_difference(y.select(1, 1), -1);
  }
  Tensor do_solve_normal(const Tensor& b, double lambda) const override {
    return filtered(b.to(at::kDouble), 1 / (eigenvalues_.as(at::kDouble, b.device()) + lambda))
        .to(b.scalar_type());
  }
  Tensor do_solve_gram(const Tensor& b, double lambda) const override {
    const Tensor wide = b.to(at::kDouble);
    const Tensor along = do_apply(do_solve_normal(do_adjoint(wide), lambda));
    return ((wide - along) / lambda).to(b.scalar_type());
  }
  Tensor do_pseudo_inverse(const Tensor& y) const override {
    const Tensor e = eigenvalues_.as(at::kDouble, y.device());
    const Tensor inverse = at::where(e.gt(0), e.reciprocal(), at::zeros_like(e));
    return filtered(do_adjoint(y.to(at::kDouble)), inverse).to(y.scalar_type());
  }

 private:
  bool is_image() const { return domain().size() > 1; }

  static Tensor all_eigenvalues(const Shape& domain, Edge edge) {
    const Tensor last = eigenvalues(domain.back(), edge);
    if (domain.size() == 1) return last;
    return eigenvalues(domain[domain.size() - 2], edge).unsqueeze(1) + last;
  }

  Tensor difference(const Tensor& x, int64_t axis) const {
    Tensor d = x.roll({-1}, {axis}) - x;
    if (edge_ == Edge::replicate) d.select(axis, -1).zero_();
    return d;
  }
  Tensor transposed_difference(const Tensor& y, int64_t axis) const {
    Tensor v = y;
    if (edge_ == Edge::replicate) {
      v = y.clone();
      v.select(axis, -1).zero_();
    }
    return v.roll({1}, {axis}) - v;
  }

  // The function of A^T A with these values on its eigenvectors.
  Tensor filtered(const Tensor& x, const Tensor& values) const {
    if (edge_ == Edge::replicate) {
      const auto columns = [&](const auto& transform, const Tensor& a) {
        return is_image() ? transform(a.transpose(-1, -2).contiguous()).transpose(-1, -2).contiguous() : a;
      };
      return columns(inverse_dct, inverse_dct(columns(dct, dct(x)) * values));
    }
    const Tensor half = values.narrow(-1, 0, values.size(-1) / 2 + 1).unsqueeze(-1);
    const auto product_of = [&](const Tensor& f) { return at::view_as_complex(at::view_as_real(f) * half); };
    if (!is_image()) return at::fft_irfft(product_of(at::fft_rfft(x)), domain().back());
    const Shape size{x.size(-2), x.size(-1)};
    return at::fft_irfft2(product_of(at::fft_rfft2(x)), size);
  }

  Edge edge_;
  Constant eigenvalues_;
};

}  // namespace

LinearOperatorPtr make_differences(Shape domain, Edge edge) {
  require_domain(domain, 1, "differences.domain");
  return std::make_shared<DifferencesOperator>(domain, edge);
}

}  // namespace tweedie
