#pragma once
// Labels of classes, from whatever numbers a file has.

#include "tweedie/tensor.h"

#include <cstdint>
#include <optional>
#include <string>

namespace tweedie {

inline constexpr int64_t largest_label = 1000000;

// (count) int64 from values: (count) or (count, 1), real. Error(place) for another shape, and for the first
// row that is not a whole number in 0 .. largest_label; column: where in the file it is.
Tensor checked_labels(const Tensor& values, int64_t count, const std::string& place,
                      std::optional<int64_t> column = {});

struct LabelledTable {
  Tensor values;  // without the column
  Tensor labels;
};
// table: (N, C), C >= 2. column: -C .. C - 1, from the end when it is < 0, or Error("data.label_column").
LabelledTable take_label_column(const Tensor& table, int64_t column, const std::string& place);

}  // namespace tweedie
