// Primal network simplex for transportation (Dantzig 1951). A basis is a spanning tree of sources and sinks.
//   1. Potentials u, v with u_i + v_j = c_ij on the tree.
//   2. An arc (i, j) with c_ij < u_i + v_j enters; it closes a cycle, around which flow is pushed until an
//      arc of the tree runs dry and leaves. Without such an arc u, v prove the plan optimal:
//      sum flow c = sum supply u + sum demand v <= the cost of any plan.
// Among the arcs that run dry together the last one along the cycle leaves, counted from its node nearest the
// root. Every tree is then strongly feasible (arcs without flow point to the root), so that no tree returns
// (Cunningham 1976, "A network simplex method") and the method ends.

#include "diagnostic/network_simplex.h"

#include <algorithm>
#include <limits>

namespace tweedie {

namespace {

constexpr int32_t none = -1;

// Nodes 0 .. n-1 are the sources, n .. n+m-1 the sinks. The arc of a node is the one to its parent.
class Tree {
 public:
  explicit Tree(const TransportProblem& problem)
      : n_(static_cast<int32_t>(problem.supply.size())),
        nodes_(n_ + problem.demand.size()),
        potential_(nodes_.size()) {
    fill_in_order(problem);
  }

  bool is_source(int32_t node) const { return node < n_; }
  const int64_t* potential() const { return potential_.data(); }

  // The arc (source, sink) of reduced cost `reduced` < 0 enters.
  void pivot(int32_t source, int32_t sink, int64_t reduced) {
    // Around the cycle, from the nodes' meeting point down to the source and from the sink back up, flow
    // falls on the arcs of sources below the former and on those of sinks below the latter.
    int64_t least_down = std::numeric_limits<int64_t>::max(), least_up = least_down;
    int32_t driest_down = none, driest_up = none, down = source, up = sink;
    while (down != up) {
      if (nodes_[down].depth >= nodes_[up].depth) {
        if (is_source(down) && nodes_[down].flow < least_down)
          least_down = nodes_[down].flow, driest_down = down;
        down = nodes_[down].parent;
      } else {
        if (!is_source(up) && nodes_[up].flow <= least_up) least_up = nodes_[up].flow, driest_up = up;
        up = nodes_[up].parent;
      }
    }
    const int32_t meeting = down;
    const int64_t pushed = std::min(least_down, least_up);
    if (pushed > 0) {
      for (int32_t k = source; k != meeting; k = nodes_[k].parent)
        nodes_[k].flow += is_source(k) ? -pushed : pushed;
      for (int32_t k = sink; k != meeting; k = nodes_[k].parent)
        nodes_[k].flow += is_source(k) ? pushed : -pushed;
    }
    // What hangs below the arc that leaves hangs on the arc that enters from now on.
    if (least_up <= least_down) {
      hang(sink, source, driest_up, pushed);
      shift(sink, reduced);
    } else {
      hang(source, sink, driest_down, pushed);
      shift(source, reduced);
    }
  }

  std::vector<TransportSolution::Arc> arcs() const {
    std::vector<TransportSolution::Arc> result;
    for (int32_t k = 0; k < static_cast<int32_t>(nodes_.size()); ++k) {
      const int32_t parent = nodes_[k].parent;
      if (parent == none) continue;
      const auto [source, sink] = is_source(k) ? std::pair{k, parent} : std::pair{parent, k};
      result.push_back({source, sink - n_, nodes_[k].flow});
    }
    return result;
  }

 private:
  struct Node {
    int32_t parent = none, child = none, next = none, previous = none;  // next, previous: siblings
    int32_t depth = 0;
    int64_t flow = 0;
  };

