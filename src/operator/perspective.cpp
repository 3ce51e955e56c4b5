// Pinhole cameras (Hartley & Zisserman, Multiple View Geometry, 2004, section 6.1): (u, v, w) = P (x, 1), y =
// (u, v) / w. With y = (a, b) / w and a cotangent (p, q): p P_1 / w + q P_2 / w - (p u + q v) / w^2 P_3, the
// last only where w is not held at the nearest depth.

#include "core/shape.h"
#include "operator/linear.h"
#include "tweedie/nonlinear_operators.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {
namespace {

Shape image_shape(Shape domain, const Tensor& cameras) {
  domain.back() = 2;
  if (cameras.dim() == 3) domain.insert(domain.begin(), cameras.size(0));
  return domain;
}

class Perspective final : public ForwardOperator {
 public:
  Perspective(Shape domain, const Tensor& cameras, double nearest)
      : domain_(std::move(domain)),
        codomain_(image_shape(domain_, cameras)),
        cameras_(cameras.to(at::kCPU, at::kDouble).reshape({-1, 3, 4}).contiguous()),
        nearest_(nearest) {}
  Shape domain() const override { return domain_; }
  Shape codomain() const override { return codomain_; }

 protected:
  Tensor do_apply(const Tensor& x) const override {
    std::vector<Tensor> images;
    for (int64_t k = 0; k < cameras_.size(0); ++k) {
      const Seen seen = look(x, k);
      images.push_back(at::stack({seen.u / seen.depth, seen.v / seen.depth}, -1));
    }
    return at::stack(images, 1).view(with_batch(x.size(0), codomain_));
  }

  Tensor do_vjp(const Tensor& x, const Tensor& v) const override {
    const Tensor of_camera = v.reshape({x.size(0), cameras_.size(0), -1, 2});
    Tensor result = at::zeros(points(x).sizes(), x.options());
    for (int64_t k = 0; k < cameras_.size(0); ++k) {
      const Seen seen = look(x, k);
      const Tensor p = of_camera.select(1, k).select(-1, 0) / seen.depth;
      const Tensor q = of_camera.select(1, k).select(-1, 1) / seen.depth;
      const Tensor slope = (p * seen.u + q * seen.v) / seen.depth;
      const Tensor r = at::where(seen.w.gt(nearest_), -slope, at::zeros_like(slope));
      std::vector<Tensor> axes;
      for (int64_t j = 0; j < 3; ++j)
        axes.push_back(p * entry(k, 0, j) + q * entry(k, 1, j) + r * entry(k, 2, j));
      result = result + at::stack(axes, -1);
    }
    return result.view(x.sizes());
  }

 private:
  // Each (B, points)
  struct Seen {
    Tensor u, v, w, depth;
  };

  static Tensor points(const Tensor& x) { return x.reshape({x.size(0), -1, 3}); }
  double entry(int64_t camera, int64_t i, int64_t j) const {
    return cameras_.data_ptr<double>()[12 * camera + 4 * i + j];
  }

  Seen look(const Tensor& x, int64_t k) const {
    const Tensor at_points = points(x);
    const auto row = [&](int64_t i) {
      Tensor sum = at_points.select(-1, 0) * entry(k, i, 0);
      for (int64_t j = 1; j < 3; ++j) sum = sum + at_points.select(-1, j) * entry(k, i, j);
      return sum + entry(k, i, 3);
    };
    const Tensor w = row(2);
    return {row(0), row(1), w, w.clamp_min(nearest_)};
  }

  Shape domain_, codomain_;
  Tensor cameras_;  // (k, 3, 4) float64
  double nearest_;
};

Tensor checked(const Tensor& m, const Shape& shape, const char* place) {
  if (m.sizes() != at::IntArrayRef(shape)) {
    throw Error(place, fmt::format("shape {}, but {} is needed", to_string(m.sizes()), to_string(shape)));
  }
  require_real(m, place);
  require_finite(m, place);
  return m.detach().to(at::kCPU, at::kDouble);
}

}  // namespace

ForwardOperatorPtr make_perspective(Shape domain, const Tensor& cameras, double nearest) {
  require_domain(domain, 1, "perspective.domain");
  if (domain.back() != 3) {
    throw Error("perspective.domain",
                fmt::format("x has shape {}, but points (..., 3) are needed", to_string(domain)));
  }
  if ((cameras.dim() != 2 && cameras.dim() != 3) || cameras.size(-2) != 3 || cameras.size(-1) != 4 ||
      cameras.numel() == 0) {
    throw Error("perspective.cameras",
                fmt::format("shape {}, but (3, 4) or (k, 3, 4) is needed", to_string(cameras.sizes())));
  }
  require_real(cameras, "perspective.cameras");
  require_finite(cameras, "perspective.cameras");
  if (!(nearest > 0) || !std::isfinite(nearest)) {
    throw Error("perspective.nearest", fmt::format("{}, but a finite number above 0 is needed", nearest));
  }
  return std::make_shared<Perspective>(std::move(domain), cameras, nearest);
}

Tensor camera_matrix(const Tensor& intrinsics, const Tensor& rotation, const Tensor& translation) {
  const Tensor k = checked(intrinsics, {3, 3}, "perspective.intrinsics");
  const Tensor r = checked(rotation, {3, 3}, "perspective.rotation");
  const Tensor t = checked(translation, {3}, "perspective.translation");
  const double off = (r.matmul(r.t()) - at::eye(3, at::kDouble)).abs().max().item<double>();
  if (!(off < 1e-6) || at::det(r).item<double>() < 0) {
    throw Error("perspective.rotation",
                fmt::format("R R^T differs from I by {:.2g}, or mirrors; a rotation is needed", off));
  }
  return k.matmul(at::cat({r, t.unsqueeze(1)}, 1));
}

}  // namespace tweedie
