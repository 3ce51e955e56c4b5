// Parallel imaging: y_c = M F s_c x (Pruessmann, Weiger, Scheidegger, Boesiger, "SENSE: sensitivity encoding
// for fast MRI", MRM 1999), and A^T A = sum_c conj(s_c) F^H M F s_c, whose two transforms a coil are done
// without leaving k-space's own layout, along one axis where the mask varies along one.

#include "core/conjugate_gradient.h"
#include "core/vectorised.h"
#include "core/workers.h"
#include "operator/k_space.h"
#include "tweedie/imaging.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace tweedie {

namespace {

template <class Value>
TWEEDIE_INLINE void add(const Value* from, Value* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] += from[i];
}

class MultiCoilOperator final : public CartesianOperator {
 public:
  // sensitivities: (coils, 2, H, W) float64
  MultiCoilOperator(const Shape& domain, const Tensor& sensitivities, const Tensor& keep,
                    const KSpaceOptions& options)
      : CartesianOperator(domain, {sensitivities.size(0)}, keep, options.centred),
        complex_(options.complex),
        coils_(sensitivities.size(0)),
        sensitivities_(sensitivities),
        power_(k_space().power(true)),
        energy_(sensitivities.square().sum(at::IntArrayRef{0, 1})) {}

  bool takes_complex() const override { return complex_; }

 protected:
  Tensor do_apply(const Tensor& x) const override {
    const Tensor from = x.cpu().contiguous(), s = sensitivities_.as(x.scalar_type(), at::kCPU);
    Tensor y = at::empty(with_batch(x.size(0), codomain()), from.options());
    with_value_of(x.scalar_type(), [&](auto zero) {
      using Value = decltype(zero);
      for_each(x.size(0) * coils_, [&](int64_t i) {
        k_space().measure<Value>(
            planes_of<const Value>(from.data_ptr<Value>(), i / coils_, pixels(), complex_),
            planes_of<const Value>(s.data_ptr<Value>(), i % coils_, pixels(), true),
            y.data_ptr<Value>() + 2 * i * k_space().count());
      });
    });
    return y.to(x.device());
  }
  Tensor do_adjoint(const Tensor& y) const override {
    const Tensor from = y.cpu().contiguous(), s = sensitivities_.as(y.scalar_type(), at::kCPU);
    Tensor x = at::empty(with_batch(y.size(0), domain()), from.options());
    with_value_of(y.scalar_type(), [&](auto zero) {
      using Value = decltype(zero);
      for (int64_t b = 0; b < y.size(0); ++b) {
        sum_of_coils<Value>(x[b], [&](int64_t coil, PlanesOf<Value> part) {
          k_space().adjoint<Value>(from.data_ptr<Value>() + 2 * (b * coils_ + coil) * k_space().count(),
                                   planes_of<const Value>(s.data_ptr<Value>(), coil, pixels(), true), part);
        });
      }
    });
    return x.to(y.device());
  }
  Tensor do_normal(const Tensor& x) const override {
    const Tensor from = x.cpu().contiguous(), s = sensitivities_.as(x.scalar_type(), at::kCPU),
                 weight = power_.as(x.scalar_type(), at::kCPU);
    Tensor out = at::empty_like(from);
    with_value_of(x.scalar_type(), [&](auto zero) {
      using Value = decltype(zero);
      for (int64_t b = 0; b < x.size(0); ++b) {
        sum_of_coils<Value>(out[b], [&](int64_t coil, PlanesOf<Value> part) {
          k_space().filter<Value>(planes_of<const Value>(from.data_ptr<Value>(), b, pixels(), complex_),
                                  planes_of<const Value>(s.data_ptr<Value>(), coil, pixels(), true),
                                  weight.data_ptr<Value>(), part);
        });
      }
    });
    return out.to(x.device());
  }
  // A^T A is about sum_c |s_c|^2 times the share of k-space that is measured, its diagonal.
  Tensor do_solve_normal(const Tensor& b, double lambda) const override {
    const double share = static_cast<double>(k_space().count()) / static_cast<double>(pixels());
    const Tensor diagonal = (share * energy_ + lambda).to(b.device());
    const auto shifted = [&](const Tensor& x) { return do_normal(x) + lambda * x; };
    const auto precondition = [&](const Tensor& r) { return r / diagonal; };
    const ConjugateGradientOptions options{.max_iterations = 10'000,
                                           .tolerance = b.scalar_type() == at::kDouble ? 1e-11 : 1e-7};
    return conjugate_gradient(shifted, b.to(at::kDouble), options, precondition).u.to(b.scalar_type());
  }

 private:
  int64_t pixels() const { return k_space().height() * k_space().width(); }

  // out = sum of what `part(coil, planes)` writes, in the order of the coils
  template <class Value, class Part>
  void sum_of_coils(const Tensor& out, Part part) const {
    const int64_t size = out.numel(), block = 1 << 14;
    const Tensor parts = at::empty({coils_, size}, out.options());
    for_each(coils_, [&](int64_t coil) {
      part(coil, planes_of(parts.data_ptr<Value>() + coil * size, 0, pixels(), complex_));
    });
    for_each((size + block - 1) / block, [&](int64_t i) {
      const int64_t begin = i * block, count = std::min(block, size - begin);
      Value* to = out.data_ptr<Value>() + begin;
      std::copy_n(parts.data_ptr<Value>() + begin, count, to);
      for (int64_t coil = 1; coil < coils_; ++coil) {
        vectorised<add<Value>>(static_cast<const Value*>(parts.data_ptr<Value>() + coil * size + begin), to,
                               count);
      }
    });
  }

  bool complex_;
  int64_t coils_;
  Constant sensitivities_, power_;
  Tensor energy_;  // sum_c |s_c|^2, (H, W)
};

}  // namespace

Tensor coil_planes(const Tensor& sensitivities, const Shape& domain, const std::string& place) {
  const Shape image(domain.end() - 2, domain.end());
  if (sensitivities.dim() != 3 || sensitivities.size(0) < 1 ||
      sensitivities.sizes().slice(1) != at::IntArrayRef(image)) {
    throw Error(place, fmt::format("shape {}, but (coils, {}, {}) is needed for an image of {} x {}",
                                   to_string(sensitivities.sizes()), image[0], image[1], image[0], image[1]));
  }
  if (!sensitivities.is_complex() && !sensitivities.is_floating_point()) {
    throw Error(place, fmt::format("dtype {}, but complex64 or complex128 is needed",
                                   toString(sensitivities.scalar_type())));
  }
  const Tensor complex = sensitivities.detach().to(at::kCPU, at::kComplexDouble);
  const Tensor planes = at::view_as_real(complex).permute({0, 3, 1, 2}).contiguous();
  require_finite(planes, place);
  if (planes.eq(0).all().item<bool>()) throw Error(place, "all zero, but sensitivities are needed");
  return planes;
}

LinearOperatorPtr make_multi_coil(Shape domain, const Tensor& sensitivities, const Tensor& keep,
                                  const KSpaceOptions& options) {
  require_image(domain, options.complex, "multi-coil.domain");
  if (!options.complex && product(domain) != domain[domain.size() - 2] * domain.back()) {
    throw Error("multi-coil.domain",
                fmt::format("shape {}, but (H, W), (1, H, W) or, with complex = true, (2, "
                            "H, W) is needed",
                            to_string(domain)));
  }
  require_keep(keep, domain, "multi-coil.keep");
  return std::make_shared<MultiCoilOperator>(
      domain, coil_planes(sensitivities, domain, "multi-coil.sensitivities"), keep.cpu(), options);
}

}  // namespace tweedie
