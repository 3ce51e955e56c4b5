#include "operator/nufft_plan.h"

#include "core/vectorised.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

// Transforms of an image's lines, in parts that threads share. Which parts there are follows from the sizes.
constexpr int64_t lines_together = 64;

template <class Value>
void all_columns(const FourierLines<Value>& transform, const Planes<Value>& image, int64_t columns) {
  for_each((columns + lines_together - 1) / lines_together, [&](int64_t i) {
    transform.columns(image, i * lines_together, std::min(columns, (i + 1) * lines_together));
  });
}
template <class Value>
void some_rows(const FourierLines<Value>& transform, const Planes<Value>& image, int64_t begin, int64_t end) {
  for_each((end - begin + lines_together - 1) / lines_together, [&](int64_t i) {
    const int64_t first = begin + i * lines_together;
    transform.rows(image, first, std::min(end, first + lines_together));
  });
}

// Where row or column i of n, counted from the centre, lies on a grid that starts with the centre
int64_t place_of(int64_t i, int64_t n, int64_t grid) {
  const int64_t from_centre = i - n / 2;
  return from_centre < 0 ? from_centre + grid : from_centre;
}

template <class Value>
struct Line {
  const Value *re, *im, *factor_re, *factor_im;
};

template <class Value>
Line<Value> line_of(PlanesOf<const Value> x, PlanesOf<const Value> factor, int64_t start) {
  return {x.re + start, x.im == nullptr ? nullptr : x.im + start,
          factor.re == nullptr ? nullptr : factor.re + start,
          factor.re == nullptr ? nullptr : factor.im + start};
}

// to = weight scale factor x, over columns [begin, end) of a line
template <class Value>
TWEEDIE_INLINE void lay(Line<Value> x, const Value* weight, Value scale, Value* re, Value* im, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    const Value w = weight == nullptr ? scale : weight[j] * scale;
    const Value a = w * x.re[j], b = x.im == nullptr ? Value(0) : w * x.im[j];
    re[j] = x.factor_re == nullptr ? a : x.factor_re[j] * a - x.factor_im[j] * b;
    im[j] = x.factor_re == nullptr ? b : x.factor_re[j] * b + x.factor_im[j] * a;
  }
}

// out = weight scale conj(factor) (re, im)
template <class Value>
TWEEDIE_INLINE void take(const Value* re, const Value* im, const Value* factor_re, const Value* factor_im,
                         const Value* weight, Value scale, PlanesOf<Value> out, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    const Value w = weight == nullptr ? scale : weight[j] * scale;
    const Value a = w * re[j], b = w * im[j];
    out.re[j] = factor_re == nullptr ? a : factor_re[j] * a + factor_im[j] * b;
    if (out.im != nullptr) out.im[j] = factor_re == nullptr ? b : factor_re[j] * b - factor_im[j] * a;
  }
}

template <class Value>
TWEEDIE_INLINE void weigh(Value* re, Value* im, const Value* weight, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    re[i] *= weight[i];
    im[i] *= weight[i];
  }
}

// 1 / the kernel's transform at the pixels of one axis
template <class Value>
std::vector<Value> correction(int64_t n, int64_t grid, const GridKernel& kernel) {
  std::vector<Value> result(n);
  for (int64_t i = 0; i < n; ++i) {
    const double frequency = static_cast<double>(i - n / 2) / static_cast<double>(grid);
    result[i] = static_cast<Value>(1 / (kernel.transform(frequency) * std::sqrt(static_cast<double>(n))));
  }
  return result;
}

std::vector<double> scaled_points(const Tensor& points, int64_t rows, int64_t columns) {
  std::vector<double> result(points.numel());
  const double* k = points.data_ptr<double>();
  for (size_t i = 0; i < result.size(); ++i)
    result[i] = k[i] * static_cast<double>(i % 2 == 0 ? rows : columns);
  return result;
}

int64_t grid_of(int64_t n, double oversampling, const GridKernel& kernel) {
  const auto least = static_cast<int64_t>(std::ceil(oversampling * static_cast<double>(n)));
  return fast_fourier_length(std::max(least, 2 * kernel.width));
}

