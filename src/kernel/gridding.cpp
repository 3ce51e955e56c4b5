#include "kernel/gridding.h"

#include "core/vectorised.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>

namespace tweedie {

namespace {

constexpr double pi = std::numbers::pi;

constexpr int terms = 60;

// 1 / k^2
constexpr auto inverse_squares = [] {
  std::array<double, terms + 1> result{};
  for (int k = 1; k <= terms; ++k) result[k] = 1 / (static_cast<double>(k) * static_cast<double>(k));
  return result;
}();

// I_0(sqrt(4 q)) = sum_k q^k / (k!)^2; 60 terms are exact to rounding for arguments up to 40. Number: double
// or Eight
template <class Number>
TWEEDIE_INLINE Number bessel_of_quarter_square(Number q) {
  Number sum = q * inverse_squares[terms] + 1;
  for (int k = terms - 1; k > 0; --k) sum = 1 + sum * (q * inverse_squares[k]);
  return sum;
}

using Eight = Lanes<double>::Type;

// weights of `taps` numbers, a multiple of 8, for each offset from the first; 0 beyond the width
TWEEDIE_INLINE void kernel_weights(const double* offset, double* weight, int64_t count, int64_t width,
                                   int64_t taps, double beta) {
  const double quarter = beta * beta / 4, scale = 1 / bessel_of_quarter_square(quarter);
  const auto extent = static_cast<double>(width);
  const Eight first{0, 1, 2, 3, 4, 5, 6, 7}, zero{};
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t t = 0; t < taps; t += 8) {
      const Eight tap = first + static_cast<double>(t);
      const Eight z = (tap - offset[i]) * (2 / extent), inside = 1 - z * z;
      const Eight value = scale * bessel_of_quarter_square<Eight>(inside > 0 ? quarter * inside : zero);
      const Eight kept = inside >= 0 ? value : zero, within = tap < extent ? kept : zero;
      __builtin_memcpy(weight + i * taps + t, &within, sizeof within);
    }
  }
}

template <class Value, int taps>
struct Tap {
  using V = Value __attribute__((vector_size(taps * sizeof(Value))));
};

template <class V, class Value>
TWEEDIE_INLINE V load(const Value* from) {
  V v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}
template <class V, class Value>
TWEEDIE_INLINE void add_to(Value* to, V v) {
  v += load<V>(to);
  __builtin_memcpy(to, &v, sizeof v);
}

template <class Value>
struct Job {
  Planes<Value> grid;
  const int64_t* order;
  const int32_t* start;
  const Value* weight;
  int64_t begin, end, width;
};

template <class Value, int taps>
TWEEDIE_INLINE void read_points(const Job<Value>* job, Value* y) {
  using V = typename Tap<Value, taps>::V;
  constexpr auto lanes = std::make_integer_sequence<int, taps>();
  const Planes<Value> grid = job->grid;
  for (int64_t i = job->begin; i < job->end; ++i) {
    const int64_t place = job->start[2 * i] * grid.stride + job->start[2 * i + 1];
    const Value *rows = job->weight + 2 * taps * i, *columns = rows + taps;
    V re{}, im{};
    for (int64_t a = 0; a < job->width; ++a) {
      re += rows[a] * load<V>(grid.re + place + a * grid.stride);
      im += rows[a] * load<V>(grid.im + place + a * grid.stride);
    }
    const V along = load<V>(columns);
    Value* to = y + 2 * job->order[i];
    to[0] = fold<taps / 2>(V(re * along), lanes)[0];
    to[1] = fold<taps / 2>(V(im * along), lanes)[0];
  }
}

template <class Value, int taps>
TWEEDIE_INLINE void spread_points(const Job<Value>* job, const Value* y) {
  using V = typename Tap<Value, taps>::V;
  const Planes<Value> grid = job->grid;
  for (int64_t i = job->begin; i < job->end; ++i) {
    const int64_t place = job->start[2 * i] * grid.stride + job->start[2 * i + 1];
    const Value *rows = job->weight + 2 * taps * i, *columns = rows + taps;
    const Value* from = y + 2 * job->order[i];
    const V along = load<V>(columns), re = from[0] * along, im = from[1] * along;
    for (int64_t a = 0; a < job->width; ++a) {
      add_to<V>(grid.re + place + a * grid.stride, V(rows[a] * re));
      add_to<V>(grid.im + place + a * grid.stride, V(rows[a] * im));
    }
  }
}

// Into [0, n)
double wrapped(double g, int64_t n) {
  const auto extent = static_cast<double>(n);
  const double w = g - extent * std::floor(g / extent);
  return w < extent ? w : 0;
}

}  // namespace

GridKernel GridKernel::for_accuracy(double tolerance, double oversampling) {
  const double per_tap = pi * std::sqrt(1 - 1 / oversampling);
  const auto width =
      std::clamp<int64_t>(static_cast<int64_t>(std::ceil(-std::log(tolerance) / per_tap)) + 1, 2, 16);
  const double ratio = static_cast<double>(width) / oversampling * (oversampling - 0.5);
  return {width, pi * std::sqrt(std::max(0.1, ratio * ratio - 0.8))};
}

