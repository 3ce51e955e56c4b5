// Operators made of operators. With linear parts A_k the sum has the adjoint sum_k A_k^T; a block-diagonal
// operator's norm, solves and decomposition are those of its blocks; (A^T)^T = A.

#include "tweedie/operator_algebra.h"

#include "operator/linear.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tweedie {
namespace {

using Linears = std::vector<LinearOperatorPtr>;
using Forwards = std::vector<ForwardOperatorPtr>;

void require_parts(const Forwards& parts, const char* place) {
  if (parts.empty()) throw Error(place, "no operators, but at least one is needed");
  for (const auto& part : parts) {
    if (!part) throw Error(place, "a null pointer, but an operator is needed");
  }
}

// All as linear operators, or none.
Linears linear_parts(const Forwards& parts) {
  Linears result;
  for (const auto& part : parts) {
    auto linear = std::dynamic_pointer_cast<const LinearOperator>(part);
    if (!linear) return {};
    result.push_back(std::move(linear));
  }
  return result;
}

int64_t size_of(const Shape& shape) {
  return product(shape);
}

// The shape of arrays of these shapes joined along the first axis, or flattened where the other axes differ.
Shape joined_shape(const std::vector<Shape>& shapes) {
  const Shape& first = shapes.front();
  const auto agrees = [&](const Shape& s) {
    return !s.empty() && s.size() == first.size() && std::equal(s.begin() + 1, s.end(), first.begin() + 1);
  };
  if (std::all_of(shapes.begin(), shapes.end(), agrees)) {
    Shape result = first;
    result[0] = 0;
    for (const Shape& s : shapes) result[0] += s[0];
    return result;
  }
  int64_t size = 0;
  for (const Shape& s : shapes) size += size_of(s);
  return {size};
}

// (B, ...) joined along all but the batch, as (B, *shape)
Tensor join(const std::vector<Tensor>& parts, const Shape& shape) {
  std::vector<Tensor> flat;
  for (const Tensor& part : parts) flat.push_back(part.flatten(1));
  return at::cat(flat, 1).view(with_batch(parts[0].size(0), shape));
}

// And back.
std::vector<Tensor> split(const Tensor& x, const std::vector<Shape>& shapes) {
  const Tensor flat = x.flatten(1);
  std::vector<Tensor> parts;
  int64_t start = 0;
  for (const Shape& shape : shapes) {
    parts.push_back(flat.narrow(1, start, size_of(shape)).reshape(with_batch(x.size(0), shape)));
    start += size_of(shape);
  }
  return parts;
}

template <class Parts>
std::vector<Shape> domains(const Parts& parts) {
  std::vector<Shape> result;
  for (const auto& part : parts) result.push_back(part->domain());
  return result;
}
template <class Parts>
std::vector<Shape> codomains(const Parts& parts) {
  std::vector<Shape> result;
  for (const auto& part : parts) result.push_back(part->codomain());
  return result;
}

template <class Parts>
bool all_complex(const Parts& parts) {
  return std::all_of(parts.begin(), parts.end(), [](const auto& a) { return a->measures_complex(); });
}
template <class Parts>
bool all_take_complex(const Parts& parts) {
  return std::all_of(parts.begin(), parts.end(), [](const auto& a) { return a->takes_complex(); });
}
// Joined side by side; flattened, they are real numbers one after another.
template <class Parts>
bool joined_complex(const Parts& parts, const Shape& joined) {
  return all_complex(parts) && joined.size() > 1 && joined.back() == 2;
}

class LinearSum final : public FixedShape {
 public:
  explicit LinearSum(Linears parts)
      : FixedShape(parts[0]->domain(), parts[0]->codomain()), parts_(std::move(parts)) {}
  bool measures_complex() const override { return all_complex(parts_); }
  bool takes_complex() const override { return all_take_complex(parts_); }

