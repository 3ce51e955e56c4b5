#include "operator/k_space.h"

#include "core/vectorised.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

template <class Value>
TWEEDIE_INLINE void product_of(PlanesOf<const Value> x, PlanesOf<const Value> s, PlanesOf<Value> out,
                               int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const Value re = x.re[i], im = x.im == nullptr ? Value(0) : x.im[i];
    out.re[i] = s.re == nullptr ? re : s.re[i] * re - s.im[i] * im;
    out.im[i] = s.re == nullptr ? im : s.re[i] * im + s.im[i] * re;
  }
}

// out = scale conj(s) x
template <class Value>
TWEEDIE_INLINE void conjugate_product(PlanesOf<const Value> x, PlanesOf<const Value> s, Value scale,
                                      PlanesOf<Value> out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const Value re = scale * x.re[i], im = scale * x.im[i];
    out.re[i] = s.re == nullptr ? re : s.re[i] * re + s.im[i] * im;
    if (out.im != nullptr) out.im[i] = s.re == nullptr ? im : s.re[i] * im - s.im[i] * re;
  }
}

template <class Value>
TWEEDIE_INLINE void weigh(Value* re, Value* im, const Value* weight, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    re[i] *= weight[i];
    im[i] *= weight[i];
  }
}

// Planes that a thread works in
template <class Value>
PlanesOf<Value> work_planes(int64_t n) {
  thread_local std::vector<Value> memory;
  if (static_cast<int64_t>(memory.size()) < 2 * n) memory.resize(2 * n);
  return {memory.data(), memory.data() + n};
}

template <class Value>
PlanesOf<const Value> read_only(PlanesOf<Value> p) {
  return {p.re, p.im};
}

}  // namespace

KSpace::KSpace(const Tensor& keep, bool centred)
    : keep_(keep.contiguous()),
      centred_(centred),
      height_(keep.size(0)),
      width_(keep.size(1)),
      single_(height_, width_),
      twice_(height_, width_) {
  const int64_t top = centred ? height_ / 2 : 0, left = centred ? width_ / 2 : 0;
  const bool* kept = keep_.data_ptr<bool>();
  std::vector<int64_t> index(height_ * width_, -1);  // of a place, in y
  const double scale = 1 / std::sqrt(static_cast<double>(height_ * width_));
  for (int64_t i = 0; i < height_; ++i) {
    for (int64_t j = 0; j < width_; ++j) {
      along_columns_ = along_columns_ || kept[i * width_ + j] != kept[j];
      along_rows_ = along_rows_ || kept[i * width_ + j] != kept[i * width_];
      if (!kept[i * width_ + j]) continue;
      const int64_t row = (i - top + height_) % height_, column = (j - left + width_) % width_;
      const double turns = static_cast<double>(row * top % height_) / static_cast<double>(height_) +
                           static_cast<double>(column * left % width_) / static_cast<double>(width_);
      const double angle = 2 * std::numbers::pi * turns;
      for (const double part : {scale * std::cos(angle), scale * std::sin(angle)}) {
        single_.phase.push_back(static_cast<float>(part));
        twice_.phase.push_back(part);
      }
      index[row * width_ + column] = count();
      place_.push_back(row * width_ + column);
    }
  }
  for (const int64_t place : place_) {
    const int64_t row = place / width_, column = place % width_;
    opposite_.push_back(index[(height_ - row) % height_ * width_ + (width_ - column) % width_]);
  }
}

Tensor KSpace::power(bool complex) const {
  Tensor result = at::zeros({height_ * width_}, at::kDouble);
  auto* values = result.data_ptr<double>();
  for (const int64_t place : place_) {
    const int64_t row = place / width_, column = place % width_;
    values[place] += complex ? 1 : 0.5;
    if (!complex) values[(height_ - row) % height_ * width_ + (width_ - column) % width_] += 0.5;
  }
  return result.view({height_, width_});
}

template <>
const KSpace::Plan<float>& KSpace::plan() const {
  return single_;
}
template <>
const KSpace::Plan<double>& KSpace::plan() const {
  return twice_;
}

