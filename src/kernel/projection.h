#pragma once
// Joseph's projector (Joseph, "An improved algorithm for reprojecting rays through pixel images", IEEE TMI
// 1982) and its transpose.

#include <cstdint>

namespace tweedie {

// A ray through an image: lines k in [begin, end) of it, rows or columns, are met at `start + k slope`, in
// pixels of the other axis; each adds `length` times the value interpolated linearly there.
struct Ray {
  bool along_rows;  // lines are rows (the ray is steep) or columns
  int32_t begin, end;
  double start, slope, length;
};

// Through the points (x0, y0) and (x1, y1), which differ, in units of pixels: x is the column and y the row
// of pixel centres. Where there is nothing to meet begin = end.
Ray joseph_ray(double x0, double y0, double x1, double y1, double pixel, int64_t height, int64_t width);

// out[i] = integral along rays[i], for `count` rays
template <class Value>
void project(const Ray* rays, int64_t count, const Value* image, int64_t height, int64_t width, Value* out);
// image += sum_i values[i] times the weights of rays[i], in their order
template <class Value>
void back_project(const Ray* rays, int64_t count, const Value* values, Value* image, int64_t height,
                  int64_t width);

}  // namespace tweedie
