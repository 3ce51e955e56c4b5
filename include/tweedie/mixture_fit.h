#pragma once
// Gaussian mixtures learned by EM, from rows and from the counts of classes.

#include "tweedie/mixture_prior.h"
#include "tweedie/noise.h"
#include "tweedie/progress.h"

#include <utility>

namespace tweedie {

struct MixtureFitOptions {
  static constexpr const char* kind = "gaussian-mixture";
  enum class Covariance { full, diagonal, isotropic };

  std::optional<int64_t> components;  // K; without it the one of least BIC among 1 .. max_components
  int64_t max_components = 10;        // at most the number of rows is tried
  Covariance covariance = Covariance::full;
  double covariance_floor = 1e-6;  // least eigenvalue, over the data's mean variance; in [1e-12, 1]
  int64_t iterations = 500;        // most
  double tolerance = 1e-7;         // nats: a gain of the mean log-likelihood per row at which EM stops
  int64_t restarts = 2;            // from k-means++, the best likelihood kept
};

struct MixtureFit {
  // float64. A component that no row is left for is dropped, so K may be less than was asked for.
  Tensor weights;                      // (K)
  Tensor means;                        // (K, d)
  Tensor covariances;                  // full (K, d, d), diagonal (K, d), isotropic (K): variances
  std::vector<double> log_likelihood;  // mean nats per row after each iteration of the restart that is kept
  double bic = 0;                      // -2 log-likelihood + free parameters x ln(rows): less is better
  std::vector<std::pair<int64_t, double>> bic_by_components;  // for each K that was tried
  bool converged = false;                                     // within the tolerance, before `iterations`

  // shape: of d entries
  MixturePrior prior(const Shape& shape) const;
};

// x: (N, *shape), float32 or float64. threads 0: all cores; they change no bit of the result. observer: after
// each iteration, with loss the negative mean log-likelihood of a row; told to stop, the best fit so far is
// returned. Throws Error on NaN or constant data, fewer rows than components and options out of range.
MixtureFit fit_mixture(const Tensor& x, const MixtureFitOptions& options, const Noise& noise,
                       int64_t threads = 0, const Observer& observer = {});

// For numbers of which only the class is known: class i, [edges[i], edges[i + 1]), holds counts[i] of them.
// edges: (n + 1), increasing by more than 1e-10 of the largest; the first may be -infinity and the last
// infinity. counts: (n), whole numbers >= 0. Both of any real dtype. The likelihood is that of the counts,
// without the multinomial coefficient; finite outer edges say that nothing was seen beyond them. d = 1, and
// covariances (K) whatever the option.
MixtureFit fit_grouped_mixture(const Tensor& edges, const Tensor& counts, const MixtureFitOptions& options,
                               const Noise& noise);

}  // namespace tweedie
