#pragma once
// Are draws copies of the rows that a model was trained on?

#include "tweedie/diagnostics.h"

namespace tweedie {

struct MemorisationOptions {
  double quantile = 0.01;  // of the held-out rows' distances, in (0, 1): smaller ones see fewer copies, but
                           // need more held-out rows, at least 1 / quantile - 1
  int64_t pairs = 10;      // of the closest ones that are reported
  int64_t threads = 0;     // 0: all cores
};

struct MemorisedPair {
  int64_t draw, row;  // of the draws, of the training rows
  double distance;
};

struct Memorisation {
  double threshold;  // the distance to its nearest training row that this quantile of held-out rows is below
  double share;      // of draws that are nearer than that to a training row
  double expected;   // of a model that draws from the data's law: k / (m + 1), about the quantile
  double standard_error;     // of the share of such a model, with the held-out rows' own error
  double p_value;            // one-sided: P(share at least this) of such a model, exact for any n and m
  Tensor distance;           // (n) float64: of each draw to its nearest training row
  Tensor nearest;            // (n) int64: that row
  Tensor held_out_distance;  // (m) float64: of each held-out row to its nearest training row
  std::vector<MemorisedPair> closest;  // by distance
};

// draws: (n, *shape), training: (N, *shape), held_out: (m, *shape) from the law of the training rows, which
// none of them is one of; float32 or float64. Meehan, Chaudhuri and Dasgupta 2020, "A non-parametric test to
// detect data-copying in generative models", here for the shortest distances alone. A law narrower than the
// data's is nearer to the rows, too, and copies that are far from their rows are not seen. Takes n N d
// products and memory for blocks of them.
Memorisation measure_memorisation(const Tensor& draws, const Tensor& training, const Tensor& held_out,
                                  const MemorisationOptions& options = {});

// value: the share. Fails when it is above twice what is expected. Skipped where the threshold is 0: held-out
// rows that are among the training rows.
Finding memorisation(const Memorisation& measured, const Significance& significance = {});

}  // namespace tweedie
