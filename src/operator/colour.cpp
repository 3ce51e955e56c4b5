// y = M x at every pixel, over the channels: A = M (x) I, so that A's decomposition is M's.

#include "core/rows.h"
#include "operator/linear.h"
#include "tweedie/image_operators.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace tweedie {
namespace {

Shape with_channels(Shape domain, int64_t channels) {
  domain[0] = channels;
  return domain;
}

class ColourOperator final : public FixedShape {
 public:
  ColourOperator(const Shape& domain, const Tensor& matrix)
      : FixedShape(domain, with_channels(domain, matrix.size(0))), f_(thin_svd(matrix)) {
    const auto inverse = [&](double lambda) { return f_.s / (f_.s.square() + lambda); };
    matrix_ = matrix;
    inverse_ = f_.v.mul(inverse(0)).matmul(f_.u.t());
  }

  std::optional<Svd> svd() const override {
    const int64_t m = product(codomain()), d = product(domain()), pixels = d / domain()[0];
    if (m > svd_limit / d || f_.s.numel() == 0) return std::nullopt;
    const Tensor eye = at::eye(pixels, at::kDouble);
    return Svd{at::kron(f_.u.clone(at::MemoryFormat::Contiguous), eye), f_.s.repeat_interleave(pixels),
               at::kron(f_.v.clone(at::MemoryFormat::Contiguous), eye)};
  }

 protected:
  double do_norm(double /*tolerance*/) const override {
    return f_.s.numel() == 0 ? 0 : f_.s[0].item<double>();
  }
  Tensor do_apply(const Tensor& x) const override { return mixed(x, matrix_); }
  Tensor do_adjoint(const Tensor& y) const override { return mixed(y, matrix_.t()); }
  Tensor do_solve_normal(const Tensor& b, double lambda) const override {
    return mixed(
        b, at::linalg_inv(matrix_.t().matmul(matrix_) + lambda * at::eye(matrix_.size(1), at::kDouble)));
  }
  Tensor do_solve_gram(const Tensor& b, double lambda) const override {
    return mixed(
        b, at::linalg_inv(matrix_.matmul(matrix_.t()) + lambda * at::eye(matrix_.size(0), at::kDouble)));
  }
  Tensor do_pseudo_inverse(const Tensor& y) const override { return mixed(y, inverse_); }

 private:
  // m (k, C) on x (B, C, ...), summed channel by channel.
  static Tensor mixed(const Tensor& x, const Tensor& m) {
    const auto weight = m.accessor<double, 2>();
    std::vector<Tensor> channels;
    for (int64_t i = 0; i < m.size(0); ++i) {
      Tensor sum = x.select(1, 0) * weight[i][0];
      for (int64_t j = 1; j < m.size(1); ++j) sum = sum + x.select(1, j) * weight[i][j];
      channels.push_back(std::move(sum));
    }
    return at::stack(channels, 1);
  }

  Svd f_;
  Tensor matrix_, inverse_;  // (k, C) and its pseudoinverse, float64
};

}  // namespace

LinearOperatorPtr make_colour(Shape domain, const Tensor& matrix) {
  require_domain(domain, 1, "colour.domain");
  if (matrix.dim() != 2 || matrix.size(0) < 1 || matrix.size(1) != domain[0]) {
    throw Error("colour.matrix",
                fmt::format("shape {}, but (k, {}) is needed for the {} channels of x {}",
                            to_string(matrix.sizes()), domain[0], domain[0], to_string(domain)));
  }
  constexpr int64_t most = 512;
  if (matrix.size(0) > most || matrix.size(1) > most) {
    throw Error("colour.matrix",
                fmt::format("shape {}, but at most {} channels are meant", to_string(matrix.sizes()), most));
  }
  require_real(matrix, "colour.matrix");
  require_finite(matrix, "colour.matrix");
  return std::make_shared<ColourOperator>(domain, matrix.detach().to(at::kCPU, at::kDouble).contiguous());
}

}  // namespace tweedie
