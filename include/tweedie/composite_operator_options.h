#pragma once
// Operators made of operators, in a config: [[measurement.operator.parts]], each a table with a `kind` of its
// own.

#include <cstdint>
#include <vector>

namespace tweedie {

struct OperatorPart;  // operator_options.h: any operator
using OperatorParts = std::vector<OperatorPart>;

struct ComposeOptions {
  static constexpr const char* kind = "compose";
  OperatorParts parts;  // in the order in which they act on x
};

struct SumOptions {
  static constexpr const char* kind = "sum";
  OperatorParts parts;
};

struct StackOptions {
  static constexpr const char* kind = "stack";
  OperatorParts parts;
};

struct BlockDiagonalOptions {
  static constexpr const char* kind = "block-diagonal";
  OperatorParts parts;  // x is cut along its first axis into as many equal pieces
};

struct AdjointOptions {
  static constexpr const char* kind = "adjoint";
  OperatorParts parts;           // one, linear
  std::vector<int64_t> shape{};  // what that one maps from, and so what A^T maps x to
};

struct ScaleOptions {
  static constexpr const char* kind = "scale";
  OperatorParts parts;  // one
  double factor = 1;    // not 0
};

}  // namespace tweedie
