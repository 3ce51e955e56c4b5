#include "io/safetensors.h"

#include "refuse.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tweedie;
  return fuzz::refuse(data, size, [](ByteView input) {
    // Whatever is accepted can be written, and then passes its own checksum.
    parse_safetensors(serialize_safetensors(parse_safetensors(input, "input")), "again", true);
  });
}