 protected:
  Tensor do_apply(const Tensor& x) const override {
    Tensor y = parts_[0]->apply(x);
    for (size_t k = 1; k < parts_.size(); ++k) y = y + parts_[k]->apply(x);
    return y;
  }
  Tensor do_adjoint(const Tensor& y) const override {
    Tensor x = parts_[0]->adjoint(y);
    for (size_t k = 1; k < parts_.size(); ++k) x = x + parts_[k]->adjoint(y);
    return x;
  }

 private:
  Linears parts_;
};

class LinearBlocks final : public FixedShape {
 public:
  explicit LinearBlocks(Linears parts)
      : FixedShape(joined_shape(domains(parts)), joined_shape(codomains(parts))), parts_(std::move(parts)) {}
  bool measures_complex() const override { return joined_complex(parts_, codomain()); }

  std::optional<Svd> svd() const override {
    const int64_t m = size_of(codomain()), d = size_of(domain());
    if (m > svd_limit / d) return std::nullopt;
    std::vector<Tensor> u, s, v;
    for (const auto& part : parts_) {
      auto f = part->svd();
      if (!f) return std::nullopt;
      u.push_back(f->u);
      s.push_back(f->s);
      v.push_back(f->v);
    }
    const auto [sorted, order] = at::cat(s).sort(0, /*descending=*/true);
    return Svd{at::block_diag(u).index_select(1, order), sorted, at::block_diag(v).index_select(1, order)};
  }

 protected:
  double do_norm(double tolerance) const override {
    double result = 0;
    for (const auto& part : parts_) result = std::max(result, part->norm(tolerance));
    return result;
  }
  Tensor do_apply(const Tensor& x) const override {
    return each(x, domains(parts_), codomain(), [](const auto& a, const Tensor& v) { return a.apply(v); });
  }
  Tensor do_adjoint(const Tensor& y) const override {
    return each(y, codomains(parts_), domain(), [](const auto& a, const Tensor& v) { return a.adjoint(v); });
  }
  Tensor do_solve_normal(const Tensor& b, double lambda) const override {
    return each(b, domains(parts_), domain(),
                [&](const auto& a, const Tensor& v) { return a.solve_normal(v, lambda); });
  }
  Tensor do_solve_gram(const Tensor& b, double lambda) const override {
    return each(b, codomains(parts_), codomain(),
                [&](const auto& a, const Tensor& v) { return a.solve_gram(v, lambda); });
  }
  Tensor do_pseudo_inverse(const Tensor& y) const override {
    return each(y, codomains(parts_), domain(),
                [](const auto& a, const Tensor& v) { return a.pseudo_inverse(v); });
  }

 private:
  template <class Map>
  Tensor each(const Tensor& x, const std::vector<Shape>& shapes, const Shape& result, Map map) const {
    std::vector<Tensor> pieces = split(x, shapes);
    for (size_t k = 0; k < parts_.size(); ++k) pieces[k] = map(*parts_[k], pieces[k]);
    return join(pieces, result);
  }

  Linears parts_;
};

class AdjointOperator final : public FixedShape {
 public:
  explicit AdjointOperator(LinearOperatorPtr a) : FixedShape(a->codomain(), a->domain()), a_(std::move(a)) {}

  std::optional<Svd> svd() const override {
    auto f = a_->svd();
    if (f) std::swap(f->u, f->v);
    return f;
  }

 protected:
  double do_norm(double tolerance) const override { return a_->norm(tolerance); }
  Tensor do_apply(const Tensor& x) const override { return a_->adjoint(x); }
  Tensor do_adjoint(const Tensor& y) const override { return a_->apply(y); }
  Tensor do_solve_normal(const Tensor& b, double lambda) const override { return a_->solve_gram(b, lambda); }
  Tensor do_solve_gram(const Tensor& b, double lambda) const override { return a_->solve_normal(b, lambda); }