double GridKernel::transform(double frequency) const {
  const double edge = pi * static_cast<double>(width) * frequency, square = beta * beta - edge * edge;
  const double root = std::sqrt(std::abs(square));
  const double shape = root < 1e-8 ? 1 : (square > 0 ? std::sinh(root) : std::sin(root)) / root;
  return static_cast<double>(width) * shape / bessel_of_quarter_square(beta * beta / 4);
}

template <class Value>
void WrappedGrid<Value>::repeat() {
  for (Value* plane : {planes().re, planes().im}) {
    for (int64_t i = 0; i < rows_; ++i) {
      Value* row = plane + i * stride_;
      for (int64_t j = 0; j < margin; ++j) row[columns_ + j] = row[j % columns_];
    }
    for (int64_t i = 0; i < margin; ++i) {
      std::copy_n(plane + i % rows_ * stride_, stride_, plane + (rows_ + i) * stride_);
    }
  }
}

template <class Value>
void WrappedGrid<Value>::fold() {
  for (Value* plane : {planes().re, planes().im}) {
    for (int64_t i = 0; i < margin; ++i) {
      const Value* from = plane + (rows_ + i) * stride_;
      Value* to = plane + i % rows_ * stride_;
      for (int64_t j = 0; j < stride_; ++j) to[j] += from[j];
    }
    for (int64_t i = 0; i < rows_; ++i) {
      Value* row = plane + i * stride_;
      for (int64_t j = 0; j < margin; ++j) row[j % columns_] += row[columns_ + j];
    }
  }
}

template <class Value>
Gridding<Value>::Gridding(const double* points, int64_t count, int64_t rows, int64_t columns,
                          const GridKernel& kernel)
    : width_(kernel.width), taps_(kernel.width <= 8 ? 8 : 16), order_(count) {
  std::vector<int32_t> start(2 * count);
  std::vector<double> offset(2 * count);
  for (int64_t i = 0; i < 2 * count; ++i) {
    const int64_t n = i % 2 == 0 ? rows : columns;
    const double g = wrapped(points[i], n), first = std::ceil(g - 0.5 * static_cast<double>(width_));
    offset[i] = g - first;
    start[i] =
        static_cast<int32_t>(first < 0 ? static_cast<int64_t>(first) + n : static_cast<int64_t>(first));
  }
  const auto key = [&](int64_t i) { return start[2 * i] / band_rows * (columns + 1) + start[2 * i + 1]; };
  std::iota(order_.begin(), order_.end(), 0);
  std::sort(order_.begin(), order_.end(),
            [&](int64_t a, int64_t b) { return std::pair(key(a), a) < std::pair(key(b), b); });
  bands_.assign((rows + band_rows - 1) / band_rows + 1, 0);
  start_.resize(2 * count);
  weight_.resize(2 * count * taps_);
  std::vector<double> sorted(2 * count), weight(2 * count * taps_);
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t axis = 0; axis < 2; ++axis) {
      start_[2 * i + axis] = start[2 * order_[i] + axis];
      sorted[2 * i + axis] = offset[2 * order_[i] + axis];
    }
    ++bands_[start_[2 * i] / band_rows + 1];
  }
  std::partial_sum(bands_.begin(), bands_.end(), bands_.begin());
  const int64_t block = 4096;
  for_each((2 * count + block - 1) / block, [&](int64_t i) {
    const int64_t begin = i * block, size = std::min(block, 2 * count - begin);
    vectorised<kernel_weights>(static_cast<const double*>(sorted.data() + begin),
                               weight.data() + begin * taps_, size, width_, taps_, kernel.beta);
  });
  std::transform(weight.begin(), weight.end(), weight_.begin(),
                 [](double w) { return static_cast<Value>(w); });
}

template <class Value>
void Gridding<Value>::read(WrappedGrid<Value>& grid, Value* y) const {
  const int64_t block = 2048, count = static_cast<int64_t>(order_.size());
  for_each((count + block - 1) / block, [&](int64_t i) {
    const Job<Value> job{grid.planes(),  order_.data(), start_.data(),
                         weight_.data(), i * block,     std::min(count, (i + 1) * block),
                         width_};
    if (taps_ == 8) {
      vectorised<read_points<Value, 8>>(&job, y);
    } else {
      vectorised<read_points<Value, 16>>(&job, y);
    }
  });
}

template <class Value>
void Gridding<Value>::spread(const Value* y, WrappedGrid<Value>& grid) const {
  const int64_t bands = static_cast<int64_t>(bands_.size()) - 1;
  for (const int64_t parity : {0, 1}) {
    for_each((bands + 1 - parity) / 2, [&](int64_t i) {
      const int64_t band = 2 * i + parity;
      const Job<Value> job{grid.planes(), order_.data(),    start_.data(), weight_.data(),
                           bands_[band],  bands_[band + 1], width_};
      if (taps_ == 8) {
        vectorised<spread_points<Value, 8>>(&job, y);
      } else {
        vectorised<spread_points<Value, 16>>(&job, y);
      }
    });
  }
}

template class WrappedGrid<float>;
template class WrappedGrid<double>;
template class Gridding<float>;
template class Gridding<double>;

}  // namespace tweedie
