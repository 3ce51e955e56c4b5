#pragma once
// Posterior samplers on random problems under the 25-component mixture, with the settings of the papers that
// use it: DDPM's linear schedule of 1000 levels, 20 steps at eta = 0.6 or 100 at 0.85, 2000 draws, sliced
// Wasserstein as the mean over 100 directions of W_1.

#include "run/context.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tweedie {

struct MixtureCell {
  int64_t d, dy, steps;
  // An independent reproduction with exact scores and the same settings
  std::optional<double> mcgdiff, ddrm, dps, mmps;
  std::optional<double> slide;  // a single run of MCGdiff's authors' talk

  double eta() const { return steps <= 20 ? 0.6 : 0.85; }
};
std::vector<MixtureCell> mixture_cells();

struct MixtureBenchmarkOptions {
  std::vector<MixtureCell> cells = mixture_cells();
  int64_t problems = 20;  // of each cell; a quarter above 80 dimensions
  int64_t draws = 2000;   // particle methods: two chains of half as many
  uint64_t seed = 1;
};

struct MixtureBenchmark {
  std::string text;  // Markdown: distances by cell and method, and the evidence
  Summary summary;   // {"cells": [...], "evidence": [...]}
};

// Distances of one method in a cell: of each problem, infinite where a walk diverged. "floor": of exact
// draws.
using MixtureDistances = std::map<std::string, std::vector<double>>;
MixtureDistances mixture_distances(
    const MixtureCell& cell, const MixtureBenchmarkOptions& options, const RunContext& context,
    const std::function<void()>& problem_done = [] {});

MixtureBenchmark mixture_benchmark(const MixtureBenchmarkOptions& options, const RunContext& context);

}  // namespace tweedie
