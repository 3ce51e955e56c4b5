#pragma once
// NIfTI-1 files for tests.

#include "io/bytes.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

namespace tweedie::test {

struct NiftiFile {
  bool big_endian = false;
  std::vector<int16_t> sizes = {2, 2, 2};  // x, y, z
  int16_t code = 2;                        // 2: uint8, 4: int16, 16: float32
  float start = 352, slope = 0, intercept = 0;
  std::vector<double> numbers = {0, 1, 2, 3, 4, 5, 6, 7};  // x fastest

  Bytes bytes() const {
    Bytes result(352);
    put(result, 0, int32_t{348});
    put(result, 40, static_cast<int16_t>(sizes.size()));
    for (size_t i = 0; i < sizes.size(); ++i) put(result, 42 + 2 * i, sizes[i]);
    put(result, 70, code);
    put(result, 108, start);
    put(result, 112, slope);
    put(result, 116, intercept);
    std::memcpy(result.data() + 344, "n+1", 4);
    for (const double number : numbers) {
      const size_t end = result.size();
      result.resize(end + (code == 2 ? 1 : code == 4 ? 2 : 4));
      if (code == 2) result[end] = static_cast<uint8_t>(number);
      if (code == 4) put(result, end, static_cast<int16_t>(number));
      if (code == 16) put(result, end, static_cast<float>(number));
    }
    return result;
  }

 private:
  template <class T>
  void put(Bytes& bytes, size_t place, T value) const {
    uint8_t raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    if (big_endian) std::reverse(raw, raw + sizeof(T));
    std::copy(raw, raw + sizeof(T), bytes.begin() + static_cast<std::ptrdiff_t>(place));
  }
};

}  // namespace tweedie::test
