#pragma once
// Fields as the scores of forecasts see them: float64 rows with weights that sum to 1.

#include "tweedie/tensor.h"

#include <string>

namespace tweedie {

// (1, n) of a field, (members, n) of an ensemble of fields of truth's shape. Throw Error(place).
Tensor field_row(const Tensor& field, at::IntArrayRef shape, const std::string& place);
Tensor member_rows(const Tensor& ensemble, at::IntArrayRef shape, const std::string& place);
// (n), summing to 1
Tensor field_weight(const Tensor& weight, at::IntArrayRef shape, const std::string& place);

}  // namespace tweedie
