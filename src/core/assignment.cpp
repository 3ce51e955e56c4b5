// Rows are assigned one after another, each along the path of least reduced cost from its row to a free
// column, found as Dijkstra finds it. The duals u (rows) and v (columns) keep cost - u - v >= 0, with
// equality on what is assigned.

#include "core/assignment.h"

#include "core/shape.h"

#include <fmt/format.h>

#include <limits>

namespace tweedie {

std::vector<int64_t> least_cost_assignment(const Tensor& given) {
  if (given.dim() != 2 || given.size(0) != given.size(1) || given.scalar_type() != at::kDouble) {
    throw Error("assignment",
                fmt::format("a cost of shape {}, but (n, n) float64 is needed", to_string(given.sizes())));
  }
  require_finite(given, "assignment");
  const Tensor contiguous = given.contiguous();
  const int64_t n = given.size(0), none = -1;
  const double* cost = contiguous.data_ptr<double>();
  std::vector<double> u(n, 0), v(n, 0), distance(n);
  std::vector<int64_t> row_of(n, none), before(n);
  std::vector<bool> reached(n);
  for (int64_t free_row = 0; free_row < n; ++free_row) {
    std::fill(distance.begin(), distance.end(), std::numeric_limits<double>::infinity());
    std::fill(reached.begin(), reached.end(), false);
    int64_t row = free_row, column = none;
    double length = 0;  // of the path to `row`
    for (;;) {
      int64_t nearest = none;
      for (int64_t j = 0; j < n; ++j) {
        if (reached[j]) continue;
        const double through = length + cost[row * n + j] - u[row] - v[j];
        if (through < distance[j]) {
          distance[j] = through;
          before[j] = column;
        }
        if (nearest == none || distance[j] < distance[nearest]) nearest = j;
      }
      column = nearest;
      length = distance[column];
      reached[column] = true;
      if (row_of[column] == none) break;
      row = row_of[column];
    }
    u[free_row] += length;
    for (int64_t j = 0; j < n; ++j) {
      if (!reached[j] || j == column) continue;
      u[row_of[j]] += length - distance[j];
      v[j] -= length - distance[j];
    }
    while (column != none) {
      const int64_t from = before[column];
      row_of[column] = from == none ? free_row : row_of[from];
      column = from;
    }
  }
  std::vector<int64_t> result(n);
  for (int64_t j = 0; j < n; ++j) result[row_of[j]] = j;
  return result;
}

}  // namespace tweedie
