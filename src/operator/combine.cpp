// Operators made of operators: one after another, side by side, scaled.

#include "operator/linear.h"
#include "tweedie/operators.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {
namespace {

void require_operator(const LinearOperatorPtr& a, const char* place) {
  if (!a) throw Error(place, "a null pointer, but an operator is needed");
}

class ComposedOperator final : public FixedShape {
 public:
  ComposedOperator(LinearOperatorPtr a, LinearOperatorPtr b)
      : FixedShape(b->domain(), a->codomain()), a_(std::move(a)), b_(std::move(b)) {}
  bool measures_complex() const override { return a_->measures_complex(); }
  bool takes_complex() const override {
    return b_->takes_complex() || (a_->takes_complex() && a_->domain() == b_->domain());
  }

 protected:
  Tensor do_apply(const Tensor& x) const override { return a_->apply(b_->apply(x)); }
  Tensor do_adjoint(const Tensor& y) const override { return b_->adjoint(a_->adjoint(y)); }

 private:
  LinearOperatorPtr a_, b_;
};

class StackedOperator final : public FixedShape {
 public:
  StackedOperator(std::vector<LinearOperatorPtr> parts, int64_t size)
      : FixedShape(parts.front()->domain(), {size}), parts_(std::move(parts)) {}
  bool takes_complex() const override {
    return std::all_of(parts_.begin(), parts_.end(), [](const auto& a) { return a->takes_complex(); });
  }

 protected:
  Tensor do_apply(const Tensor& x) const override {
    std::vector<Tensor> y;
    for (const auto& part : parts_) y.push_back(part->apply(x).flatten(1));
    return at::cat(y, 1);
  }
  Tensor do_adjoint(const Tensor& y) const override {
    Tensor x = at::zeros(with_batch(y.size(0), domain()), y.options());
    int64_t start = 0;
    for (const auto& part : parts_) {
      const int64_t size = product(part->codomain());
      x = x + part->adjoint(y.narrow(1, start, size).reshape(with_batch(y.size(0), part->codomain())));
      start += size;
    }
    return x;
  }

 private:
  std::vector<LinearOperatorPtr> parts_;
};

class ScaledOperator final : public FixedShape {
 public:
  ScaledOperator(LinearOperatorPtr a, double factor)
      : FixedShape(a->domain(), a->codomain()), a_(std::move(a)), factor_(factor) {}
  bool measures_complex() const override { return a_->measures_complex(); }
  bool takes_complex() const override { return a_->takes_complex(); }
  std::optional<Svd> svd() const override {
    auto result = a_->svd();
    if (result) {
      result->s = result->s * std::abs(factor_);
      if (factor_ < 0) result->u = -result->u;
    }
    return result;
  }

 protected:
  double do_norm(double tolerance) const override { return std::abs(factor_) * a_->norm(tolerance); }
  Tensor do_apply(const Tensor& x) const override { return factor_ * a_->apply(x); }
  Tensor do_adjoint(const Tensor& y) const override { return factor_ * a_->adjoint(y); }
  Tensor do_solve_normal(const Tensor& b, double lambda) const override {
    const double square = factor_ * factor_;
    return a_->solve_normal(b, lambda / square) / square;
  }
  Tensor do_solve_gram(const Tensor& b, double lambda) const override {
    const double square = factor_ * factor_;
    return a_->solve_gram(b, lambda / square) / square;
  }
  Tensor do_pseudo_inverse(const Tensor& y) const override { return a_->pseudo_inverse(y) / factor_; }

 private:
  LinearOperatorPtr a_;
  double factor_;
};

}  // namespace

LinearOperatorPtr compose(LinearOperatorPtr a, LinearOperatorPtr b) {
  require_operator(a, "compose.a");
  require_operator(b, "compose.b");
  if (a->domain() != b->codomain()) {
    throw Error("compose", fmt::format("the second operator takes {}, but the first gives {}",
                                       to_string(a->domain()), to_string(b->codomain())));
  }
  return std::make_shared<ComposedOperator>(std::move(a), std::move(b));
}

LinearOperatorPtr stack(std::vector<LinearOperatorPtr> operators) {
  if (operators.empty()) throw Error("stack", "no operators, but at least one is needed");
  int64_t size = 0;
  for (const auto& part : operators) {
    require_operator(part, "stack");
    if (part->domain() != operators.front()->domain()) {
      throw Error("stack", fmt::format("domains {} and {}, but one domain is needed",
                                       to_string(operators.front()->domain()), to_string(part->domain())));
    }
    size += product(part->codomain());
  }
  return std::make_shared<StackedOperator>(std::move(operators), size);
}

LinearOperatorPtr scale(LinearOperatorPtr a, double factor) {
  require_operator(a, "scale.a");
  if (!std::isfinite(factor) || factor == 0) {
    throw Error("scale.factor", fmt::format("{}, but a finite number that is not 0 is needed", factor));
  }
  return std::make_shared<ScaledOperator>(std::move(a), factor);
}

}  // namespace tweedie
