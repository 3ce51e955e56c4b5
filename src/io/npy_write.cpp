#include "core/shape.h"
#include "io/npy.h"
#include "io/npy_types.h"

#include <fmt/format.h>

#include <algorithm>

namespace tweedie {

Bytes npy_header(const Tensor& tensor, const std::string& place) {
  const auto type = std::find_if(std::begin(npy_types), std::end(npy_types), [&](const NpyType& candidate) {
    return candidate.result == tensor.scalar_type() &&
           (candidate.stored == candidate.result || candidate.result == at::kBool);
  });
  if (type == std::end(npy_types)) {
    throw Error(place, fmt::format("dtype {} can't be written as NPY; convert it first",
                                   toString(tensor.scalar_type())));
  }
  const char order = tensor.element_size() == 1 ? '|' : '<';
  std::string header = fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': {}, }}", order,
                                   type->name, to_string(tensor.sizes()));
  const size_t prefix = npy_magic.size() + 4;
  header.append(63 - (prefix + header.size()) % 64, ' ');  // the numbers start at a multiple of 64 bytes
  header += '\n';
  const char* magic = npy_magic.data();  // once: clang under asan may give each use a copy of the literal
  Bytes result(magic, magic + npy_magic.size());
  result.insert(result.end(),
                {1, 0, static_cast<uint8_t>(header.size()), static_cast<uint8_t>(header.size() >> 8)});
  result.insert(result.end(), header.begin(), header.end());
  return result;
}

Bytes encode_npy(const Tensor& tensor, const std::string& place) {
  const Tensor values = plain(tensor);
  Bytes result = npy_header(values, place);
  const ByteView data = view_of(values);
  result.insert(result.end(), data.begin(), data.end());
  return result;
}

}  // namespace tweedie
