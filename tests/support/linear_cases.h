#pragma once
// Small linear operators of every kind but imaging's, for tests of all operators.

#include "tweedie/image_operators.h"
#include "tweedie/operator_algebra.h"
#include "tweedie/operators.h"
#include "tweedie/sensing.h"

#include "check_tensor.h"
#include "support/named_operator.h"

namespace tweedie {

inline LinearOperatorPtr linear(const ForwardOperatorPtr& a) {
  return std::dynamic_pointer_cast<const LinearOperator>(a);
}

// Entries anywhere, some twice in one place, some rows without any.
inline SparseMatrix random_sparse(int64_t rows, int64_t columns, int64_t entries) {
  const Tensor row =
      std::get<0>((Noise(1).stream(70).uniform({entries}, at::kDouble) * rows).to(at::kLong).sort());
  const Tensor column = (Noise(1).stream(71).uniform({entries}, at::kDouble) * columns).to(at::kLong);
  const Tensor count = at::zeros({rows}, at::kLong).index_add(0, row, at::ones({entries}, at::kLong));
  return {rows, columns, at::cat({at::zeros({1}, at::kLong), count.cumsum(0)}), column,
          normal({entries}, 72)};
}

inline const std::vector<NamedOperator<LinearOperatorPtr>>& linear_cases() {
  static const std::vector<NamedOperator<LinearOperatorPtr>> all{
      {"Identity",
       [] {
         return make_identity({2, 3});
       }},
      {"RandomMask",
       [] {
         return make_mask(random_mask({3, 6, 8}, 0.3, Noise(2)));
       }},
      {"BoxMask",
       [] {
         return make_mask(box_mask({1, 7, 5}, 2, 1, 3, 4));
       }},
      {"MaskOfVector", [] { return make_mask(random_mask({17}, 0.5, Noise(3))); }},
      {"BlurCircular",
       [] {
         return make_blur({3, 6, 9}, gaussian_kernel(0.8, 2));
       }},
      {"BlurCircularEven",
       [] {
         return make_blur({2, 7, 6}, normal({4, 2}, 4));
       }},
      {"BlurCircularLargerThanImage",
       [] {
         return make_blur({5, 4}, normal({9, 11}, 5));
       }},
      {"BlurZero",
       [] {
         return make_blur({3, 6, 9}, gaussian_kernel(1.1, 3), Boundary::zero);
       }},
      {"BlurZeroEven",
       [] {
         return make_blur({6, 5}, normal({2, 4}, 6), Boundary::zero);
       }},
      {"BlurZeroLargerThanImage",
       [] {
         return make_blur({2, 4, 3}, normal({10, 9}, 7), Boundary::zero);
       }},
      {"Downsample",
       [] {
         return make_downsample({3, 6, 9}, 3);
       }},
      {"DownsampleTo1",
       [] {
         return make_downsample({4, 4}, 4);
       }},
      {"MatrixWide",
       [] {
         return make_matrix({2, 3, 5}, normal({7, 30}, 8));
       }},
      {"MatrixTall",
       [] {
         return make_matrix({9}, normal({20, 9}, 9));
       }},
      {"MatrixOneRow",
       [] {
         return make_matrix({8}, normal({1, 8}, 10));
       }},
      {"MatrixRank2",
       [] {
         return make_matrix({6}, normal({5, 2}, 11).matmul(normal({2, 6}, 12)));
       }},
      {"MatrixZero",
       [] {
         return make_matrix({6}, at::zeros({3, 6}, at::kDouble));
       }},
      {"Composed",
       [] {
         return compose(make_downsample({3, 6, 4}, 2), make_blur({3, 6, 4}, normal({3, 3}, 13)));
       }},
      {"Stacked",
       [] {
         return stack({make_downsample({2, 4, 6}, 2), make_mask(random_mask({2, 4, 6}, 0.4, Noise(4))),
                       make_blur({2, 4, 6}, normal({3, 2}, 14))});
       }},
      {"Scaled",
       [] {
         return scale(make_matrix({12}, normal({5, 12}, 15)), -2.5);
       }},
      {"Crop",
       [] {
         return make_crop({3, 6, 8}, 1, 3, 4, 2);
       }},
      {"CropWhole",
       [] {
         return make_crop({2, 3}, 0, 0, 2, 3);
       }},
      {"Bicubic2",
       [] {
         return make_bicubic({2, 6, 8}, 2);
       }},
      {"Bicubic4OfSmall",
       [] {
         return make_bicubic({4, 8}, 4);
       }},
      {"SeparableTall",
       [] {
         return make_separable({2, 3, 4}, normal({5, 3}, 50), normal({6, 4}, 51));
       }},
      {"SeparableZero",
       [] {
         return make_separable({3, 4}, at::zeros({2, 3}, at::kDouble), normal({3, 4}, 52));
       }},
      {"BlurMotion",
       [] {
         return make_blur({2, 7, 8}, motion_kernel(4.3, 25));
       }},
      {"VaryingBlurCircular",
       [] {
         return make_varying_blur({2, 6, 7}, normal({2, 3, 3, 2}, 53));
       }},
      {"VaryingBlurZero",
       [] {
         return make_varying_blur({5, 6}, normal({3, 1, 2, 4}, 54), Boundary::zero);
       }},
      {"Decolour",
       [] {
         return make_colour({3, 4, 5}, at::tensor({0.299, 0.587, 0.114}, at::kDouble).view({1, 3}));
       }},
      {"ColourTall",
       [] {
         return make_colour({2, 3, 2}, normal({4, 2}, 55));
       }},
      {"ColourRank1",
       [] {
         return make_colour({3, 5}, normal({3, 1}, 56).matmul(normal({1, 3}, 57)));
       }},
      {"Sparse",
       [] {
         return make_sparse({3, 4}, random_sparse(5, 12, 20));
       }},
      {"SparseTall", [] { return make_sparse({6}, random_sparse(15, 6, 30)); }},
      {"GaussianSensing",
       [] {
         return make_gaussian_sensing({2, 3, 4}, 10, Noise(5));
       }},
      {"HadamardSensing",
       [] {
         return make_subsampled_transform({2, 4, 4}, FastTransform::hadamard, 13, true, Noise(6));
       }},
      {"DctSensing",
       [] {
         return make_subsampled_transform({3, 7}, FastTransform::dct, 9, true, Noise(7));
       }},
      {"DctSensingAll",
       [] { return make_subsampled_transform({12}, FastTransform::dct, 12, false, Noise(8)); }},
      {"WaveletHaar",
       [] {
         return make_wavelet({2, 8, 4}, Wavelet::haar, 2);
       }},
      {"WaveletDb2", [] { return make_wavelet({16}, Wavelet::db2, 3); }},
      {"WaveletDb3",
       [] {
         return make_wavelet({6, 10}, Wavelet::db3, 1);
       }},
      {"WaveletDb4LongerThanAxis",
       [] {
         return make_wavelet({3, 4, 8}, Wavelet::db4, 2);
       }},
      {"Differences",
       [] {
         return make_differences({2, 5, 6});
       }},
      {"DifferencesCircular",
       [] {
         return make_differences({2, 5, 6}, Edge::circular);
       }},
      {"DifferencesOfLine", [] { return make_differences({7}); }},
      {"DifferencesOfLineCircular", [] { return make_differences({8}, Edge::circular); }},
      {"Sum",
       [] {
         return linear(sum_of({make_blur({2, 4, 5}, normal({3, 3}, 58)), make_identity({2, 4, 5})}));
       }},
      {"Chain",
       [] {
         return linear(
             in_turn({make_blur({2, 4, 6}, normal({3, 2}, 59), Boundary::zero), make_downsample({2, 4, 6}, 2),
                      make_mask(random_mask({2, 2, 3}, 0.5, Noise(9)))}));
       }},
      {"StackOf",
       [] {
         return linear(stack_of({make_downsample({4, 6}, 2), make_identity({4, 6})}));
       }},
      {"BlockDiagonal",
       [] {
         return linear(
             block_diagonal({make_downsample({1, 4, 6}, 2), make_blur({1, 4, 6}, normal({2, 2}, 60))}));
       }},
      {"BlockDiagonalKnown",
       [] {
         return linear(block_diagonal({make_bicubic({2, 4, 4}, 2), make_crop({1, 4, 4}, 0, 1, 2, 2)}));
       }},
      {"Adjoint",
       [] {
         return adjoint_of(make_downsample({3, 4, 6}, 2));
       }},
      {"AdjointOfMatrix",
       [] {
         return adjoint_of(make_matrix({9}, normal({20, 9}, 61)));
       }},
      {"ScaledForward", [] { return linear(scaled(make_wavelet({8}, Wavelet::haar, 1), 3)); }},
  };
  return all;
}

}  // namespace tweedie
