#pragma once
// The transportation problem in whole numbers, so that its solution is exact.

#include <cstdint>
#include <vector>

namespace tweedie {

struct TransportProblem {
  std::vector<int64_t> supply, demand;  // (n) and (m), above 0, of equal sums below 2^62
  std::vector<int64_t> cost;            // (n, m), in [0, 2^48]
};

// A spanning tree of the n + m points: its n + m - 1 arcs hold the plan.
struct TransportSolution {
  struct Arc {
    int64_t source, sink, flow;
  };
  std::vector<Arc> arcs;
  std::vector<int64_t> source_potential, sink_potential;  // their sum is <= cost, and equal to it on the arcs
  int64_t pivots;
};

// min sum flow_ij cost_ij over flow >= 0 with the given row and column sums; n, m <= 4096. Sources and sinks
// of like rank should be near each other: the first plan fills them in their order.
TransportSolution solve_transport(const TransportProblem& problem);

}  // namespace tweedie
