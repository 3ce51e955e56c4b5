#pragma once
// What mcgdiff does to the rows of a slice, in one pass each, where few coordinates are guided. x, z, m:
// (rows, d).

#include <cstdint>

namespace tweedie {

template <class Value>
struct GuidedRows {
  int64_t rows, dimension, active;
  const Value* basis;  // (active, d): the guided coordinates are <basis_i, x>
};

// More coordinates than this are a matter for matrix products.
constexpr int64_t few_guided = 8;

// One coordinate's factor of the weight, N(<m>; target, after) / N(<x>; target, before)
struct GuidedWeight {
  double target, before, after;
};
// denoised becomes m = (1 - keep) denoised + keep x; log_factor: (rows)
template <class Value>
void weigh_rows(const GuidedRows<Value>& at, const Value* x, double keep, const GuidedWeight* weight,
                Value* denoised, double* log_factor);

// One coordinate's move: gain (target - <m>) + change <z> on top of m + std z
struct GuidedMove {
  double target, gain, change;
};
// z becomes m + std z + sum_i move_i basis_i
template <class Value>
void move_rows(const GuidedRows<Value>& at, const Value* m, double std, const GuidedMove* move, Value* z);

}  // namespace tweedie
