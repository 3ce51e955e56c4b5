#include "io/npy.h"

#include "refuse.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tweedie;
  return fuzz::refuse(data, size, [](ByteView input) {
    const Tensor x = parse_npy(input, "input");
    const Bytes again = encode_npy(x);
    if (parse_npy(again, "again").sizes() != x.sizes()) std::abort();
  });
}
