#pragma once
// The sums over components of a mixture for rows on the CPU, each row's bits its own: not the other rows',
// nor their number's. Value is float or double.

#include <cstdint>

namespace tweedie {

// K components N(m_k, S_k) at one noise level.
template <class Value>
struct MixtureView {
  int64_t count, dimension;
  const Value* mean;       // (K, d)
  const Value* offset;     // (K): log w_k minus half the logarithm of det(2 pi S_k)
  const Value* precision;  // isotropic: (K), 1 / S_k; spanned: (K, d) along the basis
  const Value* shrink;     // Sigma_k S_k^{-1}: (K) or (K, d)
};

// Isotropic: x (rows, d) -> D (rows, d), and r (rows, K) unless it is null.
template <class Value>
void isotropic_mean(const MixtureView<Value>& mixture, const Value* x, int64_t rows, Value* mean,
                    Value* responsibility);

// Spanned: p (rows, K, d) holds U_k^T (x - m_k) and becomes r_k shrink_k p_k; r (rows, K) is written.
template <class Value>
void spanned_terms(const MixtureView<Value>& mixture, const Value* projected, int64_t rows, Value* p,
                   Value* responsibility);

}  // namespace tweedie
