// The header up to the first 0, then the numbers.
#include "io/cfl.h"

#include "refuse.h"

#include <algorithm>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tweedie;
  const auto header = static_cast<size_t>(std::find(data, data + size, 0) - data);
  return fuzz::refuse(data, size, [&](ByteView input) {
    const ByteView numbers = input.subspan(std::min(header + 1, size));
    const ArrayData first = parse_cfl(input.first(header), numbers, "input");
    const std::string again = cfl_header(first.values, first.meta);
    if (parse_cfl(ByteView(reinterpret_cast<const uint8_t*>(again.data()), again.size()), numbers, "again")
            .meta.shape != first.meta.shape)
      std::abort();
  });
}