  // The north-west corner rule, a chain. Where source and sink are used up together the next source comes
  // first, so that the arc without flow points to the root, source 0.
  void fill_in_order(const TransportProblem& problem) {
    const auto m = static_cast<int32_t>(problem.demand.size());
    int32_t i = 0, j = 0;
    int64_t supply = problem.supply[0], demand = problem.demand[0];
    const auto cost = [&] { return problem.cost[int64_t{i} * m + j]; };
    bool sink_is_new = true;
    while (true) {
      const int64_t flow = std::min(supply, demand);
      const int32_t fresh = sink_is_new ? n_ + j : i, old = sink_is_new ? i : n_ + j;
      nodes_[fresh].flow = flow;
      nodes_[fresh].depth = nodes_[old].depth + 1;
      potential_[fresh] = cost() - potential_[old];
      attach(fresh, old);
      supply -= flow, demand -= flow;
      if (i == n_ - 1 && j == m - 1) return;
      sink_is_new = supply > 0 || i == n_ - 1;
      if (sink_is_new) {
        demand = problem.demand[++j];
      } else {
        supply = problem.supply[++i];
      }
    }
  }

  void attach(int32_t node, int32_t parent) {
    const int32_t eldest = nodes_[parent].child;
    nodes_[node].parent = parent;
    nodes_[node].next = eldest;
    nodes_[node].previous = none;
    if (eldest != none) nodes_[eldest].previous = node;
    nodes_[parent].child = node;
  }

  void detach(int32_t node) {
    const int32_t parent = nodes_[node].parent, next = nodes_[node].next, previous = nodes_[node].previous;
    (previous == none ? nodes_[parent].child : nodes_[previous].next) = next;
    if (next != none) nodes_[next].previous = previous;
  }

  // Turns the way from `node` up to `top` round and hangs it on `parent`.
  void hang(int32_t node, int32_t parent, int32_t top, int64_t flow) {
    while (true) {
      const int32_t above = nodes_[node].parent;
      const int64_t old = nodes_[node].flow;
      detach(node);
      attach(node, parent);
      nodes_[node].flow = flow;
      if (node == top) return;
      parent = node, node = above, flow = old;
    }
  }

  // New depths below `top`, whose potential moves by `change`; all others follow through their arcs.
  void shift(int32_t top, int64_t change) {
    const bool source = is_source(top);
    int32_t k = top;
    while (true) {
      Node& node = nodes_[k];
      node.depth = nodes_[node.parent].depth + 1;
      potential_[k] += is_source(k) == source ? change : -change;
      if (node.child != none) {
        k = node.child;
        continue;
      }
      while (k != top && nodes_[k].next == none) k = nodes_[k].parent;
      if (k == top) return;
      k = nodes_[k].next;
    }
  }

  int32_t n_;
  std::vector<Node> nodes_;
  std::vector<int64_t> potential_;
};

// min_j cost_j - v_j, which is what most of the time goes to
int64_t least_difference(const int64_t* cost, const int64_t* v, int32_t m) {
  int64_t least = std::numeric_limits<int64_t>::max();
  for (int32_t j = 0; j < m; ++j) {
    const int64_t difference = cost[j] - v[j];
    least = difference < least ? difference : least;
  }
  return least;
}

}  // namespace

TransportSolution solve_transport(const TransportProblem& problem) {
  const auto n = static_cast<int32_t>(problem.supply.size()), m = static_cast<int32_t>(problem.demand.size());
  Tree tree(problem);
  const int64_t *u = tree.potential(), *v = u + n;
  int64_t pivots = 0;
  // The arc that enters is the best one of a row; the rows are taken in turn.
  int32_t row = 0;
  for (int32_t rows_without = 0; rows_without < n; row = row + 1 == n ? 0 : row + 1) {
    const int64_t* cost = problem.cost.data() + int64_t{row} * m;
    const int64_t least = least_difference(cost, v, m);
    ++rows_without;
    if (least >= u[row]) continue;
    int32_t sink = 0;
    while (cost[sink] - v[sink] != least) ++sink;
    tree.pivot(row, n + sink, least - u[row]);
    ++pivots;
    rows_without = 0;
  }
  return {tree.arcs(), {u, v}, {v, v + m}, pivots};
}

}  // namespace tweedie