template <class Value>
void KSpace::measure(PlanesOf<const Value> x, PlanesOf<const Value> factor, Value* y) const {
  const Plan<Value>& p = plan<Value>();
  const auto work = work_planes<Value>(height_ * width_);
  vectorised<product_of<Value>>(x, factor, work, height_ * width_);
  const Planes<Value> image{work.re, work.im, width_};
  p.rows.rows(image, 0, height_);
  p.columns.columns(image, 0, width_);
  for (int64_t i = 0; i < count(); ++i) {
    const Value re = work.re[place_[i]], im = work.im[place_[i]], c = p.phase[2 * i], s = p.phase[2 * i + 1];
    y[2 * i] = c * re - s * im;
    y[2 * i + 1] = c * im + s * re;
  }
}

template <class Value>
void KSpace::adjoint(const Value* y, PlanesOf<const Value> factor, PlanesOf<Value> x) const {
  const Plan<Value>& p = plan<Value>();
  const auto work = work_planes<Value>(height_ * width_);
  std::fill_n(work.re, height_ * width_, Value(0));
  std::fill_n(work.im, height_ * width_, Value(0));
  for (int64_t i = 0; i < count(); ++i) {
    const Value re = y[2 * i], im = y[2 * i + 1], c = p.phase[2 * i], s = p.phase[2 * i + 1];
    work.re[place_[i]] = c * re + s * im;
    work.im[place_[i]] = c * im - s * re;
  }
  const Planes<Value> inverse = Planes<Value>{work.re, work.im, width_}.exchanged();
  p.columns.columns(inverse, 0, width_);
  p.rows.rows(inverse, 0, height_);
  vectorised<conjugate_product<Value>>(read_only(work), factor, Value(1), x, height_ * width_);
}

template <class Value>
void KSpace::filter(PlanesOf<const Value> x, PlanesOf<const Value> factor, const Value* weight,
                    PlanesOf<Value> out) const {
  const Plan<Value>& p = plan<Value>();
  const int64_t n = height_ * width_;
  const auto work = work_planes<Value>(n);
  vectorised<product_of<Value>>(x, factor, work, n);
  const Planes<Value> image{work.re, work.im, width_};
  if (along_rows_) p.rows.rows(image, 0, height_);
  if (along_columns_) p.columns.columns(image, 0, width_);
  vectorised<weigh<Value>>(work.re, work.im, weight, n);
  if (along_columns_) p.columns.columns(image.exchanged(), 0, width_);
  if (along_rows_) p.rows.rows(image.exchanged(), 0, height_);
  const int64_t transformed = (along_rows_ ? width_ : 1) * (along_columns_ ? height_ : 1);
  vectorised<conjugate_product<Value>>(read_only(work), factor, Value(1) / static_cast<Value>(transformed),
                                       out, n);
}

#define TWEEDIE_K_SPACE(Value)                                                                              \
  template void KSpace::measure(PlanesOf<const Value>, PlanesOf<const Value>, Value*) const;                \
  template void KSpace::adjoint(const Value*, PlanesOf<const Value>, PlanesOf<Value>) const;                \
  template void KSpace::filter(PlanesOf<const Value>, PlanesOf<const Value>, const Value*, PlanesOf<Value>) \
      const;
TWEEDIE_K_SPACE(float)
TWEEDIE_K_SPACE(double)
#undef TWEEDIE_K_SPACE

namespace {

Shape joined(Shape lead, std::initializer_list<int64_t> rest) {
  lead.insert(lead.end(), rest);
  return lead;
}

}  // namespace

CartesianOperator::CartesianOperator(const Shape& domain, const Shape& lead, const Tensor& keep, bool centred)
    : FixedShape(domain, joined(lead, {keep.sum().item<int64_t>(), 2})),
      lead_(lead),
      k_space_(keep, centred) {}

Shape CartesianOperator::grid() const {
  return joined(lead_, {k_space_.height(), k_space_.width(), 2});
}

Tensor CartesianOperator::measured(const Tensor& grid) const {
  const Tensor kept = k_space_.keep().flatten().nonzero().flatten();
  return grid.flatten(-3, -2).index_select(-2, kept.to(grid.device()));
}

Tensor CartesianOperator::laid_out(const Tensor& y) const {
  const Tensor kept = k_space_.keep().flatten().nonzero().flatten();
  Shape shape = y.sizes().vec();
  shape[shape.size() - 2] = k_space_.height() * k_space_.width();
  const Tensor whole = at::zeros(shape, y.options()).index_copy(-2, kept.to(y.device()), y);
  shape[shape.size() - 2] = k_space_.height();
  shape.insert(shape.end() - 1, k_space_.width());
  return whole.reshape(shape);
}

}  // namespace tweedie
