#include "diagnostic/rank_sum.h"

#include <algorithm>
#include <vector>

namespace tweedie {

Tails rank_sum_tails(double value, int64_t n, int64_t cases) {
  // P(sum of the first c ranks = r), by c convolutions
  std::vector<double> law{1};
  for (int64_t c = 0; c < cases; ++c) {
    std::vector<double> next(law.size() + n);
    double window = 0;  // of the last n + 1
    for (size_t r = 0; r < next.size(); ++r) {
      if (r < law.size()) window += law[r];
      if (r > static_cast<size_t>(n) && r - n - 1 < law.size()) window -= law[r - n - 1];
      next[r] = std::max(0.0, window) / static_cast<double>(n + 1);
    }
    law = std::move(next);
  }
  Tails tails{0, 0};
  for (size_t r = 0; r < law.size(); ++r) {
    tails.lower += static_cast<double>(r) <= value ? law[r] : 0;
    tails.upper += static_cast<double>(r) >= value ? law[r] : 0;
  }
  return tails;
}

}  // namespace tweedie
