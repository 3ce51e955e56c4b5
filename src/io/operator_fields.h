#pragma once
// The field tables (core/fields.h) of operators on images, of operators made of others, of those that are not
// linear, and of the user's own; those of masks, blur and matrices are in io/option_fields.h.

#include "io/classical_fields.h"  // the names of wavelets
#include "io/option_fields.h"

namespace tweedie {

constexpr auto names(Edge) {
  return std::array{"replicate", "circular"};
}
constexpr auto names(CompressedSensingOptions::Matrix) {
  return std::array{"gaussian", "hadamard", "dct"};
}
constexpr auto names(Detector) {
  return std::array{"amplitude", "intensity"};
}
constexpr auto names(PhaseRetrievalOptions::Coding) {
  return std::array{"none", "phase", "binary"};
}
constexpr auto names(ToneCurve) {
  return std::array{"clip", "tanh"};
}
constexpr auto names(QuantiserDerivative) {
  return std::array{"straight-through", "zero"};
}

inline void fields(FieldVisitor& visit, CropOptions& o) {
  visit(o.top, {"top", "first row that is kept", {.min = 0}});
  visit(o.left, {"left", "first column", {.min = 0}});
  visit(o.height, {"height", "rows", {.min = 1, .required = true}});
  visit(o.width, {"width", "columns", {.min = 1, .required = true}});
}
inline void fields(FieldVisitor& visit, BicubicOptions& o) {
  visit(o.factor, {"factor", "reduces height and width so many times, antialiased", {.min = 1}});
}
inline void fields(FieldVisitor& visit, VaryingBlurOptions& o) {
  visit(o.kernels, {"kernels", "a grid of kernels: (rows, columns, kh, kw)", {.required = true}});
  visit(o.boundary, {"boundary", "what lies beyond the edge"});
}
inline void fields(FieldVisitor& visit, DecolourOptions& o) {
  visit(o.weights, {"weights", "of the channels in grey"});
}
inline void fields(FieldVisitor& visit, ColourOptions& o) {
  visit(o.matrix, {"matrix", "(k, C): what it makes of the channels", {.required = true}});
}
inline void fields(FieldVisitor& visit, WaveletOptions& o) {
  visit(o.wavelet, {"wavelet", "of Daubechies"});
  visit(o.levels, {"levels", "2^levels divides the axes", {.min = 1, .max = 30}});
}
inline void fields(FieldVisitor& visit, DifferencesOptions& o) {
  visit(o.edge, {"edge", "what follows the last pixel"});
}
inline void fields(FieldVisitor& visit, SparseOptions& o) {
  visit(o.matrix, {"matrix", "(m, d), .npz of scipy.sparse.save_npz, csr or csc", {.required = true}});
}
inline void fields(FieldVisitor& visit, CompressedSensingOptions& o) {
  visit(o.matrix, {"matrix", "independent entries, or rows of a fast transform"});
  visit(o.measurements, {"measurements", "rows", {.min = 1, .max = 1e9, .required = true}});
  visit(o.random_signs, {"random_signs", "hadamard, dct: of x before the transform"});
  visit(o.seed, {"seed", "of the matrix"});
}

inline void fields(FieldVisitor& visit, OperatorPart& o) {
  visit.flatten(o.options, {"kind", "which operator", {.required = true}});
}
inline void fields(FieldVisitor& visit, ComposeOptions& o) {
  visit(o.parts, {"parts", "operators, each with its own kind, in the order in which they act"});
}
inline void fields(FieldVisitor& visit, SumOptions& o) {
  visit(o.parts, {"parts", "operators, each with its own kind: their sum"});
}
inline void fields(FieldVisitor& visit, StackOptions& o) {
  visit(o.parts, {"parts", "operators on the same x, each with its own kind"});
}
inline void fields(FieldVisitor& visit, BlockDiagonalOptions& o) {
  visit(o.parts, {"parts", "operators on equal pieces of x along its first axis"});
}
inline void fields(FieldVisitor& visit, AdjointOptions& o) {
  visit(o.parts, {"parts", "one linear operator, of which this is the adjoint"});
  visit(o.shape, {"shape", "what that one maps from", {.min = 1, .required = true}});
}
inline void fields(FieldVisitor& visit, ScaleOptions& o) {
  visit(o.parts, {"parts", "one operator"});
  visit(o.factor, {"factor", "what it is multiplied with; not 0", {.required = true}});
}

inline void fields(FieldVisitor& visit, PhaseRetrievalOptions& o) {
  visit(o.oversampling, {"oversampling", "zeros around x, as a factor of each axis", {.min = 1, .max = 16}});
  visit(o.detector, {"detector", "|z| or |z|^2"});
  visit(o.complex, {"complex", "x is (2, H, W), real and imaginary part"});
  visit(o.coding, {"coding", "random masks before the transform"});
  visit(o.masks, {"masks", "phase, binary: how many", {.min = 1, .max = 1000}});
  visit(o.seed, {"seed", "phase, binary: of the masks"});
}
inline void fields(FieldVisitor& visit, SaturationOptions& o) {
  visit(o.curve, {"curve", "sharp or smooth"});
  visit(o.gain, {"gain", "before it", {.min = 0, .open_min = true}});
  visit(o.low, {"low", "least value"});
  visit(o.high, {"high", "greatest value"});
}
inline void fields(FieldVisitor& visit, QuantisationOptions& o) {
  visit(o.levels, {"levels", "evenly spaced from low to high", {.min = 2, .max = 16777216}});
  visit(o.low, {"low", "least value"});
  visit(o.high, {"high", "greatest value"});
  visit(o.derivative, {"derivative", "what stands in for it: 1 within the range, or 0"});
}
inline void fields(FieldVisitor& visit, PerspectiveOptions& o) {
  visit(o.cameras, {"cameras", "(3, 4) or (k, 3, 4); or else intrinsics and so on"});
  visit(o.intrinsics, {"intrinsics", "K (3, 3)"});
  visit(o.rotation, {"rotation", "R (3, 3); by default I"});
  visit(o.translation, {"translation", "t, three numbers"});
  visit(o.baseline, {"baseline", "not 0: a stereo pair, the second camera so far along the first's x axis"});
  visit(o.nearest, {"nearest", "smaller depths count as this one", {.min = 0, .open_min = true}});
}
inline void fields(FieldVisitor& visit, TorchscriptOperatorOptions& o) {
  visit(o.file, {"file", "a module saved by torch.jit: forward(x), batches", {.required = true}});
  visit(o.adjoint, {"adjoint", "its method that is the adjoint of forward; then it is linear"});
}
inline void fields(FieldVisitor& visit, SubprocessOptions& o) {
  visit(o.command,
        {"command", "program and arguments: it reads requests and answers in NPY", {.required = true}});
  visit(o.folder, {"folder", "where it runs; by default where tweedie does"});
  visit(o.linear, {"linear", "it answers apply and adjoint; else apply and vjp"});
  visit(o.timeout, {"timeout", "seconds for one answer", {.min = 0, .max = 86400, .open_min = true}});
}

}  // namespace tweedie
