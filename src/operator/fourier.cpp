// Part of an image's Fourier transform. A = M F with F unitary and M the choice of entries, so that
// A^T A = F^H diag(p) F, with p of KSpace::power. Of complex images A A^T = I. Of real ones, where F^H is
// followed by taking the real part,
//   A A^T y[k] = (y[k] + conj(y[-k])) / 2 where -k is measured too, a projection, else y[k] / 2.

#include "core/workers.h"
#include "operator/k_space.h"
#include "tweedie/imaging.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

class FourierOperator final : public CartesianOperator {
 public:
  FourierOperator(const Shape& domain, const Shape& lead, const Tensor& keep, const KSpaceOptions& options)
      : CartesianOperator(domain, lead, keep, options.centred),
        complex_(options.complex),
        power_(k_space().power(options.complex)),
        opposite_(at::tensor(k_space().opposite(), at::kLong)) {}

  bool takes_complex() const override { return complex_; }
  std::optional<Svd> svd() const override;

 protected:
  double do_norm(double /*tolerance*/) const override { return std::sqrt(power().max().item<double>()); }
  Tensor do_apply(const Tensor& x) const override {
    const Tensor from = x.cpu().contiguous();
    Tensor y = at::empty(with_batch(x.size(0), codomain()), from.options());
    with_value_of(x.scalar_type(), [&](auto zero) {
      using Value = decltype(zero);
      for_each(images(from), [&](int64_t i) {
        k_space().measure<Value>(planes_of<const Value>(from.data_ptr<Value>(), i, pixels(), complex_), {},
                                 y.data_ptr<Value>() + 2 * i * k_space().count());
      });
    });
    return y.to(x.device());
  }
  Tensor do_adjoint(const Tensor& y) const override {
    const Tensor from = y.cpu().contiguous();
    Tensor x = at::empty(with_batch(y.size(0), domain()), from.options());
    with_value_of(y.scalar_type(), [&](auto zero) {
      using Value = decltype(zero);
      for_each(images(x), [&](int64_t i) {
        k_space().adjoint<Value>(from.data_ptr<Value>() + 2 * i * k_space().count(), {},
                                 planes_of(x.data_ptr<Value>(), i, pixels(), complex_));
      });
    });
    return x.to(y.device());
  }
  Tensor do_normal(const Tensor& x) const override { return filter(x, power()); }
  Tensor do_solve_normal(const Tensor& b, double lambda) const override {
    return filter(b, 1 / (power() + lambda));
  }
  Tensor do_solve_gram(const Tensor& y, double lambda) const override {
    if (complex_) return y / (1 + lambda);
    const Tensor projected = at::where(paired(y), 0.5 * (y + mirrored(y)), at::zeros({}, y.options()));
    return at::where(paired(y), projected / (1 + lambda) + (y - projected) / lambda, y / (0.5 + lambda));
  }
  Tensor do_pseudo_inverse(const Tensor& y) const override {
    return filter(do_adjoint(y), at::where(power().gt(0), power().reciprocal(), at::zeros_like(power())));
  }

 private:
  int64_t pixels() const { return k_space().height() * k_space().width(); }
  int64_t images(const Tensor& x) const { return x.numel() / (pixels() * (complex_ ? 2 : 1)); }
  Tensor power() const { return power_; }
  // Is the opposite frequency measured too? (m, 1)
  Tensor paired(const Tensor& y) const { return opposite_.ge(0).unsqueeze(1).to(y.device()); }
  // conj(y[-k]) where it is measured
  Tensor mirrored(const Tensor& y) const {
    const Tensor sign = at::tensor({1.0, -1.0}, at::kDouble).to(y.device(), y.scalar_type());
    return y.index_select(-2, opposite_.clamp_min(0).to(y.device())) * sign;
  }
  // F^H diag(weight) F x, weight (H, W) float64 with frequency 0 first
  Tensor filter(const Tensor& x, const Tensor& weight) const {
    const Tensor from = x.cpu().contiguous(), w = weight.to(x.scalar_type()).contiguous();
    Tensor out = at::empty_like(from);
    with_value_of(x.scalar_type(), [&](auto zero) {
      using Value = decltype(zero);
      for_each(images(from), [&](int64_t i) {
        k_space().filter<Value>(planes_of<const Value>(from.data_ptr<Value>(), i, pixels(), complex_), {},
                                w.data_ptr<Value>(), planes_of(out.data_ptr<Value>(), i, pixels(), complex_));
      });
    });
    return out.to(x.device());
  }