 private:
  LinearOperatorPtr a_;
};

// What is not linear, between two fixed shapes.
class Composite : public ForwardOperator {
 public:
  Composite(Shape domain, Shape codomain, Forwards parts)
      : parts_(std::move(parts)), domain_(std::move(domain)), codomain_(std::move(codomain)) {}
  Shape domain() const final { return domain_; }
  Shape codomain() const final { return codomain_; }
  bool has_surrogate_derivative() const final {
    return std::any_of(parts_.begin(), parts_.end(),
                       [](const auto& a) { return a->has_surrogate_derivative(); });
  }

 protected:
  Forwards parts_;

 private:
  Shape domain_, codomain_;
};

class Chain final : public Composite {
 public:
  using Composite::Composite;
  bool measures_complex() const override { return parts_.back()->measures_complex(); }
  bool takes_complex() const override {
    for (const auto& part : parts_) {
      if (part->domain() != domain()) return false;
      if (part->takes_complex()) return true;
    }
    return false;
  }

 protected:
  Tensor do_apply(const Tensor& x) const override {
    Tensor y = x;
    for (const auto& part : parts_) y = part->apply(y);
    return y;
  }
  Tensor do_vjp(const Tensor& x, const Tensor& v) const override {
    std::vector<Tensor> before{x};
    for (size_t k = 0; k + 1 < parts_.size(); ++k) before.push_back(parts_[k]->apply(before[k]));
    Tensor result = v;
    for (size_t k = parts_.size(); k-- > 0;) result = parts_[k]->vjp(before[k], result);
    return result;
  }
};

class Sum final : public Composite {
 public:
  using Composite::Composite;
  bool measures_complex() const override { return all_complex(parts_); }
  bool takes_complex() const override { return all_take_complex(parts_); }

 protected:
  Tensor do_apply(const Tensor& x) const override {
    Tensor y = parts_[0]->apply(x);
    for (size_t k = 1; k < parts_.size(); ++k) y = y + parts_[k]->apply(x);
    return y;
  }
  Tensor do_vjp(const Tensor& x, const Tensor& v) const override {
    Tensor result = parts_[0]->vjp(x, v);
    for (size_t k = 1; k < parts_.size(); ++k) result = result + parts_[k]->vjp(x, v);
    return result;
  }
};

class Stack final : public Composite {
 public:
  using Composite::Composite;
  bool takes_complex() const override { return all_take_complex(parts_); }

 protected:
  Tensor do_apply(const Tensor& x) const override {
    std::vector<Tensor> y;
    for (const auto& part : parts_) y.push_back(part->apply(x));
    return join(y, codomain());
  }
  Tensor do_vjp(const Tensor& x, const Tensor& v) const override {
    const auto pieces = split(v, codomains(parts_));
    Tensor result = parts_[0]->vjp(x, pieces[0]);
    for (size_t k = 1; k < parts_.size(); ++k) result = result + parts_[k]->vjp(x, pieces[k]);
    return result;
  }
};

class Blocks final : public Composite {
 public:
  using Composite::Composite;
  bool measures_complex() const override { return joined_complex(parts_, codomain()); }

 protected:
  Tensor do_apply(const Tensor& x) const override {
    auto pieces = split(x, domains(parts_));
    for (size_t k = 0; k < parts_.size(); ++k) pieces[k] = parts_[k]->apply(pieces[k]);
    return join(pieces, codomain());
  }
  Tensor do_vjp(const Tensor& x, const Tensor& v) const override {
    auto pieces = split(x, domains(parts_));
    const auto of_v = split(v, codomains(parts_));
    for (size_t k = 0; k < parts_.size(); ++k) pieces[k] = parts_[k]->vjp(pieces[k], of_v[k]);
    return join(pieces, domain());
  }
};

class Scaled final : public Composite {
 public:
  Scaled(const ForwardOperatorPtr& a, double factor)
      : Composite(a->domain(), a->codomain(), {a}), factor_(factor) {}
  bool measures_complex() const override { return parts_[0]->measures_complex(); }
  bool takes_complex() const override { return parts_[0]->takes_complex(); }