// A grid of a thread's own, kept from call to call
template <class Value>
WrappedGrid<Value>& grid_of_thread(int64_t rows, int64_t columns) {
  thread_local std::unique_ptr<WrappedGrid<Value>> grid;
  if (grid == nullptr || grid->rows() != rows || grid->columns() != columns) {
    grid = std::make_unique<WrappedGrid<Value>>(rows, columns);
  }
  return *grid;
}

}  // namespace

template <class Value>
NufftPlan<Value>::NufftPlan(const Tensor& points, int64_t height, int64_t width, const GridKernel& kernel,
                            int64_t rows, int64_t columns)
    : height_(height),
      width_(width),
      rows_(columns),
      columns_(rows),
      gridding_(scaled_points(points, rows, columns).data(), points.size(0), rows, columns, kernel),
      vertical_(correction<Value>(height, rows, kernel)),
      horizontal_(correction<Value>(width, columns, kernel)) {}

template <class Value>
NufftPlan<Value>::NufftPlan(const Tensor& points, int64_t height, int64_t width,
                            const NufftSettings& settings)
    : NufftPlan(points, height, width, GridKernel::for_accuracy(settings.tolerance, settings.oversampling),
                grid_of(height, settings.oversampling,
                        GridKernel::for_accuracy(settings.tolerance, settings.oversampling)),
                grid_of(width, settings.oversampling,
                        GridKernel::for_accuracy(settings.tolerance, settings.oversampling))) {}

template <class Value>
void NufftPlan<Value>::forward(PlanesOf<const Value> x, PlanesOf<const Value> factor, Value* y) const {
  const int64_t rows = columns_.size(), columns = rows_.size(), right = width_ - width_ / 2;
  WrappedGrid<Value>& grid = grid_of_thread<Value>(rows, columns);
  grid.clear();
  const Planes<Value> planes = grid.planes();
  for (int64_t i = 0; i < height_; ++i) {
    const int64_t row = place_of(i, height_, rows) * planes.stride, start = i * width_;
    const auto lay_part = [&](int64_t from, int64_t to, int64_t n) {
      vectorised<lay<Value>>(line_of(x, factor, start + from),
                             static_cast<const Value*>(horizontal_.data() + from), vertical_[i],
                             planes.re + row + to, planes.im + row + to, n);
    };
    lay_part(width_ / 2, 0, right);
    lay_part(0, columns - width_ / 2, width_ / 2);
  }
  some_rows(rows_, planes, 0, height_ - height_ / 2);
  some_rows(rows_, planes, rows - height_ / 2, rows);
  all_columns(columns_, planes, columns);
  grid.repeat();
  gridding_.read(grid, y);
}

template <class Value>
void NufftPlan<Value>::adjoint(const Value* y, PlanesOf<const Value> factor, PlanesOf<Value> x) const {
  const int64_t rows = columns_.size(), columns = rows_.size(), right = width_ - width_ / 2;
  WrappedGrid<Value>& grid = grid_of_thread<Value>(rows, columns);
  grid.clear();
  gridding_.spread(y, grid);
  grid.fold();
  const Planes<Value> planes = grid.planes(), inverse = planes.exchanged();
  all_columns(columns_, inverse, columns);
  some_rows(rows_, inverse, 0, height_ - height_ / 2);
  some_rows(rows_, inverse, rows - height_ / 2, rows);
  for (int64_t i = 0; i < height_; ++i) {
    const int64_t row = place_of(i, height_, rows) * planes.stride, start = i * width_;
    const auto take_part = [&](int64_t from, int64_t to, int64_t n) {
      const auto line = line_of(PlanesOf<const Value>{x.re, x.im}, factor, start + from);
      const PlanesOf<Value> out{x.re + start + from, x.im == nullptr ? nullptr : x.im + start + from};
      vectorised<take<Value>>(static_cast<const Value*>(planes.re + row + to),
                              static_cast<const Value*>(planes.im + row + to), line.factor_re, line.factor_im,
                              static_cast<const Value*>(horizontal_.data() + from), vertical_[i], out, n);
    };
    take_part(width_ / 2, 0, right);
    take_part(0, columns - width_ / 2, width_ / 2);
  }
}

