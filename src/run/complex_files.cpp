#include "run/complex_files.h"

#include "core/shape.h"
#include "operator/k_space.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace tweedie {

namespace {

bool ends_with(at::IntArrayRef shape, const Shape& end) {
  return shape.size() >= end.size() && shape.slice(shape.size() - end.size()) == at::IntArrayRef(end);
}

// The mean energy of measured entries around (row, column) of k-space, which wraps around, and their share of
// all energy
struct Part {
  double mean = 0, share = 0;
  int64_t measured = 0;
};
Part part_around(const Tensor& energy, const Tensor& keep, int64_t row, int64_t column) {
  const int64_t h = keep.size(0), w = keep.size(1), up = std::max<int64_t>(1, h / 16),
                left = std::max<int64_t>(1, w / 16);
  const auto window = [&](const Tensor& x) {
    return x.roll({up - row, left - column}, {0, 1})
        .narrow(0, 0, std::min(h, 2 * up + 1))
        .narrow(1, 0, std::min(w, 2 * left + 1));
  };
  const double sum = window(energy).sum().item<double>(), all = energy.sum().item<double>();
  const auto measured = window(keep).sum().item<int64_t>();
  return {measured > 0 ? sum / static_cast<double>(measured) : 0, all > 0 ? sum / all : 0, measured};
}

}  // namespace

Tensor real_measurement(const Tensor& given, const ForwardOperator& forward, const std::string& place) {
  Tensor y = given;
  const Shape codomain = forward.codomain();
  if (y.is_complex()) {
    if (codomain.empty() || codomain.back() != 2) {
      throw Error(place, "complex numbers, but real ones are needed");
    }
    y = at::view_as_real(y.to(at::kComplexDouble));
  }
  y = y.to(at::kDouble);
  const auto* cartesian = dynamic_cast<const CartesianOperator*>(&forward);
  if (cartesian != nullptr && ends_with(y.sizes(), cartesian->grid())) y = cartesian->measured(y);
  return y;
}

Tensor real_image(const Tensor& x, const std::string& place) {
  if (!x.is_complex()) return x.to(at::kDouble);
  if (x.dim() < 2) {
    throw Error(place,
                fmt::format("complex numbers of shape {}, but an image (H, W) or real numbers are needed",
                            to_string(x.sizes())));
  }
  const Tensor wide = x.to(at::kComplexDouble);
  return at::stack({at::real(wide), at::imag(wide)}, -3).contiguous();
}

Tensor as_in_files(const Tensor& y, const ForwardOperator& forward) {
  const auto* cartesian = dynamic_cast<const CartesianOperator*>(&forward);
  if (cartesian != nullptr) return at::view_as_complex(cartesian->laid_out(y).contiguous());
  return forward.measures_complex() ? at::view_as_complex(y.contiguous()) : y;
}

// Images have most of their energy at low frequencies. Where the entries that another layout calls low hold
// most of it, with ten times the energy an entry, the layout is another.
void require_centre(const Tensor& y, const ForwardOperator& forward, const std::string& place) {
  const auto* cartesian = dynamic_cast<const CartesianOperator*>(&forward);
  if (cartesian == nullptr) return;
  const KSpace& k = cartesian->k_space();
  const int64_t h = k.height(), w = k.width();
  if (std::min(h, w) < 8) return;
  const Tensor energy = cartesian->laid_out(y).square().sum(-1).reshape({-1, h, w}).sum(0);
  const int64_t row = k.centred() ? h / 2 : 0, column = k.centred() ? w / 2 : 0;
  const Part expected = part_around(energy, k.keep(), row, column);
  for (const auto& [other_row, other_column] :
       {std::pair{h / 2 - row, w / 2 - column}, {row, w / 2 - column}, {h / 2 - row, column}}) {
    const Part found = part_around(energy, k.keep(), other_row, other_column);
    if (expected.measured == 0 || found.share < 0.5 || found.mean < 10 * expected.mean) continue;
    throw Error(
        place,
        fmt::format("{:.0f}% of the energy of k-space is around ({}, {}), but frequency 0 is expected at "
                    "({}, {}); {}",
                    100 * found.share, other_row, other_column, row, column,
                    other_row == h / 2 - row && other_column == w / 2 - column
                        ? fmt::format("centred = {} in [measurement.operator], and a mask of that "
                                      "layout, may be meant",
                                      !k.centred())
                        : "one of its axes is shifted"));
  }
}

}  // namespace tweedie
