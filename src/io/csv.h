#pragma once
// Tables of numbers as text.

#include "io/bytes.h"

namespace tweedie {

// (rows, columns) float64. Cells are separated by commas; the first row may be names; lines that are empty or
// start with # are skipped. Error("place:line:column") for a cell that is no number, or not finite unless
// that is allowed, and for a row that is longer or shorter than the first.
Tensor parse_csv(ByteView bytes, const std::string& place, bool finite = true);

}  // namespace tweedie
