// A box of the image. A A^T = I and A^T A is diagonal.

#include "operator/tight.h"
#include "tweedie/image_operators.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {
namespace {

Shape with_size(Shape domain, int64_t height, int64_t width) {
  domain[domain.size() - 2] = height;
  domain.back() = width;
  return domain;
}

class CropOperator final : public TightOperator {
 public:
  CropOperator(const Shape& domain, int64_t top, int64_t left, int64_t height, int64_t width)
      : TightOperator(domain, with_size(domain, height, width), 1), top_(top), left_(left) {}

 protected:
  Tensor do_apply(const Tensor& x) const override { return box(x).contiguous(); }
  Tensor do_adjoint(const Tensor& y) const override {
    Tensor x = at::zeros(with_batch(y.size(0), domain()), y.options());
    box(x).copy_(y);
    return x;
  }
  Tensor do_solve_normal(const Tensor& b, double lambda) const override {
    Tensor x = b / lambda;
    box(x).copy_(box(b) / (1 + lambda));
    return x;
  }

 private:
  Tensor box(const Tensor& x) const {
    const Shape size = codomain();
    return x.narrow(-2, top_, size[size.size() - 2]).narrow(-1, left_, size.back());
  }

  int64_t top_, left_;
};

void require_within(const char* start_name, int64_t start, const char* extent_name, int64_t extent,
                    int64_t size) {
  if (start < 0 || start >= size) {
    throw Error(fmt::format("crop.{}", start_name),
                fmt::format("{}, but 0 to {} is needed", start, size - 1));
  }
  if (extent < 1 || extent > size - start) {
    throw Error(fmt::format("crop.{}", extent_name),
                fmt::format("{}, but 1 to {} is needed: the box starts at {} of {} pixels", extent,
                            size - start, start, size));
  }
}

}  // namespace

LinearOperatorPtr make_crop(Shape domain, int64_t top, int64_t left, int64_t height, int64_t width) {
  require_domain(domain, 2, "crop.domain");
  require_within("top", top, "height", height, domain[domain.size() - 2]);
  require_within("left", left, "width", width, domain.back());
  return std::make_shared<CropOperator>(domain, top, left, height, width);
}

}  // namespace tweedie
