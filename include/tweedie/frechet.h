#pragma once
// Distances between Gaussians that have the sets' means and covariances.

#include "tweedie/sample_set.h"

namespace tweedie {

// W_2 (not its square) between N(mean a, Cov a) and N(mean b, Cov b): blind to all but two moments. At least
// two draws each.
double gaussian_w2(const SampleSet& a, const SampleSet& b);

struct RandomFeatureOptions {
  int64_t features = 64;  // >= 1
  uint64_t seed = 0;
};

// Random-feature Frechet distance, RF-FD: the square of gaussian_w2 between the features of both sets. Draws
// (n, C, H, W) with H and W at least 8 pass three random 3 x 3 convolutions with ReLU, the first two
// followed by average pooling, the last by the mean over all pixels; other draws pass one random layer with
// ReLU. Nothing is trained: not comparable with any FID, nor across seeds and numbers of features. It is
// biased upwards by finite sets, so the larger set is thinned to the size of the smaller one at random, and
// weighted sets are first resampled to their effective size; state it beside its floor.
double rf_fd(const SampleSet& a, const SampleSet& b, const RandomFeatureOptions& options = {});

// The same beside what it is between random splits of both sets together, from one evaluation of the
// features.
struct FrechetWithFloor {
  double distance;
  Floor floor;
};
FrechetWithFloor rf_fd_with_floor(const SampleSet& a, const SampleSet& b,
                                  const RandomFeatureOptions& options = {}, int64_t splits = 20);

}  // namespace tweedie
