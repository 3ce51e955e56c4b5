// Compressed sensing: a few random combinations of all of x. Gaussian rows (Candes & Tao 2006); rows of a
// fast orthonormal transform after random signs (Rauhut 2010; Do, Gan, Nguyen & Tran 2012).

#include "tweedie/sensing.h"
#include "core/rows.h"
#include "operator/tight.h"
#include "operator/transforms.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

namespace tweedie {
namespace {

constexpr int64_t stored_entries = 4'000'000;  // of a Gaussian matrix, 32 MB
constexpr int64_t block_entries = 1'000'000;   // of one that is made anew, at a time

// Rows first .. first + count - 1 of G: each a function of the noise and its number.
Tensor gaussian_rows(const Noise& noise, int64_t first, int64_t count, int64_t m, int64_t d) {
  std::vector<uint64_t> rows(count);
  std::iota(rows.begin(), rows.end(), static_cast<uint64_t>(first));
  return noise.rows(std::move(rows)).normal({count, d}, at::kDouble) / std::sqrt(static_cast<double>(m));
}

class GaussianSensing final : public FixedShape {
 public:
  GaussianSensing(const Shape& domain, int64_t m, const Noise& noise)
      : FixedShape(domain, {m}),
        noise_(noise),
        block_(std::max<int64_t>(1, block_entries / product(domain))) {}

 protected:
  Tensor do_apply(const Tensor& x) const override {
    std::vector<Tensor> parts;
    for_blocks([&](int64_t, const Tensor& rows) {
      parts.push_back(row_matmul(x.flatten(1), rows.t().contiguous().to(x.options())));
    });
    return at::cat(parts, 1);
  }
  Tensor do_adjoint(const Tensor& y) const override {
    Tensor x = at::zeros({y.size(0), product(domain())}, y.options());
    for_blocks([&](int64_t first, const Tensor& rows) {
      x = x + row_matmul(y.narrow(1, first, rows.size(0)), rows.to(y.options()));
    });
    return x.view(with_batch(y.size(0), domain()));
  }

 private:
  template <class Use>
  void for_blocks(Use use) const {
    const int64_t m = codomain()[0];
    for (int64_t first = 0; first < m; first += block_) {
      use(first, gaussian_rows(noise_, first, std::min(block_, m - first), m, product(domain())));
    }
  }

  Noise noise_;
  int64_t block_;
};

class SubsampledTransform final : public TightOperator {
 public:
  SubsampledTransform(const Shape& domain, FastTransform transform, const Tensor& kept, const Tensor& signs)
      : TightOperator(domain, {kept.numel()}, 1), transform_(transform), kept_(kept), signs_(signs) {}

 protected:
  Tensor do_apply(const Tensor& x) const override {
    const Tensor signed_x = x.flatten(1) * signs_.like(x);
    return (transform_ == FastTransform::dct ? dct(signed_x) : walsh_hadamard(signed_x))
        .index_select(1, kept(x));
  }
  Tensor do_adjoint(const Tensor& y) const override {
    const Tensor full = at::zeros({y.size(0), product(domain())}, y.options()).index_copy(1, kept(y), y);
    const Tensor x = transform_ == FastTransform::dct ? inverse_dct(full) : walsh_hadamard(full);
    return (x * signs_.like(y)).view(with_batch(y.size(0), domain()));
  }

 private:
  Tensor kept(const Tensor& x) const { return kept_.as(at::kLong, x.device()); }

  FastTransform transform_;
  Constant kept_, signs_;  // (m) rows of the transform; (d) of 1 and -1
};

}  // namespace

LinearOperatorPtr make_gaussian_sensing(Shape domain, int64_t measurements, const Noise& noise) {
  require_domain(domain, 1, "compressed-sensing.domain");
  if (measurements < 1) {
    throw Error("compressed-sensing.measurements", fmt::format("{}, but >= 1 is needed", measurements));
  }
  const int64_t d = product(domain);
  if (measurements <= stored_entries / d) {
    return make_matrix(std::move(domain), gaussian_rows(noise, 0, measurements, measurements, d));
  }
  return std::make_shared<GaussianSensing>(domain, measurements, noise);
}

LinearOperatorPtr make_subsampled_transform(Shape domain, FastTransform transform, int64_t measurements,
                                            bool random_signs, const Noise& noise) {
  require_domain(domain, 1, "compressed-sensing.domain");
  const int64_t d = product(domain);
  if (measurements < 1 || measurements > d) {
    throw Error("compressed-sensing.measurements", fmt::format("{}, but 1 to {} is needed for x of shape {}",
                                                               measurements, d, to_string(domain)));
  }
  if (transform == FastTransform::hadamard && !std::has_single_bit(static_cast<uint64_t>(d))) {
    throw Error("compressed-sensing.matrix",
                fmt::format("hadamard, but x of shape {} has {} entries, not a power of two; use dct",
                            to_string(domain), d));
  }
  auto rows = noise.stream(1).permutation(d);
  rows.resize(measurements);
  std::sort(rows.begin(), rows.end());
  Tensor signs = at::ones({d}, at::kDouble);
  if (random_signs) signs = noise.stream(2).uniform({1, d}, at::kDouble)[0].lt(0.5).to(at::kDouble) * 2 - 1;
  return std::make_shared<SubsampledTransform>(domain, transform, at::tensor(rows, at::kLong), signs);
}

}  // namespace tweedie
