#pragma once
// The matrix of low rank behind some of its entries. M (m, n) is known on Omega, P keeps those entries.

#include "tweedie/noise.h"
#include "tweedie/progress.h"

#include <optional>

namespace tweedie {

enum class CompletionMethod {
  svt,     // Cai, Candes, Shen 2010: min weight ||X||_* + 1/2 ||X||_F^2 where P X = P M
  fista,   // Toh and Yun 2010: min 1/2 ||P (X - M)||_F^2 + weight ||X||_*, accelerated, with continuation
  admm,    // the same by ADMM; weight = 0: min ||X||_* where P X = P M
  logdet,  // Fazel, Hindi, Boyd 2003: min 1/2 ||P (X - M)||_F^2 + weight sum log(s_i + delta), s_i of X
  robust,  // Candes, Li, Ma, Wright 2011: min ||L||_* + weight ||S||_1 where P (L + S) = P M
};
enum class SvdKind { automatic, full, randomised };

struct CompletionOptions {
  CompletionMethod method = CompletionMethod::admm;
  // >= 0 for admm, > 0 else. By default from noise_std, or without it: svt 5 sqrt(m n) times the entries'
  // root mean square, fista 1e-4 ||P M||_2, admm 0, logdet a quarter of that threshold squared, robust 1 /
  // sqrt(max(m, n) share observed).
  std::optional<double> weight;
  // > 0, of the entries: the weight is then that of the noise's own largest singular value, noise_std
  // (sqrt(m) + sqrt(n)) sqrt(share observed)
  std::optional<double> noise_std;
  std::optional<double> delta;  // of logdet, > 0; sqrt(weight) / 5, a tenth of the threshold
  int64_t iterations = 2000;    // >= 1, at most
  double tolerance = 1e-6;      // > 0, of the residual that the method's own stopping rule looks at
  // Full decompositions in each iteration, or randomised ones from the last one's singular vectors (Halko,
  // Martinsson, Tropp 2011); automatic: randomised from 200 rows and columns
  SvdKind svd = SvdKind::automatic;
};

struct Completion {
  Tensor low_rank;  // (m, n) float64
  Tensor sparse;    // (m, n) of robust, else undefined; 0 where nothing was observed
  Tensor
      completed;  // the observed entries where the method keeps them (svt, admm with weight 0), else low_rank
  Tensor singular_values;  // (rank), of low_rank
  int64_t rank = 0, iterations = 0;
  double weight = 0, objective = 0;
  double residual = 0;      // what the stopping rule looked at
  double kkt_residual = 0;  // how far the optimality conditions are from being met, relative
  bool converged = false;
};

// observed: (m, n) float32 or float64, whatever where mask is false, finite elsewhere; mask: (m, n) bool,
// true where it is known. Computed in float64. noise: of the randomised decompositions. Throws Error on bad
// input, Interrupted when the observer says stop.
Completion complete_matrix(const Tensor& observed, const Tensor& mask, const CompletionOptions& options,
                           const Noise& noise, const Observer& observer = {});

}  // namespace tweedie
