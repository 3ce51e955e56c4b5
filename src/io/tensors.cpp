#include "io/tensors.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/ScalarTypeToTypeMeta.h>

#include <cstring>
#include <numeric>

namespace tweedie {

namespace {

template <class Word>
void swap_words(uint8_t* data, size_t size) {
  for (size_t i = 0; i < size; i += sizeof(Word)) std::reverse(data + i, data + i + sizeof(Word));
}

// Row by row of the result: where its numbers are in x is a walk with strides.
template <size_t item>
void copy_transposed(const uint8_t* x, const Shape& shape, const Shape& strides, uint8_t* result) {
  const int64_t last = shape.back(), stride = strides.back();
  const int64_t rows = std::accumulate(shape.begin(), shape.end() - 1, int64_t{1}, std::multiplies<>());
  Shape index(shape.size() - 1, 0);
  int64_t start = 0;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < last; ++i, result += item)
      std::memcpy(result, x + (start + i * stride) * item, item);
    for (size_t axis = index.size(); axis-- > 0;) {
      start += strides[axis];
      if (++index[axis] < shape[axis]) break;
      start -= index[axis] * strides[axis];
      index[axis] = 0;
    }
  }
}

}  // namespace

Tensor empty_tensor(at::IntArrayRef shape, at::ScalarType type) {
  const caffe2::TypeMeta dtype = c10::scalarTypeToTypeMeta(type);
  size_t bytes = dtype.itemsize();
  for (const int64_t size : shape) bytes *= static_cast<size_t>(size);
  c10::Storage storage(c10::Storage::use_byte_size_t(), bytes, c10::GetCPUAllocator(), /*resizable=*/true);
  const auto result = c10::make_intrusive<c10::TensorImpl>(std::move(storage),
                                                           c10::DispatchKeySet(c10::DispatchKey::CPU), dtype);
  result->set_sizes_contiguous(shape);
  return Tensor(result);
}

Tensor tensor_from(ByteView data, at::ScalarType type, at::IntArrayRef shape, bool big_endian) {
  Tensor result = empty_tensor(shape, type);
  TORCH_INTERNAL_ASSERT(result.nbytes() == data.size());
  if (data.empty()) return result;
  auto* bytes = static_cast<uint8_t*>(result.data_ptr());
  std::copy(data.begin(), data.end(), bytes);
  if (big_endian) {
    const size_t word = c10::elementSize(type) / (c10::isComplexType(type) ? 2 : 1);
    if (word == 2) swap_words<uint16_t>(bytes, data.size());
    if (word == 4) swap_words<uint32_t>(bytes, data.size());
    if (word == 8) swap_words<uint64_t>(bytes, data.size());
  }
  return result;
}

Tensor transposed(const Tensor& x, const Shape& axes) {
  if (axes.size() < 2) return x;
  Shape shape, strides;
  for (const int64_t axis : axes) {
    shape.push_back(x.size(axis));
    strides.push_back(x.stride(axis));
  }
  Tensor result = empty_tensor(shape, x.scalar_type());
  if (x.numel() == 0) return result;
  const auto copy = [&]<size_t item>(std::integral_constant<size_t, item>) {
    copy_transposed<item>(static_cast<const uint8_t*>(x.data_ptr()), shape, strides,
                          static_cast<uint8_t*>(result.data_ptr()));
  };
  switch (x.element_size()) {
    case 1:
      copy(std::integral_constant<size_t, 1>());
      break;
    case 2:
      copy(std::integral_constant<size_t, 2>());
      break;
    case 4:
      copy(std::integral_constant<size_t, 4>());
      break;
    case 8:
      copy(std::integral_constant<size_t, 8>());
      break;
    default:
      copy(std::integral_constant<size_t, 16>());
  }
  return result;
}

Tensor stacked(const std::vector<Tensor>& tensors) {
  Shape shape = tensors[0].sizes().vec();
  shape.insert(shape.begin(), static_cast<int64_t>(tensors.size()));
  Tensor result = empty_tensor(shape, tensors[0].scalar_type());
  auto* end = static_cast<uint8_t*>(result.data_ptr());
  for (const Tensor& tensor : tensors) {
    const ByteView bytes = view_of(tensor);
    end = std::copy(bytes.begin(), bytes.end(), end);
  }
  return result;
}

}  // namespace tweedie
