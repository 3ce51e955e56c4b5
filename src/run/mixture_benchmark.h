#pragma once
// Posterior samplers on random problems under the 25-component mixture, with the settings of the papers that
// use it: DDPM's linear schedule of 1000 levels, 20 steps at eta = 0.6 or 100 at 0.85, 2000 draws, sliced
// Wasserstein as the mean over 100 directions of W_1.

#include "run/context.h"

#include <string>

namespace tweedie {

struct MixtureBenchmarkOptions {
  int64_t problems = 20;  // of each cell; a quarter above 80 dimensions
  int64_t draws = 2000;   // particle methods: two chains of half as many
  uint64_t seed = 1;
  bool large = false;  // d = 400 and 800 too
};

struct MixtureBenchmark {
  std::string text;  // Markdown: distances by cell and method, and the evidence
  Summary summary;   // {"cells": [...], "evidence": [...]}
};
MixtureBenchmark mixture_benchmark(const MixtureBenchmarkOptions& options, const RunContext& context);

}  // namespace tweedie
