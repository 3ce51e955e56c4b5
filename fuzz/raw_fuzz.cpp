// The sidecar up to the first 0, then the numbers.
#include "io/raw.h"

#include "refuse.h"

#include <algorithm>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tweedie;
  const auto text = static_cast<size_t>(std::find(data, data + size, 0) - data);
  return fuzz::refuse(data, size, [&](ByteView input) {
    const RawSidecar sidecar = parse_sidecar({reinterpret_cast<const char*>(input.data()), text}, "input");
    const ArrayData first = parse_raw(input.subspan(std::min(text + 1, size)), sidecar, "input");
    const RawFile again = encode_raw(first.values, first.meta);
    if (parse_raw(again.numbers, parse_sidecar(again.sidecar, "again"), "again").values.sizes() !=
        first.values.sizes())
      std::abort();
  });
}
