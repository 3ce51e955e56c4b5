// Discrete optimal transport, solved in whole numbers and certified in floating point. By weak duality
//   sum a_i f_i + sum b_j g_j  <=  cost of any plan    where    f_i + g_j <= |x_i - y_j|^p for all i, j.
// The solver's potentials are made to satisfy that exactly, up to the last bit, by
//   g_j = min_i |x_i - y_j|^p - f_i,   then   f_i = min_j |x_i - y_j|^p - g_j.

#include "tweedie/transport.h"

#include "diagnostic/network_simplex.h"
#include "diagnostic/samples.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tweedie {

namespace {

constexpr const char* place = "optimal_transport";
constexpr int64_t block_rows = 256;

// Along the direction of largest variance, roughly; deterministic.
Tensor ranks_along_spread(const Tensor& x, const Tensor& y) {
  Tensor direction = at::ones({x.size(1)}, at::kDouble);
  for (int i = 0; i < 8; ++i) {
    direction = x.t().matmul(x.matmul(direction)) + y.t().matmul(y.matmul(direction));
    const double length = direction.norm().item<double>();
    if (length == 0) return at::ones({x.size(1)}, at::kDouble);
    direction = direction / length;
  }
  return direction;
}

// One side in whole numbers, in the order in which the first plan is filled; draws without mass are left out.
struct Side {
  Tensor order;  // (k) rows of the set
  std::vector<int64_t> mass;
};

Side side_of(const Rows& rows, const Tensor& direction, bool weighted, int64_t each) {
  constexpr int64_t total = int64_t{1} << 53;
  Side side{rows.x.matmul(direction).argsort(), {}};
  if (!weighted) {
    side.mass.assign(rows.n(), each);
    return side;
  }
  const Tensor whole = (rows.weight * static_cast<double>(total)).round().to(at::kLong);
  whole[whole.argmax().item<int64_t>()] += total - whole.sum().item<int64_t>();
  side.order = side.order.index({whole.index({side.order}) > 0});
  const Tensor mass = whole.index({side.order}).contiguous();
  side.mass.assign(mass.data_ptr<int64_t>(), mass.data_ptr<int64_t>() + mass.numel());
  return side;
}

Tensor to_tensor(const std::vector<int64_t>& v) {
  return at::tensor(v, at::kLong);
}

// f(first row, |x_i - y_j|^p) for each block of rows
template <class F>
void for_each_block(const Tensor& x, const Tensor& y, double p, F f) {
  for (int64_t i = 0; i < x.size(0); i += block_rows)
    f(i, distances(x.slice(0, i, i + block_rows), y).pow(p));
}

}  // namespace

Transport optimal_transport(const SampleSet& a, const SampleSet& b, double p) {
  if (!(p >= 1) || !std::isfinite(p))
    throw Error("optimal_transport.p", fmt::format("{}, but p >= 1 is needed", p));
  auto [x, y] = rows_of(a, b, place);
  require_at_most(transport_max_rows, x, place);
  require_at_most(transport_max_rows, y, place);
  const Tensor centre = (x.x.mean(0) + y.x.mean(0)) / 2;
  x.x = x.x - centre;
  y.x = y.x - centre;
  const bool weighted = x.weighted || y.weighted;
  const Tensor direction = ranks_along_spread(x.x, y.x);
  const int64_t divisor = std::gcd(x.n(), y.n());
  Side from = side_of(x, direction, weighted, y.n() / divisor);
  Side to = side_of(y, direction, weighted, x.n() / divisor);
  const Tensor xs = x.x.index_select(0, from.order), ys = y.x.index_select(0, to.order);
  const int64_t m = ys.size(0);

  double largest = 0;
  for_each_block(xs, ys, p,
                 [&](int64_t, const Tensor& c) { largest = std::max(largest, c.max().item<double>()); });
  if (!std::isfinite(largest)) throw Error(place, "distances beyond the range of double precision");
  const double scale = largest > 0 ? std::ldexp(1.0, 48) / largest : 1;
  TransportProblem problem{from.mass, to.mass, std::vector<int64_t>(xs.size(0) * m)};
  for_each_block(xs, ys, p, [&](int64_t i, const Tensor& c) {
    at::from_blob(problem.cost.data() + i * m, c.sizes(), at::kLong).copy_((c * scale).round());
  });
  const TransportSolution solution = solve_transport(problem);
  problem.cost = {};

  Transport result;
  result.pivots = solution.pivots;
  std::vector<int64_t> row, column, flow;
  for (const auto& arc : solution.arcs) {
    if (arc.flow == 0) continue;
    row.push_back(arc.source), column.push_back(arc.sink), flow.push_back(arc.flow);
  }
  result.row_a = from.order.index_select(0, to_tensor(row));
  result.row_b = to.order.index_select(0, to_tensor(column));
  result.mass = to_tensor(flow).to(at::kDouble);
  result.mass = result.mass / result.mass.sum();
  const Tensor step = (x.x.index_select(0, result.row_a) - y.x.index_select(0, result.row_b)).norm(2, {1});
  result.cost = result.mass.dot(step.pow(p)).item<double>();
  result.distance = std::pow(result.cost, 1 / p);

  const Tensor f = to_tensor(solution.source_potential).to(at::kDouble) / scale;
  Tensor g = at::full({y.n()}, INFINITY, at::kDouble);
  for_each_block(xs, y.x, p, [&](int64_t i, const Tensor& c) {
    g = at::minimum(g, std::get<0>((c - f.slice(0, i, i + c.size(0)).unsqueeze(1)).min(0)));
  });
  result.potential_b = g;
  result.potential_a = at::empty({x.n()}, at::kDouble);
  for_each_block(x.x, y.x, p, [&](int64_t i, const Tensor& c) {
    result.potential_a.slice(0, i, i + c.size(0)).copy_(std::get<0>((c - g).min(1)));
  });
  result.dual = (x.weight.dot(result.potential_a) + y.weight.dot(result.potential_b)).item<double>();
  return result;
}

}  // namespace tweedie
