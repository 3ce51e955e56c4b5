// What was read is written, and read again the same.
#include "io/netcdf.h"

#include "refuse.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tweedie;
  return fuzz::refuse(data, size, [](ByteView input) {
    const ArrayData first = parse_netcdf(input, "", "input");
    if (first.values.numel() == 0) return;
    if (parse_netcdf(encode_netcdf(first.values, first.meta, "", "again"), "", "again").values.sizes() !=
        first.values.sizes())
      std::abort();
  });
}
