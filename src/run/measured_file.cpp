#include "run/measured_file.h"

#include "tweedie/array_io.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>

namespace tweedie {

namespace {

Shape squeezed(at::IntArrayRef shape) {
  Shape result = shape.vec();
  std::erase(result, 1);
  return result;
}

}  // namespace

MeasuredFile read_measured(const std::filesystem::path& path, const std::optional<PixelRange>& range) {
  ArrayData data = read_array_data(path);
  MeasuredFile result{
      data.values.to(data.values.is_complex() ? at::kComplexDouble : at::kDouble), std::move(data.meta),
      std::nullopt,
      data.values.scalar_type() == at::kFloat || data.values.scalar_type() == at::kComplexFloat
          ? at::kFloat
          : at::kDouble};
  if (result.meta.white > 0 && range) {
    result.values = result.values * ((range->high - range->low) / result.meta.white) + range->low;
    result.range = range;
  }
  return result;
}

Tensor read_for_operator(const std::filesystem::path& path) {
  const ArrayData data = read_array_data(path);
  const double white = data.meta.white;
  if (!(white > 0)) return data.values;
  const Tensor x = data.values.dim() == 3 && data.values.size(0) == 1 ? data.values[0] : data.values;
  const bool two_tones = x.eq(0).logical_or(x.eq(white)).all().item<bool>();
  return two_tones ? x.ne(0).to(at::kDouble) : x;
}

Tensor with_axes_of(const Tensor& array, at::IntArrayRef shape) {
  return array.sizes() != shape && squeezed(array.sizes()) == squeezed(shape) ? array.reshape(shape) : array;
}

}  // namespace tweedie