// t[d] for |d| < (H, W) is the adjoint at all points of an image of (2 H - 1) x (2 W - 1), and 0 elsewhere.
template <class Value>
NufftConvolution<Value>::NufftConvolution(const Tensor& points, int64_t height, int64_t width,
                                          const NufftSettings& settings)
    : height_(height),
      width_(width),
      rows_(fast_fourier_length(2 * width - 1)),
      columns_(fast_fourier_length(2 * height - 1)) {
  const int64_t tall = 2 * height - 1, wide = 2 * width - 1, rows = columns_.size(), columns = rows_.size();
  const NufftPlan<double> plan(points, tall, wide, settings);
  std::vector<double> ones(points.numel()), re(tall * wide), im(tall * wide);
  for (size_t i = 0; i < ones.size(); i += 2) ones[i] = 1;
  plan.adjoint(ones.data(), {nullptr, nullptr}, {re.data(), im.data()});
  std::vector<double> laid(2 * rows * columns);
  const Planes<double> image{laid.data(), laid.data() + rows * columns, columns};
  const double scale = std::sqrt(static_cast<double>(tall * wide)) / static_cast<double>(height * width) /
                       static_cast<double>(rows * columns);
  for (int64_t i = 0; i < tall; ++i) {
    for (int64_t j = 0; j < wide; ++j) {
      const int64_t place = place_of(i, tall, rows) * columns + place_of(j, wide, columns);
      image.re[place] = scale * re[i * wide + j];
      image.im[place] = scale * im[i * wide + j];
    }
  }
  some_rows(FourierLines<double>(columns), image, 0, rows);
  all_columns(FourierLines<double>(rows), image, columns);
  // t[-d] is the conjugate of t[d], so its transform is real; what rounding says otherwise is dropped.
  spectrum_.assign(image.re, image.re + rows * columns);
}

template <class Value>
void NufftConvolution<Value>::apply(PlanesOf<const Value> x, PlanesOf<const Value> factor,
                                    PlanesOf<Value> out) const {
  const int64_t rows = columns_.size(), columns = rows_.size();
  WrappedGrid<Value>& grid = grid_of_thread<Value>(rows, columns);
  grid.clear();
  const Planes<Value> planes = grid.planes(), inverse = planes.exchanged();
  const Value* no_weight = nullptr;
  for (int64_t i = 0; i < height_; ++i) {
    vectorised<lay<Value>>(line_of(x, factor, i * width_), no_weight, Value(1), planes.re + i * planes.stride,
                           planes.im + i * planes.stride, width_);
  }
  some_rows(rows_, planes, 0, height_);
  for_each((columns + lines_together - 1) / lines_together, [&](int64_t part) {
    const int64_t begin = part * lines_together, end = std::min(columns, begin + lines_together);
    columns_.columns(planes, begin, end);
    for (int64_t i = 0; i < rows; ++i) {
      vectorised<weigh<Value>>(planes.re + i * planes.stride + begin, planes.im + i * planes.stride + begin,
                               spectrum_.data() + i * columns + begin, end - begin);
    }
    columns_.columns(inverse, begin, end);
  });
  some_rows(rows_, inverse, 0, height_);
  for (int64_t i = 0; i < height_; ++i) {
    const auto line = line_of(x, factor, i * width_);
    const PlanesOf<Value> to{out.re + i * width_, out.im == nullptr ? nullptr : out.im + i * width_};
    vectorised<take<Value>>(static_cast<const Value*>(planes.re + i * planes.stride),
                            static_cast<const Value*>(planes.im + i * planes.stride), line.factor_re,
                            line.factor_im, no_weight, Value(1), to, width_);
  }
}

template class NufftPlan<float>;
template class NufftPlan<double>;
template class NufftConvolution<float>;
template class NufftConvolution<double>;

}  // namespace tweedie
