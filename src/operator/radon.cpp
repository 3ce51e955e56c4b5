// Line integrals of an image along the rays of a parallel or fan beam, and their transpose. Rays are shared
// out among threads by view, and the transpose is a sum of the images of a fixed number of groups of views,
// so that its bits do not depend on the threads.

#include "operator/radon.h"

#include "core/workers.h"
#include "kernel/projection.h"
#include "operator/image_planes.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

constexpr int64_t groups = 8;  // of views, in the transpose

struct Point {
  double x, y;
};

// Two points of the ray, in units of length
std::pair<Point, Point> ends_of_ray(const RadonGeometry& g, double degrees, int64_t detector) {
  const double a = degrees * std::numbers::pi / 180;
  const Point e{std::cos(a), std::sin(a)}, f{-e.y, e.x};
  const double u = (static_cast<double>(detector) - 0.5 * static_cast<double>(g.detectors - 1)) * g.spacing;
  const Point source{-g.source_distance * f.x, -g.source_distance * f.y};
  switch (g.beam) {
    case RadonGeometry::Beam::parallel:
      return {{u * e.x, u * e.y}, {u * e.x + f.x, u * e.y + f.y}};
    case RadonGeometry::Beam::fan_flat:
      return {source, {g.detector_distance * f.x + u * e.x, g.detector_distance * f.y + u * e.y}};
    case RadonGeometry::Beam::fan_arc:
      break;
  }
  const double off = u / (g.source_distance + g.detector_distance), c = std::cos(off), s = std::sin(off);
  return {source, {source.x + c * f.x + s * e.x, source.y + c * f.y + s * e.y}};
}

class JosephOperator final : public RadonOperator {
 public:
  JosephOperator(const Shape& domain, const Shape& codomain, const RadonGeometry& geometry)
      : RadonOperator(domain, codomain, geometry),
        height_(domain[domain.size() - 2]),
        width_(domain.back()),
        views_(static_cast<int64_t>(geometry.angles.size())),
        detectors_(geometry.detectors),
        gram_(geometry, height_, width_) {
    const double middle_x = 0.5 * static_cast<double>(width_ - 1),
                 middle_y = 0.5 * static_cast<double>(height_ - 1);
    for (const double angle : geometry.angles) {
      for (int64_t d = 0; d < detectors_; ++d) {
        const auto [p, q] = ends_of_ray(geometry, angle, d);
        const double s = 1 / geometry.pixel;
        rays_.push_back(joseph_ray(middle_x + s * p.x, middle_y - s * p.y, middle_x + s * q.x,
                                   middle_y - s * q.y, geometry.pixel, height_, width_));
      }
    }
  }

  bool preconditions_gram() const override { return true; }

 protected:
  Tensor do_apply(const Tensor& x) const override {
    const Tensor from = x.cpu().contiguous();
    Tensor y = at::empty(with_batch(x.size(0), codomain()), from.options());
    with_value_of(x.scalar_type(), [&](auto zero) {
      using Value = decltype(zero);
      for_each(images(from) * views_, [&](int64_t i) {
        const Value* image = from.data_ptr<Value>() + i / views_ * pixels();
        const Ray* rays = rays_.data() + i % views_ * detectors_;
        Value* to = y.data_ptr<Value>() + i * detectors_;
        project(rays, detectors_, image, height_, width_, to);
      });
    });
    return y.to(x.device());
  }
  Tensor do_adjoint(const Tensor& y) const override {
    const Tensor from = y.cpu().contiguous();
    Tensor x = at::empty(with_batch(y.size(0), domain()), from.options());
    with_value_of(y.scalar_type(), [&](auto zero) {
      using Value = decltype(zero);
      Tensor parts = at::empty({groups, height_, width_}, from.options());
      for (int64_t image = 0; image < images(x); ++image) {
        parts.zero_();
        for_each(groups, [&](int64_t group) {
          Value* to = parts.data_ptr<Value>() + group * pixels();
          const int64_t begin = group * views_ / groups * detectors_,
                        end = (group + 1) * views_ / groups * detectors_;
          const Value* values = from.data_ptr<Value>() + image * views_ * detectors_ + begin;
          back_project(rays_.data() + begin, end - begin, values, to, height_, width_);
        });
        Value* sum = x.data_ptr<Value>() + image * pixels();
        std::copy_n(parts.data_ptr<Value>(), pixels(), sum);
        for (int64_t group = 1; group < groups; ++group) {
          const Value* part = parts.data_ptr<Value>() + group * pixels();
          for (int64_t i = 0; i < pixels(); ++i) sum[i] += part[i];
        }
      }
    });
    return x.to(y.device());
  }
  Tensor do_precondition_gram(const Tensor& b, double lambda) const override {
    return gram_.solve(b, lambda);
  }

 private:
  int64_t pixels() const { return height_ * width_; }
  int64_t images(const Tensor& x) const { return x.numel() / pixels(); }

  int64_t height_, width_, views_, detectors_;
  RadonGram gram_;
  std::vector<Ray> rays_;  // view by view
};

void require_length(double value, const char* place) {
  if (!(value > 0) || !std::isfinite(value)) {
    throw Error(place, fmt::format("{}, but a length > 0 is needed", value));
  }
}

}  // namespace

void require_geometry(const RadonGeometry& g, int64_t height, int64_t width) {
  if (g.angles.empty()) throw Error("radon.angles", "no views, but at least one is needed");
  for (const double a : g.angles) {
    if (!std::isfinite(a)) throw Error("radon.angles", fmt::format("{}, but degrees are needed", a));
  }
  if (g.detectors < 1)
    throw Error("radon.detectors", fmt::format("{}, but 1 or more is needed", g.detectors));
  require_length(g.spacing, "radon.spacing");
  require_length(g.pixel, "radon.pixel");
  if (g.beam == RadonGeometry::Beam::parallel) return;
  const double radius = 0.5 * g.pixel * std::hypot(static_cast<double>(height), static_cast<double>(width));
  if (!(g.source_distance > radius) || !std::isfinite(g.source_distance)) {
    throw Error(
        "radon.source_distance",
        fmt::format("{}, but the source has to be outside the image, whose corners are {:.6g} from the "
                    "centre",
                    g.source_distance, radius));
  }
  if (!(g.detector_distance >= 0) || !std::isfinite(g.detector_distance)) {
    throw Error("radon.detector_distance",
                fmt::format("{}, but a length >= 0 is needed", g.detector_distance));
  }
  const double fan = g.spacing * static_cast<double>(g.detectors) / (g.source_distance + g.detector_distance);
  if (g.beam == RadonGeometry::Beam::fan_arc && fan >= std::numbers::pi) {
    throw Error(
        "radon.detectors",
        fmt::format("{} of {} on an arc are {:.4g} degrees as the source sees them, but less than 180 are "
                    "needed",
                    g.detectors, g.spacing, fan * 180 / std::numbers::pi));
  }
}

LinearOperatorPtr make_radon(Shape domain, const RadonGeometry& geometry) {
  require_domain(domain, 2, "radon.domain");
  require_geometry(geometry, domain[domain.size() - 2], domain.back());
  Shape codomain(domain.begin(), domain.end() - 2);
  if (product(codomain) == 1) codomain.clear();
  codomain.insert(codomain.end(), {static_cast<int64_t>(geometry.angles.size()), geometry.detectors});
  return std::make_shared<JosephOperator>(domain, codomain, geometry);
}

}  // namespace tweedie
