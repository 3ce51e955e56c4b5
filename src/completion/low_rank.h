#pragma once
// Singular values above a threshold, by a full decomposition or a randomised one from a warm start.

#include "tweedie/matrix_completion.h"

#include <functional>

namespace tweedie {

// U diag(s) V^T: u (m, r), s (r) decreasing, v (n, r)
struct LowRank {
  Tensor u, s, v;
  int64_t rank() const { return s.size(0); }
  Tensor dense() const;
};

class ThresholdedSvd {
 public:
  ThresholdedSvd(int64_t rows, int64_t columns, SvdKind kind, const Noise& noise);

  // The triplets of x (rows, columns) with s > threshold. Randomised, the k triplets of the subspace that x
  // maps the last right singular vectors and some random ones to, k growing until one lies below the
  // threshold (Halko, Martinsson, Tropp, "Finding structure with randomness", SIAM Review 53, 2011). Repeated
  // for an x that no longer changes, the subspace converges.
  LowRank above(const Tensor& x, double threshold);
  // U max(s - threshold, 0) V^T: the proximal map of threshold ||X||_*
  LowRank shrink(const Tensor& x, double threshold);
  // ||x||_2, to some digits
  double norm(const Tensor& x);

 private:
  LowRank randomised(const Tensor& x, int64_t k, int64_t passes);
  bool full_;
  int64_t least_, rank_ = 10;
  bool fresh_ = true;
  Noise noise_;
  Tensor v_;
};

// How far x = U diag(s) V^T is from having the slopes c (r) of a penalty of its singular values that is at
// most c0 at 0, where G is minus the gradient of the rest: G V = U c, U^T G = c V^T, and ||G||_2 <= c0 beside
// those. Relative to c and c0.
double stationarity(const Tensor& g, const LowRank& x, const Tensor& slopes, double at_zero,
                    ThresholdedSvd& svd);

double frobenius(const Tensor& x);

// What the solvers share.
struct CompletionTask {
  Tensor m, p;  // P M and the mask as 0 and 1, float64
  const CompletionOptions& options;
  double share;   // of the entries that are observed
  double norm2;   // ||P M||_2
  double weight;  // resolved
  ThresholdedSvd& svd;
  const std::function<void(int64_t)>& step_done;  // throws Interrupted
};
Completion complete_svt(const CompletionTask& task);
Completion complete_fista(const CompletionTask& task);
Completion complete_admm(const CompletionTask& task);
Completion complete_logdet(const CompletionTask& task);
Completion complete_robust(const CompletionTask& task);

}  // namespace tweedie
