#include "run/ladder.h"

#include "run/mixture_problems.h"
#include "tweedie/gaussian_prior.h"
#include "tweedie/operators.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

// On a picture of side x side pixels of standard deviation 1, neighbours correlated exp(-distance / 2) along
// both axes.
Tensor smooth_covariance(int64_t side) {
  const Tensor i = at::arange(side, at::kDouble);
  const Tensor along = (-(i.unsqueeze(1) - i).abs() / 2).exp();
  return at::kron(along, along);
}

std::shared_ptr<const AnalyticPrior> smooth_picture(int64_t side) {
  return std::make_shared<GaussianPrior>(
      GaussianPrior::full(at::zeros({1, side, side}, at::kDouble), smooth_covariance(side)));
}

// 16 dimensions, all variance in 6 directions
std::shared_ptr<const AnalyticPrior> singular_gaussian() {
  const Tensor factor = Noise(11).normal({16, 6}, at::kDouble) / std::sqrt(6.0);
  return std::make_shared<GaussianPrior>(
      GaussianPrior::low_rank(at::zeros({16}, at::kDouble), factor, at::ones({6}, at::kDouble), 0));
}

LinearOperatorPtr half_of(const Shape& domain, uint64_t seed) {
  return make_mask(random_mask(domain, 0.5, Noise(seed)));
}

}  // namespace

std::vector<Rung> ladder() {
  const Karras unit{.sigma_min = 0.01, .sigma_max = 20}, grid{.sigma_min = 0.02, .sigma_max = 200};
  std::vector<Rung> rungs;
  const Tensor dense = Noise(12).normal({6, 16}, at::kDouble) / 4;
  rungs.push_back({"gaussian-dense", "Gaussian, 4 x 4 smooth; 6 random projections, noise 0.5", true,
                   smooth_picture(4), make_matrix({1, 4, 4}, dense), 0.5, unit});
  rungs.push_back({"gaussian-singular",
                   "Gaussian of rank 6 in 16 dimensions; half the coordinates, noise 0.1", true,
                   singular_gaussian(), half_of({16}, 13), 0.1, unit});
  rungs.push_back({"gaussian-blur", "Gaussian, 8 x 8 smooth; circular blur of std 1, noise 0.1", true,
                   smooth_picture(8), make_blur({1, 8, 8}, gaussian_kernel(1)), 0.1, unit});
  rungs.push_back({"gaussian-low-noise", "Gaussian, 8 x 8 smooth; half the pixels, noise 0.01", true,
                   smooth_picture(8), half_of({1, 8, 8}, 14), 0.01,
                   Karras{.sigma_min = 0.002, .sigma_max = 20}});
  for (const auto& [d, dy] : {std::pair{2, 1}, std::pair{8, 2}, std::pair{80, 4}}) {
    const MixtureProblem p = make_mixture_problem(d, dy, Noise(15).stream(static_cast<uint64_t>(d)));
    rungs.push_back({fmt::format("mixture-{}-{}", d, dy),
                     fmt::format("25 components in {} dimensions; {} random projections, noise {:.2f}", d, dy,
                                 p.noise_std),
                     false, p.prior, make_matrix({d}, p.matrix), p.noise_std, grid});
  }
  const MixtureProblem p = make_mixture_problem(8, 2, Noise(16));
  rungs.push_back({"mixture-large-noise", "25 components in 8 dimensions; half the coordinates, noise 8",
                   false, p.prior, half_of({8}, 17), 8, grid});
  rungs.push_back({"mixture-noiseless", "25 components in 8 dimensions; half the coordinates, no noise",
                   false, p.prior, half_of({8}, 17), 0, grid});
  return rungs;
}

}  // namespace tweedie
