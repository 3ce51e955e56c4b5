#pragma once
// The sum of ranks of several problems.

#include <cstdint>

namespace tweedie {

struct Tails {
  double lower, upper;  // P(sum <= value), P(sum >= value)
};

// Of the sum of `cases` independent ranks, each uniform on 0, 1, ..., n.
Tails rank_sum_tails(double value, int64_t n, int64_t cases);

}  // namespace tweedie
