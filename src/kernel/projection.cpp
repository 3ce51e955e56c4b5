#include "kernel/projection.h"

#include "core/vectorised.h"

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

// visit(flat pixel, weight) for the two pixels of each line that the ray is between. Those outside are left
// out, so that near the edge the image falls off to 0 within a pixel.
template <class Value, class Visit>
TWEEDIE_INLINE void along(const Ray& ray, int64_t height, int64_t width, Visit visit) {
  const int64_t across = ray.along_rows ? width : height;
  const int64_t line = ray.along_rows ? width : 1, step = ray.along_rows ? 1 : width;
  for (int64_t k = ray.begin; k < ray.end; ++k) {
    const double place = ray.start + static_cast<double>(k) * ray.slope, below = __builtin_floor(place);
    const auto i = static_cast<int64_t>(below);
    const auto part = static_cast<Value>(place - below), length = static_cast<Value>(ray.length);
    const int64_t at = k * line + i * step;
    if (i >= 0 && i < across) visit(at, length * (1 - part));
    if (i + 1 >= 0 && i + 1 < across) visit(at + step, length * part);
  }
}

template <class Value>
TWEEDIE_INLINE void project_all(const Ray* rays, int64_t count, const Value* image, int64_t height,
                                int64_t width, Value* out) {
  for (int64_t r = 0; r < count; ++r) {
    double sum = 0;
    along<Value>(
        rays[r], height, width, [&](int64_t at, Value weight) __attribute__((always_inline)) {
          sum += static_cast<double>(weight) * static_cast<double>(image[at]);
        });
    out[r] = static_cast<Value>(sum);
  }
}

template <class Value>
TWEEDIE_INLINE void back_project_all(const Ray* rays, int64_t count, const Value* values, Value* image,
                                     int64_t height, int64_t width) {
  for (int64_t r = 0; r < count; ++r) {
    const Value value = values[r];
    along<Value>(
        rays[r], height,
        width, [&](int64_t at, Value weight) __attribute__((always_inline)) { image[at] += weight * value; });
  }
}

}  // namespace

Ray joseph_ray(double x0, double y0, double x1, double y1, double pixel, int64_t height, int64_t width) {
  const double dx = x1 - x0, dy = y1 - y0;
  Ray ray{};
  ray.along_rows = std::abs(dy) >= std::abs(dx);
  const double major = ray.along_rows ? dy : dx, minor = ray.along_rows ? dx : dy;
  ray.slope = minor / major;
  ray.start = (ray.along_rows ? x0 : y0) - (ray.along_rows ? y0 : x0) * ray.slope;
  ray.length = pixel * std::sqrt(1 + ray.slope * ray.slope);
  const auto lines = static_cast<double>(ray.along_rows ? height : width);
  const auto across = static_cast<double>(ray.along_rows ? width : height);
  // -1 < start + k slope < across, for whole k in [0, lines)
  double first = 0, last = lines;
  if (ray.slope == 0) {
    if (ray.start <= -1 || ray.start >= across) last = 0;
  } else {
    const double a = (-1 - ray.start) / ray.slope, b = (across - ray.start) / ray.slope;
    first = std::max(first, std::ceil(std::min(a, b)));
    last = std::min(last, std::floor(std::max(a, b)) + 1);
  }
  if (first < last) {
    ray.begin = static_cast<int32_t>(first);
    ray.end = static_cast<int32_t>(last);
  }
  return ray;
}

template <class Value>
void project(const Ray* rays, int64_t count, const Value* image, int64_t height, int64_t width, Value* out) {
  vectorised<project_all<Value>>(rays, count, image, height, width, out);
}

template <class Value>
void back_project(const Ray* rays, int64_t count, const Value* values, Value* image, int64_t height,
                  int64_t width) {
  vectorised<back_project_all<Value>>(rays, count, values, image, height, width);
}

template void project(const Ray*, int64_t, const float*, int64_t, int64_t, float*);
template void project(const Ray*, int64_t, const double*, int64_t, int64_t, double*);
template void back_project(const Ray*, int64_t, const float*, float*, int64_t, int64_t);
template void back_project(const Ray*, int64_t, const double*, double*, int64_t, int64_t);

}  // namespace tweedie
