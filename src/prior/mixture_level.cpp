#include "prior/mixture_level.h"

#include "core/elementary.h"
#include "kernel/lanes.h"
#include "kernel/scratch.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace tweedie {

namespace {

constexpr int64_t block_rows = 64;  // a multiple of 16

// e = x - m, rows of `lanes`, zeros behind the d coordinates
TWEEDIE_INLINE void differences(const float* x, int64_t rows, int64_t d, int64_t lanes, const float* m,
                                float* e) {
  for (int64_t row = 0; row < rows; ++row) {
    int64_t j = 0;
    for (; j + 16 <= d; j += 16) store16(e + row * lanes + j, load16(x + row * d + j) - load16(m + j));
    for (; j < lanes; ++j) e[row * lanes + j] = j < d ? x[row * d + j] - m[j] : 0.0f;
  }
}

// e^T z and e^T e of each row
TWEEDIE_INLINE void forms(const float* e, const float* z, int64_t rows, int64_t lanes, float* with_z,
                          float* with_e) {
  for (int64_t row = 0; row < rows; ++row) {
    Lanes16 sum{}, square{};
    for (int64_t j = row * lanes; j < (row + 1) * lanes; j += 16) {
      const Lanes16 v = load16(e + j);
      sum += v * load16(z + j);
      square += v * v;
    }
    with_z[row] = sum_lanes<float>(sum);
    with_e[row] = sum_lanes<float>(square);
  }
}

// Sums over components so far, relative to the largest weight so far
struct Sums {
  float top[block_rows], total[block_rows], before[block_rows], weight[block_rows];
};

// Of each row: `before` and `weight` are what the sums so far and this component count from now on.
TWEEDIE_INLINE void weigh(const float* logit, Sums* s) {
  for (int64_t row = 0; row < block_rows; row += 16) {
    const Lanes16 l = load16(logit + row), old = load16(s->top + row), top = l > old ? l : old;
    // 0 below what could matter: subnormal numbers cost a hundred times as much.
    const Lanes16 b = old - top < -60.0f ? Lanes16{} : exp_lanes(old - top);
    const Lanes16 w = l - top < -60.0f ? Lanes16{} : exp_lanes(l - top);
    store16(s->top + row, top);
    store16(s->before + row, b);
    store16(s->weight + row, w);
    store16(s->total + row, load16(s->total + row) * b + w);
  }
}

// sum <- before sum + weight (z + offset)
TWEEDIE_INLINE void accumulate(const Sums* s, const float* z, const float* offset, int64_t rows,
                               int64_t lanes, float* sum) {
  for (int64_t row = 0; row < rows; ++row) {
    const float b = s->before[row], w = s->weight[row];
    if (w == 0 && b == 1) continue;
    for (int64_t j = 0; j < lanes; j += 16) {
      const int64_t at = row * lanes + j;
      Lanes16 v = load16(z + at);
      if (offset != nullptr) v += load16(offset + j);
      store16(sum + at, load16(sum + at) * b + v * w);
    }
  }
}

}  // namespace

MixtureLevel::MixtureLevel(const Tensor& log_weight, const Tensor& mean, const Tensor& basis,
                           const Tensor& value, double sigma)
    : count_(mean.size(0)),
      dimension_(mean.size(1)),
      small_(sigma * sigma <= value.max().item<double>()),
      variance_(static_cast<float>(sigma * sigma)),
      mean_(static_cast<size_t>(count_ * lanes_of(dimension_)), 0.0F),
      offset_(static_cast<size_t>(count_)) {
  const Tensor spread = value + sigma * sigma, gain = small_ ? 1 / spread : value / spread;
  const Tensor offset = log_weight - 0.5 * spread.log().sum(1);
  for (int64_t k = 0; k < count_; ++k) {
    const Tensor u = basis.slice(1, k * dimension_, (k + 1) * dimension_);
    const Tensor matrix = at::matmul(u * gain[k], u.t()).to(at::kFloat).contiguous();
    matrix_.emplace_back(matrix.data_ptr<float>(), dimension_, 1, dimension_, dimension_);
    const Tensor m = mean[k].to(at::kFloat).contiguous();
    std::copy_n(m.data_ptr<float>(), dimension_, mean_.data() + k * lanes_of(dimension_));
    offset_[k] = static_cast<float>(offset[k].item<double>());
  }
}

