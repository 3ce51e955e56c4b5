// What was read is written, and read again the same.
#include "io/nifti.h"

#include "refuse.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tweedie;
  return fuzz::refuse(data, size, [](ByteView input) {
    const ArrayData first = parse_nifti_data(input, "input", fuzz::limit);
    if (parse_nifti(encode_nifti(first.values, first.meta, "again"), "again").sizes() != first.values.sizes())
      std::abort();
  });
}
