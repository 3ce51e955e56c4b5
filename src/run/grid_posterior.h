#pragma once
// p(x | y) by quadrature, for a prior of one or two dimensions and any noise.

#include "tweedie/analytic_prior.h"
#include "tweedie/likelihood.h"

namespace tweedie {

class GridPosterior {
 public:
  // `points` on each axis, over the range of 2000 draws of the prior and one standard deviation more to
  // either side. y: (*codomain)
  GridPosterior(const AnalyticPrior& prior, const Likelihood& likelihood, const Tensor& y,
                int64_t points = 801);

  double log_evidence() const { return log_evidence_; }
  // (N, d): a point of the grid by its probability, then uniform in its cell
  Tensor sample(int64_t draws, Noise& noise) const;

 private:
  Tensor points_, cdf_, cell_;  // (n, d), (n), (d)
  double log_evidence_;
};

}  // namespace tweedie
