#include "io/tiff.h"

#include "refuse.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tweedie;
  return fuzz::refuse(data, size, [](ByteView input) { parse_tiff(input, "input", fuzz::limit); });
}
