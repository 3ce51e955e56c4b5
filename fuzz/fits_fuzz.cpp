// What was read is written, and read again the same.
#include "io/fits.h"

#include "refuse.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tweedie;
  return fuzz::refuse(data, size, [](ByteView input) {
    const ArrayData first = parse_fits(input, {}, "input");
    if (first.values.numel() == 0) return;
    if (parse_fits(encode_fits(first.values, first.meta, "again"), {}, "again").values.sizes() !=
        first.values.sizes())
      std::abort();
  });
}
