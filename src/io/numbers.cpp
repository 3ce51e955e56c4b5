#include "io/numbers.h"

#include "io/tensors.h"

#include <algorithm>

namespace tweedie {

namespace {

template <class To, class From>
Tensor affine(const Tensor& x, at::ScalarType type, double slope, double intercept) {
  Tensor result = empty_tensor(x.sizes(), type);
  const auto* from = static_cast<const From*>(x.data_ptr());
  std::transform(from, from + x.numel(), static_cast<To*>(result.data_ptr()),
                 [=](From value) { return static_cast<To>(slope * static_cast<double>(value) + intercept); });
  return result;
}

template <class Real>
Tensor affine_complex(const Tensor& x, double slope, double intercept) {
  Tensor result = empty_tensor(x.sizes(), x.scalar_type());
  const auto* from = static_cast<const Real*>(x.data_ptr());
  auto* to = static_cast<Real*>(result.data_ptr());
  for (int64_t i = 0; i < 2 * x.numel(); ++i)
    to[i] = static_cast<Real>(slope * static_cast<double>(from[i]) + (i % 2 == 0 ? intercept : 0));
  return result;
}

}  // namespace

const NumberType* find_number_type(std::string_view name) {
  const auto* found = std::find_if(std::begin(number_types), std::end(number_types),
                                   [&](const NumberType& type) { return type.name == name; });
  return found == std::end(number_types) ? nullptr : found;
}

Tensor numbers_from(ByteView data, const NumberType& type, at::IntArrayRef shape, bool big_endian) {
  const Tensor result = tensor_from(data, type.stored, shape, big_endian);
  if (type.name == "uint16") return converted<int32_t, uint16_t>(result, at::kInt);
  if (type.name == "uint32") return converted<int64_t, uint32_t>(result, at::kLong);
  return result;
}

Tensor floats_from(ByteView data, const NumberType& type, at::IntArrayRef shape, bool big_endian,
                   double slope, double intercept) {
  const Tensor x = tensor_from(data, type.stored, shape, big_endian);
  if (type.name == "uint16") return affine<float, uint16_t>(x, at::kFloat, slope, intercept);
  if (type.name == "uint32") return affine<double, uint32_t>(x, at::kDouble, slope, intercept);
  switch (type.stored) {
    case at::kByte:
      return affine<float, uint8_t>(x, at::kFloat, slope, intercept);
    case at::kChar:
      return affine<float, int8_t>(x, at::kFloat, slope, intercept);
    case at::kShort:
      return affine<float, int16_t>(x, at::kFloat, slope, intercept);
    case at::kFloat:
      return affine<float, float>(x, at::kFloat, slope, intercept);
    case at::kInt:
      return affine<double, int32_t>(x, at::kDouble, slope, intercept);
    case at::kLong:
      return affine<double, int64_t>(x, at::kDouble, slope, intercept);
    case at::kComplexFloat:
      return affine_complex<float>(x, slope, intercept);
    case at::kComplexDouble:
      return affine_complex<double>(x, slope, intercept);
    default:
      return affine<double, double>(x, at::kDouble, slope, intercept);
  }
}

}  // namespace tweedie
