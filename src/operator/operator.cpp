#include "tweedie/operator.h"

#include "core/conjugate_gradient.h"
#include "core/rows.h"
#include "operator/linear.h"
#include "tweedie/noise.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace tweedie {
namespace {

void require(const Tensor& x, const Shape& shape, const char* place) {
  require_real(x, place);
  require_batch_of(x, shape, place);
}

ConjugateGradientOptions for_solves(const Tensor& b) {
  return {.max_iterations = 10'000, .tolerance = b.scalar_type() == at::kDouble ? 1e-10 : 1e-6};
}

// Of the symmetric tridiagonal matrix: the largest eigenvalue, the one below it, and the last entry of the
// first one's unit eigenvector.
struct TopRitz {
  double theta, below, last;
};
TopRitz top_ritz(const std::vector<double>& diagonal, const std::vector<double>& beside) {
  const auto n = static_cast<int64_t>(diagonal.size());
  const auto tensor = [](const std::vector<double>& x) { return at::tensor(x, at::kDouble); };
  Tensor t = at::diag(tensor(diagonal));
  if (n > 1) t.diagonal(-1).copy_(tensor({beside.begin(), beside.begin() + (n - 1)}));
  const auto [values, vectors] = at::linalg_eigh(t, "L");
  return {values[n - 1].item<double>(), n > 1 ? values[n - 2].item<double>() : 0,
          vectors[n - 1][n - 1].item<double>()};
}

}  // namespace

Tensor ForwardOperator::apply(const Tensor& x) const {
  require(x, domain(), "operator.apply");
  return x.size(0) == 0 ? at::empty(with_batch(0, codomain()), x.options()) : do_apply(x);
}

Tensor ForwardOperator::vjp(const Tensor& x, const Tensor& v) const {
  require(x, domain(), "operator.vjp");
  require(v, codomain(), "operator.vjp");
  if (x.size(0) != v.size(0) || x.scalar_type() != v.scalar_type()) {
    throw Error("operator.vjp",
                fmt::format("{} rows of {} for {} rows of {}, but as many of one dtype are needed", v.size(0),
                            toString(v.scalar_type()), x.size(0), toString(x.scalar_type())));
  }
  return x.size(0) == 0 ? at::empty_like(x) : do_vjp(x, v);
}

Tensor LinearOperator::adjoint(const Tensor& y) const {
  require(y, codomain(), "operator.adjoint");
  return y.size(0) == 0 ? at::empty(with_batch(0, domain()), y.options()) : do_adjoint(y);
}

Tensor LinearOperator::normal(const Tensor& x) const {
  require(x, domain(), "operator.apply");
  return x.size(0) == 0 ? at::empty_like(x) : do_normal(x);
}

Tensor LinearOperator::solve_normal(const Tensor& b, double lambda) const {
  require(b, domain(), "operator.solve_normal");
  if (!(lambda > 0) || !std::isfinite(lambda)) {
    throw Error("operator.solve_normal",
                fmt::format("lambda = {}, but a finite number > 0 is needed", lambda));
  }
  return b.size(0) == 0 ? at::empty_like(b) : do_solve_normal(b, lambda);
}

// In float64 whatever b is: a float32 recurrence reports a residual that it doesn't have.
Tensor LinearOperator::do_solve_normal(const Tensor& b, double lambda) const {
  const auto shifted = [&](const Tensor& x) { return normal(x) + lambda * x; };
  return conjugate_gradient(shifted, b.to(at::kDouble), for_solves(b)).u.to(b.scalar_type());
}

Tensor LinearOperator::solve_gram(const Tensor& b, double lambda) const {
  require(b, codomain(), "operator.solve_gram");
  if (!(lambda > 0) || !std::isfinite(lambda)) {
    throw Error("operator.solve_gram", fmt::format("lambda = {}, but a finite number > 0 is needed", lambda));
  }
  return b.size(0) == 0 ? at::empty_like(b) : do_solve_gram(b, lambda);
}

Tensor LinearOperator::do_solve_gram(const Tensor& b, double lambda) const {
  const auto shifted = [&](const Tensor& y) { return gram(y) + lambda * y; };
  const auto precondition = [&](const Tensor& y) { return do_precondition_gram(y, lambda); };
  return conjugate_gradient(shifted, b.to(at::kDouble), for_solves(b), precondition).u.to(b.scalar_type());
}

Tensor LinearOperator::precondition_gram(const Tensor& b, double lambda) const {
  require(b, codomain(), "operator.precondition_gram");
  if (!(lambda >= 0) || !std::isfinite(lambda)) {
    throw Error("operator.precondition_gram",
                fmt::format("lambda = {}, but a finite number >= 0 is needed", lambda));
  }
  return b.size(0) == 0 ? at::empty_like(b) : do_precondition_gram(b, lambda);
}

Tensor LinearOperator::pseudo_inverse(const Tensor& y) const {
  require(y, codomain(), "operator.pseudo_inverse");
  return y.size(0) == 0 ? at::empty(with_batch(0, domain()), y.options()) : do_pseudo_inverse(y);
}

// A^T A x = A^T y has a solution for every y, and conjugate gradients from 0 find the shortest.
Tensor LinearOperator::do_pseudo_inverse(const Tensor& y) const {
  const auto map = [&](const Tensor& x) { return normal(x); };
  return conjugate_gradient(map, adjoint(y.to(at::kDouble)), for_solves(y)).u.to(y.scalar_type());
}

double rank_tolerance(int64_t size, at::ScalarType dtype) {
  const double epsilon =
      dtype == at::kDouble ? std::numeric_limits<double>::epsilon() : std::numeric_limits<float>::epsilon();
  return static_cast<double>(size) * epsilon;
}

Svd thin_svd(const Tensor& a) {
  const auto [u, s, vt] = at::linalg_svd(a, /*full_matrices=*/false);
  const double negligible = rank_tolerance(std::max(a.size(0), a.size(1)), at::kDouble) * s[0].item<double>();
  const int64_t rank = s.gt(negligible).sum().item<int64_t>();
  return {u.narrow(1, 0, rank), s.narrow(0, 0, rank), vt.narrow(0, 0, rank).t().contiguous()};
}

Svd svd_of(const LinearOperator& a) {
  const int64_t m = product(a.codomain()), d = product(a.domain());
  if (auto known = a.svd()) return *known;
  if (std::min(m, d) > largest_dense_svd) {
    throw Error("operator.svd",
                fmt::format("{} x {}: a matrix of more than {} rows and columns is too large "
                            "to be decomposed; use a method without a singular value decomposition",
                            m, d, largest_dense_svd));
  }
  return thin_svd(a.dense());
}

double LinearOperator::norm(double tolerance) const {
  if (!(tolerance > 0 && tolerance < 1)) {
    throw Error("operator.norm",
                fmt::format("tolerance {}, but one above 0 and below 1 is needed", tolerance));
  }
  return do_norm(tolerance);
}

// Lanczos on A^T A or A A^T, whichever is smaller. Without reorthogonalisation, which the top of the spectrum
// doesn't need (Paige 1971): only copies of converged eigenvalues appear. With theta the largest Ritz value
// and r = beta |s_k| the residual of its vector, an eigenvalue lies within r of theta, and within r^2 / gap
// where the others are gap away (Kato 1949, Temple 1928). The Ritz value below it says so too early where two
// eigenvalues are close: theta has to have stood still as well.
double LinearOperator::norm_by_lanczos(double tolerance) const {
  constexpr int64_t limit = 1000;
  const bool wide = product(codomain()) < product(domain());
  Noise noise(0);
  Tensor v = noise.normal(with_batch(1, wide ? codomain() : domain()), at::kDouble),
         previous = at::zeros_like(v);
  v = v / std::sqrt(row_dot(v, v).item<double>());
  std::vector<double> diagonal, beside;
  double beta = 0, theta = 0;
  for (int64_t k = 1; k <= limit; ++k) {
    Tensor w = (wide ? gram(v) : normal(v)) - beta * previous;
    const double alpha = row_dot(v, w).item<double>();
    w = w - alpha * v;
    beta = std::sqrt(row_dot(w, w).item<double>());
    diagonal.push_back(alpha);
    if (k % 8 == 0 || beta <= 1e-12 * std::abs(alpha)) {
      const TopRitz top = top_ritz(diagonal, beside);
      const double moved = std::abs(top.theta - theta);
      theta = top.theta;
      const double residual = beta * std::abs(top.last), gap = theta - top.below;
      const double error = gap > residual ? residual * residual / gap : residual;
      if (std::max(error, moved) <= tolerance * theta || beta == 0 || beta <= 1e-12 * std::abs(alpha)) break;
    }
    beside.push_back(beta);
    previous = v;
    v = w / beta;
  }
  return std::sqrt(std::max(theta, 0.0));
}

Tensor LinearOperator::dense(int64_t limit) const {
  const int64_t m = product(codomain()), d = product(domain());
  if (m > limit / d) {
    throw Error("operator.dense", fmt::format("{} x {} is more than the {} entries allowed", m, d, limit));
  }
  // Images of the unit vectors of the smaller side, some at a time.
  const bool rows = m < d;
  const int64_t n = std::min(m, d), block = 256;
  std::vector<Tensor> parts;
  for (int64_t start = 0; start < n; start += block) {
    const int64_t count = std::min(block, n - start);
    Tensor e = at::zeros({count, n}, at::kDouble);
    e.narrow(1, start, count).fill_diagonal_(1);
    e = e.view(with_batch(count, rows ? codomain() : domain()));
    parts.push_back((rows ? adjoint(e) : apply(e)).reshape({count, -1}));
  }
  const Tensor images = at::cat(parts);
  return rows ? images : images.t().contiguous();
}

void require_domain(const Shape& domain, size_t axes, const std::string& place) {
  if (domain.size() < axes || std::any_of(domain.begin(), domain.end(), [](int64_t n) { return n < 1; })) {
    throw Error(place, fmt::format("shape {}, but {} of extents >= 1 is needed", to_string(domain),
                                   axes >= 2 ? "an image (..., height, width)" : "a shape"));
  }
}

}  // namespace tweedie