  bool complex_;
  Tensor power_, opposite_;
};

// Of complex images A A^T = I: U = I and V = A^T. Of real ones each pair of opposite frequencies is met once,
// by its first measured entry k: sqrt(2) Re F_k and sqrt(2) Im F_k are unit vectors (F_k and 0 where k is its
// own opposite), with s = sqrt(p[k]) and u = A v / s.
std::optional<Svd> FourierOperator::svd() const {
  const int64_t m = product(codomain()), d = product(domain());
  if (m > svd_limit / std::max(m, d)) return std::nullopt;
  if (complex_) {
    const Tensor eye = at::eye(m, at::kDouble);
    return Svd{eye, at::ones({m}, at::kDouble), dense().t().contiguous()};
  }
  const auto& opposite = k_space().opposite();
  std::vector<int64_t> whole, half;  // rows of A whose singular value is 1, and sqrt(1/2)
  for (int64_t i = 0; i < m / 2; ++i) {
    const int64_t image = i / k_space().count(), k = i % k_space().count();
    const int64_t other = opposite[k], row = 2 * (image * k_space().count() + k);
    if (other >= 0 && other < k) continue;
    auto& rows = other >= 0 ? whole : half;
    rows.push_back(row);
    if (other != k) rows.push_back(row + 1);
  }
  const Tensor s = at::cat({at::ones({static_cast<int64_t>(whole.size())}, at::kDouble),
                            at::full({static_cast<int64_t>(half.size())}, std::sqrt(0.5), at::kDouble)});
  whole.insert(whole.end(), half.begin(), half.end());
  const Tensor v = dense().index_select(0, at::tensor(whole, at::kLong));
  const Tensor unit = v / v.square().sum(1, true).sqrt();
  const Tensor u = do_apply(unit.reshape(with_batch(unit.size(0), domain()))).reshape({unit.size(0), m});
  return Svd{(u / s.unsqueeze(1)).t().contiguous(), s, unit.t().contiguous()};
}

}  // namespace

void require_image(const Shape& domain, bool complex, const std::string& place) {
  require_domain(domain, 2, place);
  if (complex && (domain.size() != 3 || domain[0] != 2)) {
    throw Error(place,
                fmt::format("shape {}, but (2, H, W) is needed for complex images: real and imaginary part",
                            to_string(domain)));
  }
}

void require_keep(const Tensor& keep, const Shape& domain, const std::string& place) {
  const Shape image(domain.end() - 2, domain.end());
  if (keep.scalar_type() != at::kBool || keep.sizes() != at::IntArrayRef(image)) {
    throw Error(place, fmt::format("shape {} of {}, but {} of bool is needed", to_string(keep.sizes()),
                                   toString(keep.scalar_type()), to_string(image)));
  }
  if (!keep.any().item<bool>()) throw Error(place, "keeps none of k-space");
}

LinearOperatorPtr make_fourier(Shape domain, const Tensor& keep, const KSpaceOptions& options) {
  require_image(domain, options.complex, "fourier.domain");
  require_keep(keep, domain, "fourier.keep");
  Shape lead(domain.begin(), domain.end() - 2);
  if (options.complex || product(lead) == 1) lead.clear();
  return std::make_shared<FourierOperator>(domain, lead, keep.cpu(), options);
}

}  // namespace tweedie
