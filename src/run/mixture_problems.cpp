#include "run/mixture_problems.h"

#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

namespace {

// (25, d)
Tensor grid_means(int64_t d) {
  const Tensor coordinate = -8 * at::arange(-2, 3, at::kDouble);
  const Tensor pairs = at::stack({coordinate.repeat_interleave(5), coordinate.repeat({5})}, 1);
  return pairs.repeat({1, d / 2});
}

}  // namespace

MixtureProblem make_mixture_problem(int64_t d, int64_t dy, Noise noise) {
  if (d < 2 || d % 2 != 0) throw Error("d", fmt::format("{}: an even number of at least 2 is meant", d));
  if (dy < 1 || dy > d) throw Error("dy", fmt::format("{}: 1 to {} is meant", dy, d));
  const Tensor means = grid_means(d);
  // Weights proportional to chi2 with one degree of freedom
  const Tensor squares = noise.normal({1, means.size(0)}, at::kDouble)[0].square();
  auto prior =
      std::make_shared<MixturePrior>(MixturePrior::isotropic(squares / squares.sum(), means, at::ones({})));

  const auto [u, gaussian, vt] = at::linalg_svd(noise.normal({1, dy, d}, at::kDouble)[0], false);
  const Tensor s = std::get<0>(noise.uniform({1, dy}, at::kDouble)[0].sort(0, /*descending=*/true));
  const Tensor a = at::matmul(u * s, vt);
  const double noise_std = (noise.uniform({1}, at::kDouble) * s[0]).item<double>();

  const Tensor truth = prior->sample(1, noise)[0];
  const Tensor y = at::mv(a, truth) + noise_std * noise.normal({1, dy}, at::kDouble)[0];
  return {std::move(prior), a, noise_std, truth, y};
}

}  // namespace tweedie
