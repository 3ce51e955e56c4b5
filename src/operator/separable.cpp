// y = L x R^T. With L = U_L S_L V_L^T and R alike, the singular values are the products s_i t_j and
//   (A^T A + lambda I)^{-1} b = V_L (V_L^T b V_R / (s_i^2 t_j^2 + lambda)) V_R^T + (b - V_L V_L^T b V_R
//   V_R^T) / lambda.

#include "core/rows.h"
#include "operator/linear.h"
#include "tweedie/image_operators.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {
namespace {

Shape with_size(Shape domain, int64_t height, int64_t width) {
  domain[domain.size() - 2] = height;
  domain.back() = width;
  return domain;
}

// left^T x right on each image of x (n, height, width): left (height, h), right (width, w) -> (n, h, w)
Tensor between(const Tensor& x, const Tensor& left, const Tensor& right) {
  const int64_t n = x.size(0), height = x.size(1), h = left.size(1), w = right.size(1);
  const Tensor wide = row_matmul(x.reshape({n * height, x.size(2)}), right).view({n, height, w});
  const Tensor columns = wide.transpose(1, 2).reshape({n * w, height});
  return row_matmul(columns, left).view({n, w, h}).transpose(1, 2).contiguous();
}

// A factor, its transpose and its decomposition.
struct Factor {
  explicit Factor(const Tensor& m)
      : forward(m.t().contiguous()),
        adjoint(m),
        svd(thin_svd(m)),
        u(svd.u),
        v(svd.v),
        ut(svd.u.t().contiguous()),
        vt(svd.v.t().contiguous()) {}
  Constant forward, adjoint;
  Svd svd;
  Constant u, v, ut, vt;
};

class SeparableOperator final : public FixedShape {
 public:
  SeparableOperator(const Shape& domain, const Tensor& left, const Tensor& right)
      : FixedShape(domain, with_size(domain, left.size(0), right.size(0))),
        left_(left),
        right_(right),
        s_(left_.svd.s.outer(right_.svd.s)) {}

  std::optional<Svd> svd() const override {
    const int64_t m = product(codomain()), d = product(domain()), channels = d / (height() * width());
    if (m > svd_limit / d || s_.numel() == 0) return std::nullopt;
    const Tensor eye = at::eye(channels, at::kDouble);
    const auto kron3 = [&](const Tensor& a, const Tensor& b) {
      return at::kron(eye,
                      at::kron(a.clone(at::MemoryFormat::Contiguous), b.clone(at::MemoryFormat::Contiguous)));
    };
    const auto [s, order] = s_.flatten().repeat({channels}).sort(0, /*descending=*/true);
    const Tensor u = kron3(left_.svd.u, right_.svd.u), v = kron3(left_.svd.v, right_.svd.v);
    // Products of singular values may be zero to rounding though neither is.
    const int64_t rank = s.gt(rank_tolerance(std::max(m, d), at::kDouble) * s[0]).sum().item<int64_t>();
    const Tensor kept = order.narrow(0, 0, rank);
    return Svd{u.index_select(1, kept), s.narrow(0, 0, rank), v.index_select(1, kept)};
  }

 protected:
  double do_norm(double /*tolerance*/) const override {
    return s_.numel() == 0 ? 0 : s_[0][0].item<double>();
  }
  Tensor do_apply(const Tensor& x) const override {
    return images(between(flat(x), left_.forward.like(x), right_.forward.like(x)), codomain());
  }
  Tensor do_adjoint(const Tensor& y) const override {
    return images(between(flat(y), left_.adjoint.like(y), right_.adjoint.like(y)), domain());
  }
  Tensor do_solve_normal(const Tensor& b, double lambda) const override {
    return solve(b, lambda, left_.v, left_.vt, right_.v, right_.vt);
  }
  Tensor do_solve_gram(const Tensor& b, double lambda) const override {
    return solve(b, lambda, left_.u, left_.ut, right_.u, right_.ut);
  }
  Tensor do_pseudo_inverse(const Tensor& y) const override {
    if (s_.numel() == 0) return at::zeros(with_batch(y.size(0), domain()), y.options());
    const Tensor wide = flat(y).to(at::kDouble), s = s_.to(y.device());
    const int64_t size = std::max(product(codomain()), product(domain()));
    const Tensor kept = s.gt(rank_tolerance(size, y.scalar_type()) * s.max());
    const Tensor inverse = at::where(kept, s.reciprocal(), at::zeros_like(s));
    const Tensor along = between(wide, left_.u.like(wide), right_.u.like(wide));
    return images(between(along * inverse, left_.vt.like(wide), right_.vt.like(wide)), domain())
        .to(y.scalar_type());
  }

