#pragma once
// q(z) ~ p(y | z) N(z; x, r^2 I): the step of a splitting method that knows the data.

#include "posterior/loop.h"
#include "tweedie/splitting.h"

namespace tweedie {

// solve(b_i, weight_i) for each row, weight: (B); NaN where a weight is not finite and at least 0.
Tensor solve_rows(const std::function<Tensor(const Tensor&, double)>& solve, const Tensor& b,
                  const Tensor& weight);

// argmin_z ||y - A z||^2 + weight ||z - x||^2 = x + A^T (A A^T + weight I)^{-1} (y - A x), weight: (B) >= 0.
// Counted as four applications of A or A^T, whatever the solve takes.
Tensor nearest_to_data(const LoopRows& rows, const LinearOperator& a, const Tensor& y, const Tensor& x,
                       const Tensor& weight);

// ||dh/dx||^2 at x, (B) float64, by power iteration on v -> J^T J v, J v a central difference: an estimate
// from below.
constexpr int jacobian_norm_iterations = 4, jacobian_norm_applications = 1 + 3 * jacobian_norm_iterations;
Tensor jacobian_squared_norm(const ForwardOperator& h, const Tensor& x);

// The largest curvature of -noise_unit() log p(y | x) at x, (B) float64: ||dh/dx||^2, times the information
// of an entry of y where the noise is not Gaussian.
class SquaredNorm {
 public:
  explicit SquaredNorm(const Problem& problem);  // linear: ||A||^2, computed here
  // Otherwise as jacobian_squared_norm does it
  Tensor at(const LoopRows& rows, const Tensor& x) const;
  bool constant() const { return linear_.has_value() && gaussian_; }

 private:
  Tensor of_operator(const LoopRows& rows, const Tensor& x) const;

  bool gaussian_;
  std::optional<double> linear_;
};

class LocalPosterior {
 public:
  // Throws Error where the options are out of range or the operator is not one for them.
  LocalPosterior(const InnerOptions& options, const Problem& problem, const char* method);

  // One z for each row; x: (B, *shape), r2: (B) float64 > 0
  Tensor draw(const LoopRows& rows, const Tensor& x, const Tensor& r2, Noise& noise) const;

 private:
  Tensor exact(const LoopRows& rows, const Tensor& x, const Tensor& r2, Noise& noise) const;
  Tensor langevin(const LoopRows& rows, const Tensor& x, const Tensor& r2, Noise& noise) const;
  Tensor metropolis(const LoopRows& rows, const Tensor& x, const Tensor& r2, Noise& noise) const;

  InnerOptions options_;
  const LinearOperator* linear_;  // where the draw is exact
  bool gaussian_;
  double noise_variance_;            // of Gaussian noise
  std::optional<SquaredNorm> norm_;  // where it is not
};

}  // namespace tweedie
