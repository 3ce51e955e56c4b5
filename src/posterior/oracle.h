#pragma once
// Exact guidance: the denoiser of p(x | y) for an analytic prior, with a y of its own for each row.

#include "posterior/guided_denoiser.h"

#include <mutex>

namespace tweedie {

// p(x | y) for each of the measurements of a problem, each made once, when it is first asked for.
class Oracle {
 public:
  // y: (cases, *codomain). Throws Error unless the prior is analytic and the operator linear.
  Oracle(const char* method, const DenoiserPtr& prior, const Likelihood& likelihood, const Tensor& y);

  // For rows that belong to these cases. Safe to call from several threads.
  DenoiserPtr rows(const std::vector<int64_t>& cases) const;

 private:
  const DenoiserPtr& given(int64_t c) const;

  Shape shape_;
  Tensor y_;  // (cases, m) float64
  std::unique_ptr<const ExactPosterior> posterior_;
  mutable std::vector<std::once_flag> once_;
  mutable std::vector<DenoiserPtr> given_;
};

// Those rows of y that are equal are one case: {cases (n, *codomain), the case of each row}.
std::pair<Tensor, std::vector<int64_t>> distinct_rows(const Tensor& y);

}  // namespace tweedie