 private:
  Tensor solve(const Tensor& b, double lambda, const Constant& p, const Constant& pt, const Constant& q,
               const Constant& qt) const {
    const Tensor wide = flat(b).to(at::kDouble), s = s_.to(b.device());
    const auto back = [&](const Tensor& c) { return between(c, pt.like(wide), qt.like(wide)); };
    const Tensor along = between(wide, p.like(wide), q.like(wide));
    Tensor x = back(along / (s.square() + lambda));
    // A square basis leaves no rest, only rounding that lambda would magnify.
    if (s.size(0) < wide.size(1) || s.size(1) < wide.size(2)) x = x + (wide - back(along)) / lambda;
    return images(x, Shape(b.sizes().begin() + 1, b.sizes().end())).to(b.scalar_type());
  }

  int64_t height() const { return domain()[domain().size() - 2]; }
  int64_t width() const { return domain().back(); }
  static Tensor flat(const Tensor& x) { return x.reshape({-1, x.size(-2), x.size(-1)}); }
  static Tensor images(const Tensor& x, const Shape& shape) {
    return x.view(with_batch(x.numel() / product(shape), shape));
  }

  Factor left_, right_;
  Tensor s_;  // (rank of left, rank of right)
};

// Keys's cubic, a = -1/2
double cubic(double t) {
  t = std::abs(t);
  if (t <= 1) return (1.5 * t - 2.5) * t * t + 1;
  if (t < 2) return ((-0.5 * t + 2.5) * t - 4) * t + 2;
  return 0;
}

// (size / factor, size)
Tensor bicubic_matrix(int64_t size, int64_t factor) {
  const int64_t rows = size / factor;
  const auto f = static_cast<double>(factor);
  Tensor r = at::zeros({rows, size}, at::kDouble);
  auto out = r.accessor<double, 2>();
  for (int64_t i = 0; i < rows; ++i) {
    const double u = (static_cast<double>(i) + 0.5) * f - 0.5;
    const auto first = static_cast<int64_t>(std::floor(u - 2 * f)),
               last = static_cast<int64_t>(std::ceil(u + 2 * f));
    for (int64_t j = first; j <= last; ++j) {
      const int64_t turn = ((j % (2 * size)) + 2 * size) % (2 * size);  // x_0 .. x_{n-1}, x_{n-1} .. x_0
      out[i][turn < size ? turn : 2 * size - 1 - turn] += cubic((u - static_cast<double>(j)) / f);
    }
  }
  return r / r.sum(1, /*keepdim=*/true);
}

}  // namespace

LinearOperatorPtr make_separable(Shape domain, const Tensor& left, const Tensor& right) {
  require_domain(domain, 2, "separable.domain");
  const auto checked = [](const Tensor& m, int64_t size, const char* place) {
    if (m.dim() != 2 || m.size(0) < 1 || m.size(1) != size) {
      throw Error(place, fmt::format("shape {}, but (n, {}) is needed", to_string(m.sizes()), size));
    }
    require_real(m, place);
    require_finite(m, place);
    return m.detach().to(at::kCPU, at::kDouble).contiguous();
  };
  return std::make_shared<SeparableOperator>(domain,
                                             checked(left, domain[domain.size() - 2], "separable.left"),
                                             checked(right, domain.back(), "separable.right"));
}

LinearOperatorPtr make_bicubic(Shape domain, int64_t factor) {
  require_domain(domain, 2, "bicubic.domain");
  if (factor < 1) throw Error("bicubic.factor", fmt::format("{}, but >= 1 is needed", factor));
  const int64_t height = domain[domain.size() - 2], width = domain.back();
  for (const auto& [size, name] : {std::pair{height, "height"}, std::pair{width, "width"}}) {
    if (size % factor != 0) {
      throw Error("bicubic.factor", fmt::format("{} does not divide the image's {} {}", factor, name, size));
    }
  }
  return make_separable(domain, bicubic_matrix(height, factor), bicubic_matrix(width, factor));
}

}  // namespace tweedie
