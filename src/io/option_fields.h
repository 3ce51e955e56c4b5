#pragma once
// The field tables (core/fields.h) of data, networks, schedules and operators; those of training are in
// io/train_fields.h, those of samplers and methods in io/sampler_fields.h and io/method_fields.h.

#include "core/fields.h"
#include "io/imaging_fields.h"
#include "tweedie/dataset.h"
#include "tweedie/density.h"
#include "tweedie/network.h"
#include "tweedie/operator_options.h"
#include "tweedie/predictor.h"
#include "tweedie/schedule.h"

namespace tweedie {

constexpr auto names(DataKind) {
  constexpr std::array files{"file", "fashion-mnist", "digits", "glyphs", "faces", "mri"};
  constexpr auto densities = names(Density{});
  std::array<const char*, files.size() + densities.size()> all{};
  std::copy(densities.begin(), densities.end(), std::copy(files.begin(), files.end(), all.begin()));
  return all;
}
constexpr auto names(DataSplit) {
  return std::array{"train", "test"};
}
constexpr auto names(Prediction) {
  return std::array{"noise", "data", "score", "velocity"};
}
constexpr auto names(MaskOptions::Pattern) {
  return std::array{"random", "box", "file"};
}
constexpr auto names(BlurOptions::Kernel) {
  return std::array{"gaussian", "file", "motion"};
}
constexpr auto names(Boundary) {
  return std::array{"circular", "zero"};
}

inline void fields(FieldVisitor& visit, DataOptions& o) {
  visit(o.kind, {"kind", "whatever `file` holds, or one of the sets that are known"});
  visit(o.file, {"file",
                 ".npy, .npz, .csv, IDX (.gz), or a folder of PNG or JPEG; first axis the samples. glyphs: a "
                 "font; mri: .nii"});
  visit(o.folder, {"folder", "where the files of a known set are; glyphs: of fonts"});
  visit(o.split, {"split", "of a known set"});
  visit(o.labels, {"labels", "of `file`: (N), whole numbers"});
  visit(o.label_column, {"label_column", "of `file`: holds the labels; from 0, or -1 the last"});
  visit(o.shape, {"shape", "of one sample of `file`; as in the file when not given", {.min = 1}});
  visit(o.count, {"count", "samples of two-dimensional sets", {.min = 1, .max = 1e8}});
  visit(o.seed, {"seed", "of two-dimensional sets"});
  visit(o.size, {"size", "pixels of a side; glyphs: 32, mri: 64", {.min = 8, .max = 512}});
  visit(o.characters, {"characters", "glyphs: first and last code point of each range", {.min = 1}});
  visit(o.low, {"low", "range of the data; pixels are scaled to it (to [-1, 1] when it is not given)"});
  visit(o.high, {"high", "range of the data"});
}

inline void fields(FieldVisitor& visit, UNetOptions& o) {
  visit(o.channels, {"channels", "at full resolution", {.min = 4, .max = 4096}});
  visit(o.multipliers, {"multipliers", "of channels, one per resolution", {.min = 1, .max = 64}});
  visit(o.blocks, {"blocks", "residual blocks per resolution, down and up", {.min = 1, .max = 64}});
  visit(o.attention, {"attention", "resolutions (heights, after folding) with self-attention", {.min = 1}});
  visit(o.patch,
        {"patch", "squares of patch x patch pixels are folded into channels first", {.min = 1, .max = 64}});
}
inline void fields(FieldVisitor& visit, MlpOptions& o) {
  visit(o.width, {"width", "of each layer", {.min = 1, .max = 65536}});
  visit(o.depth, {"depth", "residual layers", {.min = 1, .max = 1024}});
  visit(
      o.frequencies,
      {"frequencies", "K: sin and cos of 1, 2, .. 2^(K - 1) times the scaled input", {.min = 0, .max = 20}});
}
inline void fields(FieldVisitor& visit, DitOptions& o) {
  visit(o.patch, {"patch", "a token is a square of patch x patch pixels", {.min = 1, .max = 64}});
  visit(o.width, {"width", "of a token, a multiple of 4 and of heads", {.min = 4, .max = 65536}});
  visit(o.depth, {"depth", "blocks", {.min = 1, .max = 1024}});
  visit(o.heads, {"heads", "of attention", {.min = 1, .max = 1024}});
}

inline void fields(FieldVisitor& visit, Karras& o) {
  visit(o.sigma_min, {"sigma_min", "last level before 0", {.min = 0, .open_min = true}});
  visit(o.sigma_max, {"sigma_max", "first level", {.min = 0, .open_min = true}});
  visit(o.rho, {"rho", "the larger, the more steps at small noise", {.min = 0, .open_min = true}});
}
inline void fields(FieldVisitor& visit, GeometricVe& o) {
  visit(o.sigma_min, {"sigma_min", "last level before 0", {.min = 0, .open_min = true}});
  visit(o.sigma_max, {"sigma_max", "first level", {.min = 0, .open_min = true}});
}
inline void fields(FieldVisitor& visit, UniformFlow& o) {
  visit(o.t_max, {"t_max",
                  "first time; the level is t / (1 - t)",
                  {.min = 0, .max = 1, .open_min = true, .open_max = true}});
}
template <class Linear>
void beta_fields(FieldVisitor& visit, Linear& o) {
  visit(o.beta_start, {"beta_start",
                       "variance of the first noise step",
                       {.min = 0, .max = 1, .open_min = true, .open_max = true}});
  visit(o.beta_end,
        {"beta_end", "variance of the last", {.min = 0, .max = 1, .open_min = true, .open_max = true}});
  visit(o.train_steps, {"train_steps", "number of noise steps", {.min = 1, .max = 1e7}});
}
inline void fields(FieldVisitor& visit, VpLinear& o) {
  beta_fields(visit, o);
}
inline void fields(FieldVisitor& visit, VpScaledLinear& o) {
  beta_fields(visit, o);
}
inline void fields(FieldVisitor& visit, Cosine& o) {
  visit(o.s, {"s", "offset that keeps the first noise steps from being too small", {.min = 0, .max = 1}});
  visit(o.max_beta, {"max_beta",
                     "largest variance of a noise step",
                     {.min = 0, .max = 1, .open_min = true, .open_max = true}});
  visit(o.train_steps, {"train_steps", "number of noise steps", {.min = 1, .max = 1e7}});
}
inline void fields(FieldVisitor&, Ve&) {}
inline void fields(FieldVisitor&, Flow&) {}

inline void fields(FieldVisitor&, IdentityOptions&) {}
inline void fields(FieldVisitor& visit, MaskOptions& o) {
  visit(o.pattern, {"pattern", "which pixels are kept"});
  visit(o.fraction,
        {"fraction", "random: of the pixels that are kept", {.min = 0, .max = 1, .open_min = true}});
  visit(o.top, {"top", "box: first hidden row", {.min = 0}});
  visit(o.left, {"left", "box: first hidden column", {.min = 0}});
  visit(o.height, {"height", "box: hidden rows", {.min = 0}});
  visit(o.width, {"width", "box: hidden columns", {.min = 0}});
  visit(o.file, {"file", "file: 1 kept, 0 hidden; the shape of x or (H, W)"});
  visit(o.seed, {"seed", "random: of the choice; else the config's"});
}
inline void fields(FieldVisitor& visit, BlurOptions& o) {
  visit(o.kernel, {"kernel", "of what shape, or from `file`"});
  visit(o.std, {"std", "gaussian: pixels", {.min = 0, .max = 1000, .open_min = true}});
  visit(o.file, {"file", "file: (kh, kw), convolved as it is"});
  visit(o.boundary, {"boundary", "what lies beyond the edge"});
  visit(o.length, {"length", "motion: pixels", {.min = 0, .max = 1000, .open_min = true}});
  visit(o.angle, {"angle", "motion: degrees, counter-clockwise from the horizontal"});
}
inline void fields(FieldVisitor& visit, DownsampleOptions& o) {
  visit(o.factor, {"factor", "averages over factor x factor pixels", {.min = 1}});
}
inline void fields(FieldVisitor& visit, MatrixOptions& o) {
  visit(o.matrix, {"matrix", "(m, d), d the size of x", {.required = true}});
}

}  // namespace tweedie
