#pragma once
// Measurements that are not linear in x, with their derivatives.

#include "tweedie/operator_algebra.h"

namespace tweedie {

// Magnitudes |z| or intensities |z|^2 of z_l = F (m_l x): F the orthonormal 2-D Fourier transform of the
// image continued by zeros to round(oversampling n) pixels an axis, m_l complex masks, or none. The
// derivative of |z| is taken as 0 where z = 0. x: (..., H, W), real, or (2, H, W), real and imaginary part,
// where `complex` says so.
enum class Detector { amplitude, intensity };
struct PhaseRetrieval {
  double oversampling = 2;  // 1 to 16
  bool complex = false;
  Detector detector = Detector::amplitude;
  Tensor masks{};  // (L, H, W, 2), real and imaginary part: y gets a first axis L; undefined: none
};
ForwardOperatorPtr make_phase_retrieval(Shape domain, const PhaseRetrieval& settings);

// L masks of height x width pixels for it: e^{i phi}, phi uniform; or 0 and 1 with equal probability.
enum class CodedMask { phase, binary };
Tensor coded_masks(CodedMask kind, int64_t count, int64_t height, int64_t width, const Noise& noise);

// y = min(max(gain x, low), high), whose derivative is 0 where it saturates; or the smooth y = c + r
// tanh((gain x - c) / r) with c and r the middle and half the width of [low, high].
enum class ToneCurve { clip, tanh };
ForwardOperatorPtr make_saturation(Shape domain, ToneCurve curve, double gain, double low, double high);

// The nearest of `levels` evenly spaced values from low to high. Its derivative is 0 almost everywhere;
// `straight_through` takes 1 within [low, high] instead, which is not a derivative of this map but gives
// methods a direction to move in.
enum class QuantiserDerivative { straight_through, zero };
ForwardOperatorPtr make_quantisation(Shape domain, int64_t levels, double low, double high,
                                     QuantiserDerivative derivative);

// Pinhole cameras P = K [R | t], (3, 4) or (k, 3, 4), look at points x, (..., 3): (u, v, w) = P (x, 1), y =
// (u, v) / w,
// (..., 2) or (k, ..., 2). Depths w below `nearest` > 0, behind the camera too, count as that depth.
ForwardOperatorPtr make_perspective(Shape domain, const Tensor& cameras, double nearest);
// K (3, 3), R (3, 3), t (3) -> (3, 4)
Tensor camera_matrix(const Tensor& intrinsics, const Tensor& rotation, const Tensor& translation);

}  // namespace tweedie
