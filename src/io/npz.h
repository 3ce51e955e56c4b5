#pragma once
// NPZ, NumPy's zip archive of NPY files.

#include "io/bytes.h"

namespace tweedie {

// The array called key, or the only one where key is empty; Error(place) lists the keys when that does not
// name one.
Tensor parse_npz(ByteView bytes, const std::string& key, const std::string& place,
                 uint64_t limit = unpacked_limit);

}  // namespace tweedie
