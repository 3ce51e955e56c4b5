#pragma once
// Mixtures of full covariances in float32, at one noise level for all rows: what depends on the level alone
// is made once, and then each component takes one product with a matrix instead of two with its axes.

#include "kernel/product.h"
#include "tweedie/tensor.h"

#include <list>
#include <memory>
#include <mutex>
#include <vector>

namespace tweedie {

// With e = x - m_k and S_k = Sigma_k + sigma^2 I, in the form that cancels less:
//   small sigma   z = S_k^{-1} e,          e^T S_k^{-1} e = e^T z,                      D_k = x - sigma^2 z
//   large sigma   z = Sigma_k S_k^{-1} e,  e^T S_k^{-1} e = (e^T e - e^T z) / sigma^2,  D_k = m_k + z
class MixtureLevel {
 public:
  // log_weight: (K), mean: (K, d); basis: (d, K d), U_1, U_2, ... side by side; value: (K, d), eigenvalues of
  // Sigma_k; all float64. sigma > 0
  MixtureLevel(const Tensor& log_weight, const Tensor& mean, const Tensor& basis, const Tensor& value,
               double sigma);
  static int64_t bytes(int64_t count, int64_t dimension);

  // x (rows, d) -> D (rows, d). A row's bits do not depend on the others.
  void mean(const float* x, int64_t rows, float* mean) const;

 private:
  int64_t count_, dimension_;
  bool small_;
  float variance_;
  std::vector<float> mean_, offset_;  // (K, lanes of d); (K): log w_k - log det(S_k) / 2
  std::vector<PackedMatrix> matrix_;
};

// The levels of a schedule are few and come again: those used last are kept.
class MixtureLevels {
 public:
  // As for MixtureLevel
  MixtureLevels(Tensor log_weight, Tensor mean, Tensor basis, Tensor value);
  // Null where a level is too large to keep, or too uneven for float32 in this form.
  std::shared_ptr<const MixtureLevel> at(double sigma);

 private:
  struct Entry {
    double sigma;
    std::once_flag made;
    std::shared_ptr<const MixtureLevel> level;
  };
  Tensor log_weight_, mean_, basis_, value_;
  double largest_, smallest_;
  std::mutex mutex_;
  std::list<std::shared_ptr<Entry>> entries_;  // the last used first
};

}  // namespace tweedie
