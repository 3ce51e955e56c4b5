// Classifier two-sample test (Lopez-Paz and Oquab 2017, "Revisiting classifier two-sample tests") by k
// nearest neighbours and cross-validation. Each class is dealt evenly to the folds, and a draw's label is
// guessed by the majority of its k nearest among the draws of the other folds. If the laws are equal, the
// labels within a fold are exchangeable given everything else; permuting them leaves the neighbours as they
// are, so the exact law of the accuracy costs one look-up a permutation.

#include "diagnostic/samples.h"
#include "tweedie/error.h"
#include "tweedie/two_sample.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr const char* place = "c2st";

// Draws with equal weights, and the fold of each; copies of a draw share theirs.
struct Dealt {
  Tensor x;     // (k, d)
  Tensor fold;  // (k) int64
};

Dealt deal(const Rows& rows, const Tensor& index, int64_t folds, Noise& noise) {
  const Tensor source = std::get<1>(at::_unique2(index, true, true));  // 0, 1, ... for each different draw
  const int64_t different = source.max().item<int64_t>() + 1;
  const Tensor card = at::tensor(noise.permutation(different), at::kLong);
  return {rows.x.index_select(0, index), card.index_select(0, source).remainder(folds)};
}

// (N, k): the nearest draws of other folds
Tensor neighbours_of(const Tensor& x, const Tensor& fold, int64_t k) {
  constexpr int64_t block_rows = 256;
  std::vector<Tensor> parts;
  for (int64_t i = 0; i < x.size(0); i += block_rows) {
    const Tensor own = fold.slice(0, i, i + block_rows).unsqueeze(1) == fold;
    const Tensor distance = distances(x.slice(0, i, i + block_rows), x).masked_fill(own, INFINITY);
    parts.push_back(std::get<1>(distance.topk(k, 1, false)));
  }
  return at::cat(parts);
}

double accuracy_of(const Tensor& label, const Tensor& neighbours) {
  const Tensor votes = label.index_select(0, neighbours.flatten()).reshape(neighbours.sizes()).sum(1);
  const Tensor guess = (votes * 2 > neighbours.size(1)).to(at::kLong);
  return (guess == label).to(at::kDouble).mean().item<double>();
}

// The labels with those within each fold in another order
Tensor permuted(const Tensor& label, const std::vector<Tensor>& members, Noise& noise) {
  Tensor result = label.clone();
  for (const Tensor& member : members) {
    const Tensor order = at::tensor(noise.permutation(member.numel()), at::kLong);
    result.index_copy_(0, member, label.index_select(0, member.index_select(0, order)));
  }
  return result;
}

}  // namespace

C2st c2st(const SampleSet& a, const SampleSet& b, const C2stOptions& options) {
  const auto& [permutations, max_rows, seed] = options.permutation;
  if (permutations < 1)
    throw Error("c2st.permutations", fmt::format("{}, but at least 1 is needed", permutations));
  if (options.folds < 2)
    throw Error("c2st.folds", fmt::format("{}, but at least 2 are needed", options.folds));
  const auto [x, y] = rows_of(a, b, place, 2);
  Noise noise = Noise(seed).stream(Stream::metric).stream(Stream::order);
  const Tensor from_a = equal_weight_index(x, noise), from_b = equal_weight_index(y, noise);
  const int64_t n = std::min({from_a.size(0), from_b.size(0), max_rows});
  if (n < 2 * options.folds) {
    throw Error(place, fmt::format("{} draws (after resampling and thinning) of a set are too few for {} "
                                   "folds; at least {} are needed",
                                   n, options.folds, 2 * options.folds));
  }
  const Dealt first = deal(x, thinned(from_a, n, noise), options.folds, noise);
  const Dealt second = deal(y, thinned(from_b, n, noise), options.folds, noise);
  const Tensor fold = at::cat({first.fold, second.fold});
  std::vector<Tensor> members;
  int64_t trained = 2 * n;  // draws outside the largest fold
  for (int64_t i = 0; i < options.folds; ++i) {
    members.push_back((fold == i).nonzero().squeeze(1));
    trained = std::min(trained, 2 * n - members.back().numel());
  }
  const int64_t root = std::llround(std::sqrt(static_cast<double>(trained)));
  const int64_t k = options.neighbours ? *options.neighbours : root - (root + 1) % 2;
  if (k < 1 || k > trained || k % 2 == 0) {
    throw Error("c2st.neighbours", fmt::format("{}, but an odd number from 1 to {} is needed", k, trained));
  }

  Tensor pool = at::cat({first.x, second.x});
  pool = pool - pool.mean(0);
  const Tensor scale = pool.square().mean(0).sqrt();
  pool = pool / at::where(scale > 0, scale, at::ones_like(scale));
  const Tensor neighbours = neighbours_of(pool, fold, k);
  const Tensor label = at::cat({at::zeros({n}, at::kLong), at::ones({n}, at::kLong)});
  const double accuracy = accuracy_of(label, neighbours);
  int64_t reached = 1;
  for (int64_t i = 0; i < permutations; ++i) {
    reached += accuracy_of(permuted(label, members, noise), neighbours) >= accuracy;
  }
  return {accuracy, 0.5 / std::sqrt(static_cast<double>(2 * n)),
          static_cast<double>(reached) / static_cast<double>(permutations + 1), n};
}

}  // namespace tweedie
