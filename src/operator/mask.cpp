// Keeping some entries of x. A A^T = I and A^T A is diagonal, with 1 where an entry is kept.

#include "operator/linear.h"
#include "tweedie/operators.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {
namespace {

class MaskOperator final : public FixedShape {
 public:
  MaskOperator(const Tensor& keep, const Tensor& kept)
      : FixedShape(keep.sizes().vec(), {kept.numel()}), kept_(kept), normal_(keep.to(at::kDouble)) {}
  std::optional<Svd> svd() const override {
    const int64_t m = codomain()[0], d = product(domain());
    if (m > svd_limit / d) return std::nullopt;
    const Tensor eye = at::eye(m, at::kDouble);
    return Svd{eye, at::ones({m}, at::kDouble), dense().t().contiguous()};
  }

 protected:
  double do_norm(double /*tolerance*/) const override { return 1; }
  Tensor do_apply(const Tensor& x) const override { return x.flatten(1).index_select(1, kept(x)); }
  Tensor do_adjoint(const Tensor& y) const override {
    const Shape shape = with_batch(y.size(0), domain());
    return at::zeros({y.size(0), product(domain())}, y.options()).index_copy(1, kept(y), y).view(shape);
  }
  Tensor do_solve_normal(const Tensor& b, double lambda) const override {
    return b / (normal_.like(b) + lambda);
  }
  Tensor do_solve_gram(const Tensor& b, double lambda) const override { return b / (1 + lambda); }
  Tensor do_pseudo_inverse(const Tensor& y) const override { return do_adjoint(y); }

 private:
  Tensor kept(const Tensor& x) const { return kept_.as(at::kLong, x.device()); }

  Constant kept_;    // (m) flat indices
  Constant normal_;  // the diagonal of A^T A, of the domain's shape
};

// The axes of the pixels: the last two, or the only one.
Shape pixels(const Shape& domain) {
  return domain.size() == 1 ? domain : Shape(domain.end() - 2, domain.end());
}

Tensor all_channels(const Tensor& keep, const Shape& domain) {
  return keep.expand(domain).contiguous();
}

}  // namespace

LinearOperatorPtr make_mask(const Tensor& keep) {
  if (keep.scalar_type() != at::kBool) {
    throw Error("mask.keep", fmt::format("dtype {}, but bool is needed", toString(keep.scalar_type())));
  }
  require_domain(keep.sizes().vec(), 1, "mask.keep");
  const Tensor host = keep.cpu().contiguous();
  const Tensor kept = host.flatten().nonzero().flatten();
  if (kept.numel() == 0) throw Error("mask.keep", fmt::format("keeps none of the {} entries", keep.numel()));
  return std::make_shared<MaskOperator>(host, kept);
}

Tensor random_mask(const Shape& domain, double fraction, Noise noise) {
  require_domain(domain, 1, "mask.domain");
  if (!(fraction > 0 && fraction <= 1)) {
    throw Error("mask.fraction", fmt::format("{}, but a fraction 0 < fraction <= 1 is needed", fraction));
  }
  const int64_t n = product(pixels(domain));
  const auto count = static_cast<int64_t>(std::llround(fraction * static_cast<double>(n)));
  if (count == 0) throw Error("mask.fraction", fmt::format("{} of {} pixels is none", fraction, n));
  auto order = noise.permutation(n);
  Tensor keep = at::zeros({n}, at::kBool);
  for (int64_t i = 0; i < count; ++i) keep.data_ptr<bool>()[order[i]] = true;
  return all_channels(keep.view(pixels(domain)), domain);
}

Tensor box_mask(const Shape& domain, int64_t top, int64_t left, int64_t height, int64_t width) {
  require_domain(domain, 2, "mask.domain");
  const int64_t rows = domain[domain.size() - 2], columns = domain.back();
  const auto require_within = [](const std::string& start_name, int64_t start, const std::string& extent_name,
                                 int64_t extent, int64_t size) {
    if (start < 0 || start >= size) {
      throw Error("mask." + start_name, fmt::format("{}, but 0 to {} is needed", start, size - 1));
    }
    if (extent < 1 || extent > size - start) {
      throw Error("mask." + extent_name,
                  fmt::format("{}, but 1 to {} is needed: the box starts at {} of {} pixels", extent,
                              size - start, start, size));
    }
  };
  require_within("top", top, "height", height, rows);
  require_within("left", left, "width", width, columns);
  if (height == rows && width == columns) {
    throw Error("mask.height", fmt::format("{}, with width {} the box hides the whole image", height, width));
  }
  Tensor keep = at::ones({rows, columns}, at::kBool);
  keep.narrow(0, top, height).narrow(1, left, width).fill_(false);
  return all_channels(keep, domain);
}

}  // namespace tweedie
