#pragma once
// What a mixture is made of.

#include "tweedie/mixture_prior.h"

namespace tweedie {

class MixtureLevels;

// Sigma_k = U_k diag(value_k) U_k^T + rest_k (I - U_k U_k^T), U_k (d, r) orthonormal; value may be below
// rest.
struct MixturePrior::Components {
  Tensor log_weight;  // (K), normalised by make()
  Tensor mean;        // (K, d)
  Tensor basis;  // (d, K r): U_1, U_2, ... side by side; undefined: r = 0, or r = d and the coordinate axes
  Tensor value;  // (K, r)
  Tensor rest;   // (K)
  Tensor projected;  // (K, r): U_k^T m_k, set by make()
  std::shared_ptr<const Components> single =
      nullptr;  // the same in float32, where that is exact enough; set by make()
  std::shared_ptr<MixtureLevels> levels = nullptr;  // of full covariances; set by make()

  int64_t count() const { return mean.size(0); }
  int64_t dimension() const { return mean.size(1); }
  int64_t rank() const { return value.size(1); }
  bool isotropic() const { return rank() == 0; }
  // Does U span everything, so that `rest` has no part?
  bool spans() const { return rank() == dimension(); }

  // U_k^T v for each k: (B, d) -> (B, K, r)
  Tensor project(const Tensor& v) const;
  // sum_k U_k q_k: (B, K, r) -> (B, d)
  Tensor back(const Tensor& q) const;
  Components to(const at::TensorOptions& options) const;

  static std::shared_ptr<const Components> make(Components exact);
};

}  // namespace tweedie
