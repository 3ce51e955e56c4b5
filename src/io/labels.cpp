#include "io/labels.h"

#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

Tensor checked_labels(const Tensor& values, int64_t count, const std::string& place,
                      std::optional<int64_t> column) {
  const bool one_each = values.dim() == 1 || (values.dim() == 2 && values.size(1) == 1);
  if (!one_each || values.size(0) != count || values.is_complex()) {
    throw Error(place, fmt::format("shape {} of {}, but one label for each of {} samples is meant",
                                   to_string(values.sizes()), toString(values.scalar_type()), count));
  }
  const Tensor number = values.flatten().to(at::kDouble);
  // Written so that NaN is refused too
  const Tensor good =
      number.ge(0).logical_and(number.le(largest_label)).logical_and(number == number.floor());
  const Tensor bad = good.logical_not().nonzero();
  if (bad.numel() > 0) {
    const auto row = bad[0].item<int64_t>();
    throw Error(place, fmt::format("row {}{}: {}, but a label is a whole number from 0 to {}", row + 1,
                                   column ? fmt::format(", column {}", *column + 1) : "",
                                   number[row].item<double>(), largest_label));
  }
  return number.to(at::kLong);
}

LabelledTable take_label_column(const Tensor& table, int64_t column, const std::string& place) {
  if (table.dim() != 2 || table.size(1) < 2) {
    throw Error("data.label_column", fmt::format("needs a table of two columns or more, but {} has shape {}",
                                                 place, to_string(table.sizes())));
  }
  const int64_t columns = table.size(1), index = column < 0 ? column + columns : column;
  if (index < 0 || index >= columns) {
    throw Error("data.label_column",
                fmt::format("{}, but {} has {} columns, 0 to {} or -1 to -{} from the end", column, place,
                            columns, columns - 1, columns));
  }
  return {at::cat({table.slice(1, 0, index), table.slice(1, index + 1)}, 1),
          checked_labels(table.select(1, index), table.size(0), place, index)};
}

}  // namespace tweedie
