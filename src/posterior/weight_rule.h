#pragma once
// The weight of a regularised least squares problem, by one of the rules of tweedie/point_estimate.h.

#include "posterior/point_estimate.h"

namespace tweedie {

// min 1/2 ||A x - y||^2 + weight R(x) for one case. Each solve may start where the last one ended.
class RegularisedSolver {
 public:
  virtual ~RegularisedSolver() = default;
  virtual PointAnswer solve(const Tensor& y, double weight) = 0;  // y: (1, *codomain)
  virtual double penalty(const Tensor& x) const = 0;              // R(x)
  // a weight above which x(y) hardly changes any more
  virtual double largest_weight(const Tensor& y) const = 0;
  // div_y A x(y) at y, where it is known
  virtual std::optional<double> divergence(double /*weight*/) const { return std::nullopt; }
};
using MakeSolver = std::function<std::unique_ptr<RegularisedSolver>()>;

// The answer at the given weight, or at the one that the rule chooses, with its trials. make: a fresh solver
// for the same case. Throws Error where a rule needs a noise_std that is not there.
PointAnswer solve_weighted(const PointCase& c, const WeightOptions& options, const MakeSolver& make);

}  // namespace tweedie
