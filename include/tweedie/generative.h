#pragma once
// A distribution that was learned, whatever the family: draws, and the likelihood where there is one.

#include "tweedie/noise.h"

#include <array>
#include <optional>

namespace tweedie {

enum class LikelihoodKind {
  exact,  // log p(x)
  elbo,   // E_q log p(x, z) - log q(z | x): a lower bound (Kingma and Welling 2014)
  iwae,   // log of the mean of K importance weights: a tighter one (Burda et al. 2016)
  flow,   // along the probability-flow ODE: the density of x + sigma_min n, up to the solver's tolerance
};
constexpr auto names(LikelihoodKind) {
  return std::array{"exact", "elbo", "iwae", "probability-flow"};
}

struct LogLikelihood {
  Tensor nats;  // (B) float64
  LikelihoodKind kind;
};

class GenerativeModel {
 public:
  virtual ~GenerativeModel() = default;
  virtual Shape shape() const = 0;

  // (draws, *shape) float32. Draw i is a function of (noise, i) alone, whatever `draws` and the threads are.
  // labels: (draws) int64 for a model of classes, or undefined.
  Tensor sample(int64_t draws, const Noise& noise, int64_t threads = 0, const Tensor& labels = {}) const;
  // Of each row of x: (B, *shape) float32; none for a family that has no likelihood. The same holds for rows.
  std::optional<LogLikelihood> log_likelihood(const Tensor& x, const Noise& noise, int64_t threads = 0) const;

  virtual std::optional<LikelihoodKind> likelihood() const { return {}; }
  virtual int64_t classes() const { return 0; }  // 0: takes no labels

 protected:
  // Some rows, on one thread, without gradients; noise is that of these rows. labels: (B), or undefined.
  virtual Tensor do_sample(int64_t rows, const Tensor& labels, Noise& noise) const = 0;
  virtual Tensor do_log_likelihood(const Tensor& x, Noise& noise) const;
};

}  // namespace tweedie
