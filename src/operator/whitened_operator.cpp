// L^{-1} h. For diagonal L and A A^T = I:
//   A' A'^T = L^{-2},   (A'^T A' + w I)^{-1} b = (b - A'^T (L^{-2} + w I)^{-1} A' b) / w,   A'^+ = A^T L,
// and the singular values are 1 / L_i, with the unit vectors e_i and the rows of A.

#include "operator/linear.h"
#include "tweedie/operators.h"
#include "tweedie/whitening.h"

#include <ATen/ATen.h>

namespace tweedie {

namespace {

class WhitenedForward final : public ForwardOperator {
 public:
  WhitenedForward(std::shared_ptr<const ForwardOperator> h, const Whitening& w,
                  std::shared_ptr<const void> owner)
      : h_(std::move(h)), w_(w), owner_(std::move(owner)) {}
  Shape domain() const override { return h_->domain(); }
  Shape codomain() const override { return h_->codomain(); }
  bool measures_complex() const override { return h_->measures_complex(); }
  bool takes_complex() const override { return h_->takes_complex(); }

 protected:
  Tensor do_apply(const Tensor& x) const override { return w_.whiten(h_->apply(x)); }
  Tensor do_vjp(const Tensor& x, const Tensor& v) const override { return h_->vjp(x, w_.whiten_adjoint(v)); }

 private:
  std::shared_ptr<const ForwardOperator> h_;
  const Whitening& w_;
  std::shared_ptr<const void> owner_;
};

class WhitenedLinear : public FixedShape {
 public:
  WhitenedLinear(std::shared_ptr<const LinearOperator> a, const Whitening& w,
                 std::shared_ptr<const void> owner)
      : FixedShape(a->domain(), a->codomain()), a_(std::move(a)), w_(w), owner_(std::move(owner)) {}
  bool measures_complex() const override { return a_->measures_complex(); }
  bool takes_complex() const override { return a_->takes_complex(); }

 protected:
  Tensor do_apply(const Tensor& x) const override { return w_.whiten(a_->apply(x)); }
  Tensor do_adjoint(const Tensor& y) const override { return a_->adjoint(w_.whiten_adjoint(y)); }

  std::shared_ptr<const LinearOperator> a_;
  const Whitening& w_;

 private:
  std::shared_ptr<const void> owner_;
};

class WeightedMask final : public WhitenedLinear {
 public:
  WeightedMask(std::shared_ptr<const LinearOperator> a, const Whitening& w, std::shared_ptr<const void> owner)
      : WhitenedLinear(std::move(a), w, std::move(owner)), precision_(w.diagonal().square().reciprocal()) {}
  std::optional<Svd> svd() const override {
    const int64_t m = product(codomain()), d = product(domain());
    if (m > svd_limit / d) return std::nullopt;
    const Tensor std = w_.diagonal().flatten(), order = std.argsort();
    return Svd{at::eye(m, at::kDouble).index_select(1, order), std.index_select(0, order).reciprocal(),
               a_->dense().t().index_select(1, order).contiguous()};
  }

 protected:
  double do_norm(double /*tolerance*/) const override { return 1 / w_.diagonal().min().item<double>(); }
  Tensor do_solve_gram(const Tensor& b, double lambda) const override {
    return b / (precision_.like(b) + lambda);
  }
  Tensor do_solve_normal(const Tensor& b, double lambda) const override {
    return (b - adjoint(solve_gram(apply(b), lambda))) / lambda;
  }
  Tensor do_pseudo_inverse(const Tensor& y) const override { return a_->adjoint(w_.colour(y)); }

 private:
  Constant precision_;
};

// Entries up to which L^{-1} A is made a matrix, which knows its solves.
constexpr int64_t largest_matrix = 1'000'000;

bool has_orthonormal_rows(const LinearOperator& a) {
  Noise fixed(0);
  const Tensor v = fixed.normal(with_batch(1, a.codomain()), at::kDouble);
  return (a.gram(v) - v).abs().max().item<double>() <= 1e-9;
}

}  // namespace

std::shared_ptr<const ForwardOperator> whitened(std::shared_ptr<const ForwardOperator> h,
                                                const Whitening& whitening,
                                                std::shared_ptr<const void> owner) {
  const auto linear = std::dynamic_pointer_cast<const LinearOperator>(h);
  if (!linear) return std::make_shared<WhitenedForward>(std::move(h), whitening, std::move(owner));
  if (whitening.diagonal().defined() && has_orthonormal_rows(*linear))
    return std::make_shared<WeightedMask>(linear, whitening, std::move(owner));
  if (linear->codomain().size() == 1 && product(linear->domain()) * linear->codomain()[0] <= largest_matrix) {
    const Tensor columns = linear->dense().t().contiguous();  // (d, m)
    return make_matrix(linear->domain(), whitening.whiten(columns).t().contiguous());
  }
  return std::make_shared<WhitenedLinear>(linear, whitening, std::move(owner));
}

}  // namespace tweedie
