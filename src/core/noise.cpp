#include "tweedie/noise.h"

#include "core/normals.h"
#include "tweedie/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace tweedie {

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> c, std::array<uint32_t, 2> k) {
  constexpr uint64_t multiplier0 = 0xD2511F53, multiplier1 = 0xCD9E8D57;
  constexpr uint32_t weyl0 = 0x9E3779B9, weyl1 = 0xBB67AE85;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = multiplier0 * c[0], p1 = multiplier1 * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(p0)};
    k = {k[0] + weyl0, k[1] + weyl1};
  }
  return c;
}

namespace {

// (0, 1): 53 bits, shifted by half a unit so that neither end is reached.
double unit(uint32_t high, uint32_t low) {
  const uint64_t bits = (static_cast<uint64_t>(high) << 21) ^ (low >> 11);
  return (static_cast<double>(bits) + 0.5) * 0x1p-53;
}

// Box-Muller, exact in double: two N(0, 1) from one block.
std::array<double, 2> normal_pair(const std::array<uint32_t, 4>& b) {
  const double radius = std::sqrt(-2 * std::log(unit(b[0], b[1])));
  const double angle = 2 * std::numbers::pi * unit(b[2], b[3]);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

std::array<double, 2> uniform_pair(const std::array<uint32_t, 4>& b) {
  return {unit(b[0], b[1]), unit(b[2], b[3])};
}

}  // namespace

std::array<uint32_t, 4> Noise::block(uint64_t draw, uint32_t index) const {
  return philox({index, step_, static_cast<uint32_t>(draw), static_cast<uint32_t>(draw >> 32)},
                {static_cast<uint32_t>(key_), static_cast<uint32_t>(key_ >> 32)});
}

Noise Noise::stream(uint64_t id) const {
  // A key derived by the block function itself, at a counter (step 2^32 - 1) that no array reaches.
  const auto b = philox({0x73747265, 0xFFFFFFFF, static_cast<uint32_t>(id), static_cast<uint32_t>(id >> 32)},
                        {static_cast<uint32_t>(key_), static_cast<uint32_t>(key_ >> 32)});
  Noise result(static_cast<uint64_t>(b[1]) << 32 | b[0]);
  result.rows_ = rows_;
  return result;
}

Noise Noise::rows(std::vector<uint64_t> draws) const {
  Noise result = *this;
  result.rows_ = std::move(draws);
  return result;
}

void Noise::require_rows(int64_t rows) const {
  if (rows_.empty() || rows == static_cast<int64_t>(rows_.size())) return;
  throw Error("Noise", fmt::format("asked for {} rows, but this Noise is for {}", rows, rows_.size()));
}

template <class Fill>
Tensor Noise::fill(at::IntArrayRef shape, at::ScalarType dtype, Fill pair) {
  if (shape.empty()) throw Error("Noise", "a shape without an axis of draws");
  require_rows(shape[0]);
  Tensor result = at::empty(shape, at::TensorOptions().dtype(dtype));
  const int64_t rows = shape[0], size = rows == 0 ? 0 : result.numel() / rows;
  const auto write = [&](auto* out) {
    using Value = std::remove_pointer_t<decltype(out)>;
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t i = 0; i < size; i += 2) {
        const auto values = pair(block(draw_of(row), static_cast<uint32_t>(i / 2)));
        out[row * size + i] = static_cast<Value>(values[0]);
        if (i + 1 < size) out[row * size + i + 1] = static_cast<Value>(values[1]);
      }
    }
  };
  if (dtype == at::kDouble) {
    write(result.data_ptr<double>());
  } else if (dtype == at::kFloat) {
    write(result.data_ptr<float>());
  } else {
    throw Error("Noise", "only float32 and float64 are drawn");
  }
  ++step_;
  return result;
}

Tensor Noise::normal(at::IntArrayRef shape, at::ScalarType dtype) {
  if (dtype != at::kFloat || shape.empty()) return fill(shape, dtype, normal_pair);
  require_rows(shape[0]);
  Tensor result = at::empty(shape, at::TensorOptions().dtype(dtype));
  const int64_t size = shape[0] == 0 ? 0 : result.numel() / shape[0];
  fill_normals(key_, step_, rows_.empty() ? nullptr : rows_.data(), shape[0], size, result.data_ptr<float>());
  ++step_;
  return result;
}

Tensor Noise::uniform(at::IntArrayRef shape, at::ScalarType dtype) {
  if (dtype != at::kFloat) return fill(shape, dtype, uniform_pair);
  return fill(shape, dtype, [](const std::array<uint32_t, 4>& b) {
    auto u = uniform_pair(b);
    for (double& value : u) value = std::min(value, 1 - 0x1p-24);  // rounding to float32 can reach 1
    return u;
  });
}

Tensor Noise::normal_like(const Tensor& x) {
  return normal(x.sizes(), x.scalar_type()).to(x.device());
}

std::vector<uint64_t> Noise::bits(int64_t rows) {
  std::vector<uint64_t> result(rows);
  for (int64_t row = 0; row < rows; ++row) {
    const auto b = block(draw_of(row), 0);
    result[row] = static_cast<uint64_t>(b[1]) << 32 | b[0];
  }
  ++step_;
  return result;
}

std::vector<int64_t> Noise::permutation(int64_t n) {
  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), int64_t{0});
  for (int64_t i = n - 1; i > 0; --i) {
    const auto b = block(0, static_cast<uint32_t>(i));
    const double u = unit(b[0], b[1]);
    std::swap(order[i], order[static_cast<int64_t>(u * static_cast<double>(i + 1))]);
  }
  ++step_;
  return order;
}

}  // namespace tweedie
