#pragma once
// Sets of draws, and what any distance between two of them is when their laws are the same.

#include "tweedie/tensor.h"

#include <cstdint>
#include <functional>

namespace tweedie {

// Draws x (n, *shape), flattened to (n, d) inside. log_weight (n) holds up to a constant; undefined: equal
// weights.
struct SampleSet {
  SampleSet(Tensor draws, Tensor log_weights = {})
      : x(std::move(draws)), log_weight(std::move(log_weights)) {}
  Tensor x, log_weight;
};

// What a distance is when the laws are the same, because the sets are finite.
struct Floor {
  double mean, std;  // over random splits
};

struct FloorOptions {
  int64_t splits = 20;  // >= 2
  uint64_t seed = 0;
};

using Distance = std::function<double(const SampleSet&, const SampleSet&)>;

// Between random halves of one set (of n/2 draws each, so larger than between two sets of n).
Floor distance_floor(const Distance& distance, const SampleSet& a, const FloorOptions& options = {});
// Between random splits of the two sets together into the sizes that they have. Weighted sets are first
// resampled to as many draws as their effective size.
Floor distance_floor(const Distance& distance, const SampleSet& a, const SampleSet& b,
                     const FloorOptions& options = {});

}  // namespace tweedie