 protected:
  Tensor do_apply(const Tensor& x) const override { return factor_ * parts_[0]->apply(x); }
  Tensor do_vjp(const Tensor& x, const Tensor& v) const override { return parts_[0]->vjp(x, factor_ * v); }

 private:
  double factor_;
};

void require_one_domain(const Forwards& parts, const char* place) {
  for (size_t k = 1; k < parts.size(); ++k) {
    if (parts[k]->domain() == parts[0]->domain()) continue;
    throw Error(place, fmt::format("domains {} and {}, but one domain is needed",
                                   to_string(parts[0]->domain()), to_string(parts[k]->domain())));
  }
}

}  // namespace

ForwardOperatorPtr in_turn(std::vector<ForwardOperatorPtr> parts) {
  require_parts(parts, "compose");
  for (size_t k = 1; k < parts.size(); ++k) {
    if (parts[k]->domain() == parts[k - 1]->codomain()) continue;
    throw Error("compose",
                fmt::format("part {} gives {}, but part {} takes {}", k - 1,
                            to_string(parts[k - 1]->codomain()), k, to_string(parts[k]->domain())));
  }
  if (parts.size() == 1) return parts[0];
  if (const Linears linear = linear_parts(parts); !linear.empty()) {
    LinearOperatorPtr all = linear[0];
    for (size_t k = 1; k < linear.size(); ++k) all = compose(linear[k], all);
    return all;
  }
  Shape domain = parts.front()->domain(), codomain = parts.back()->codomain();
  return std::make_shared<Chain>(std::move(domain), std::move(codomain), std::move(parts));
}

ForwardOperatorPtr sum_of(std::vector<ForwardOperatorPtr> parts) {
  require_parts(parts, "sum");
  require_one_domain(parts, "sum");
  for (const auto& part : parts) {
    if (part->codomain() == parts[0]->codomain()) continue;
    throw Error("sum", fmt::format("terms of shapes {} and {}, but one shape is needed",
                                   to_string(parts[0]->codomain()), to_string(part->codomain())));
  }
  if (Linears linear = linear_parts(parts); !linear.empty())
    return std::make_shared<LinearSum>(std::move(linear));
  Shape domain = parts[0]->domain(), codomain = parts[0]->codomain();
  return std::make_shared<Sum>(std::move(domain), std::move(codomain), std::move(parts));
}

ForwardOperatorPtr stack_of(std::vector<ForwardOperatorPtr> parts) {
  require_parts(parts, "stack");
  require_one_domain(parts, "stack");
  if (Linears linear = linear_parts(parts); !linear.empty()) return stack(std::move(linear));
  int64_t size = 0;
  for (const auto& part : parts) size += size_of(part->codomain());
  Shape domain = parts[0]->domain();
  return std::make_shared<Stack>(std::move(domain), Shape{size}, std::move(parts));
}

ForwardOperatorPtr block_diagonal(std::vector<ForwardOperatorPtr> parts) {
  require_parts(parts, "block-diagonal");
  if (Linears linear = linear_parts(parts); !linear.empty())
    return std::make_shared<LinearBlocks>(std::move(linear));
  Shape domain = joined_shape(domains(parts)), codomain = joined_shape(codomains(parts));
  return std::make_shared<Blocks>(std::move(domain), std::move(codomain), std::move(parts));
}

ForwardOperatorPtr scaled(ForwardOperatorPtr a, double factor) {
  require_parts({a}, "scale");
  if (auto linear = std::dynamic_pointer_cast<const LinearOperator>(a)) return scale(linear, factor);
  if (!std::isfinite(factor) || factor == 0) {
    throw Error("scale.factor", fmt::format("{}, but a finite number that is not 0 is needed", factor));
  }
  return std::make_shared<Scaled>(a, factor);
}

LinearOperatorPtr adjoint_of(LinearOperatorPtr a) {
  if (!a) throw Error("adjoint", "a null pointer, but an operator is needed");
  return std::make_shared<AdjointOperator>(std::move(a));
}

}  // namespace tweedie
