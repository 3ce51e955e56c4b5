#pragma once
// Measurements that are a matrix: sparse, or random as compressed sensing takes them.

#include "tweedie/operators.h"

namespace tweedie {

// Compressed rows: those of row i are at offsets[i] .. offsets[i + 1] - 1.
struct SparseMatrix {
  int64_t rows = 0, columns = 0;
  Tensor offsets;  // (rows + 1) whole numbers, from 0 to the number of entries
  Tensor indices;  // (entries) whole numbers: columns; one that comes twice counts twice
  Tensor values;   // (entries) float32 or float64
};
// y = S x, S (m, d) over the flattened domain; y is (m,)
LinearOperatorPtr make_sparse(Shape domain, const SparseMatrix& matrix);
SparseMatrix transposed(const SparseMatrix& matrix);

// y = G x, G (m, d) of independent entries N(0, 1 / m), made anew from the noise, some rows at a time, where
// it would take more than 32 MB.
LinearOperatorPtr make_gaussian_sensing(Shape domain, int64_t measurements, const Noise& noise);

enum class FastTransform { hadamard, dct };
// y = S T D x over the flattened domain of d entries: D random signs, or I; T the orthonormal Walsh-Hadamard
// transform (d a power of two, natural order) or DCT-II; S keeps m of its d rows, chosen uniformly, in their
// order. A A^T = I.
LinearOperatorPtr make_subsampled_transform(Shape domain, FastTransform transform, int64_t measurements,
                                            bool random_signs, const Noise& noise);

}  // namespace tweedie