int64_t MixtureLevel::bytes(int64_t count, int64_t dimension) {
  return count * PackedMatrix::packed_size(dimension, dimension) * static_cast<int64_t>(sizeof(float));
}

void MixtureLevel::mean(const float* x, int64_t rows, float* mean) const {
  const int64_t d = dimension_, lanes = lanes_of(d), image = block_rows * lanes;
  Scratch scratch(Scratch::sum({image, image, image, block_rows, block_rows}));
  float *e = scratch.take(image), *z = scratch.take(image), *sum = scratch.take(image);
  float *with_z = scratch.take(block_rows), *with_e = scratch.take(block_rows);
  for (int64_t begin = 0; begin < rows; begin += block_rows) {
    const int64_t n = std::min(block_rows, rows - begin);
    const float* from = x + begin * d;
    Sums sums{};
    // Finite: a component of weight 0 has a logit of -infinity.
    std::fill_n(sums.top, block_rows, std::numeric_limits<float>::lowest());
    std::fill_n(sum, n * lanes, 0.0F);
    std::fill_n(with_z, block_rows, 0.0F);
    std::fill_n(with_e, block_rows, 0.0F);
    for (int64_t k = 0; k < count_; ++k) {
      const float* m = mean_.data() + k * lanes;
      vectorised<differences>(from, n, d, lanes, m, e);
      multiply({e, lanes}, matrix_[k].view(), z, lanes, n, d, lanes);
      vectorised<forms>(static_cast<const float*>(e), static_cast<const float*>(z), n, lanes, with_z, with_e);
      for (int64_t row = 0; row < n; ++row) {
        const float square = small_ ? with_z[row] : (with_e[row] - with_z[row]) / variance_;
        with_z[row] = offset_[k] - square / 2;
      }
      vectorised<weigh>(static_cast<const float*>(with_z), &sums);
      vectorised<accumulate>(static_cast<const Sums*>(&sums), static_cast<const float*>(z),
                             small_ ? nullptr : m, n, lanes, sum);
    }
    for (int64_t row = 0; row < n; ++row) {
      const float scale = 1 / sums.total[row];
      for (int64_t j = 0; j < d; ++j) {
        const float of_sum = sum[row * lanes + j] * scale;
        mean[(begin + row) * d + j] = small_ ? from[row * d + j] - variance_ * of_sum : of_sum;
      }
    }
  }
}

MixtureLevels::MixtureLevels(Tensor log_weight, Tensor mean, Tensor basis, Tensor value)
    : log_weight_(std::move(log_weight)),
      mean_(std::move(mean)),
      basis_(std::move(basis)),
      value_(std::move(value)),
      largest_(value_.max().item<double>()),
      smallest_(value_.min().item<double>()) {}

std::shared_ptr<const MixtureLevel> MixtureLevels::at(double sigma) {
  // All levels of a schedule, or every walk along it would make them anew
  constexpr int64_t most_bytes = 256 << 20, least_levels = 256;
  const int64_t bytes = MixtureLevel::bytes(mean_.size(0), mean_.size(1));
  if (bytes > most_bytes / least_levels) return nullptr;
  // In a product with S_k^{-1} the large axes' parts cancel; along the axes themselves nothing does.
  constexpr double most_uneven = 1e3;
  if (largest_ > most_uneven * (smallest_ + sigma * sigma)) return nullptr;
  std::shared_ptr<Entry> entry;
  {
    const std::lock_guard lock(mutex_);
    const auto found =
        std::find_if(entries_.begin(), entries_.end(), [&](const auto& e) { return e->sigma == sigma; });
    if (found != entries_.end()) {
      entries_.splice(entries_.begin(), entries_, found);
    } else {
      entries_.push_front(std::make_shared<Entry>());
      entries_.front()->sigma = sigma;
      if (static_cast<int64_t>(entries_.size()) > most_bytes / bytes) entries_.pop_back();
    }
    entry = entries_.front();
  }
  std::call_once(entry->made, [&] {
    entry->level = std::make_shared<const MixtureLevel>(log_weight_, mean_, basis_, value_, sigma);
  });
  return entry->level;
}

}  // namespace tweedie
