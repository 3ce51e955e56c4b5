#include "run/ladder.h"

#include "run/mixture_problems.h"
#include "tweedie/gaussian_prior.h"
#include "tweedie/mixture_prior.h"
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

// Two intensities, with three modes, seen in three sums
std::shared_ptr<const AnalyticPrior> intensities() {
  return std::make_shared<MixturePrior>(
      MixturePrior::isotropic(at::tensor({0.4, 0.35, 0.25}, at::kDouble),
                              at::tensor({1.5, 4.0, 4.5, 1.5, 3.5, 5.0}, at::kDouble).view({3, 2}),
                              at::tensor({0.5, 0.7, 0.6}, at::kDouble)));
}
LinearOperatorPtr three_sums() {
  return make_matrix({2}, at::tensor({1.0, 0.4, 0.3, 1.0, 0.7, 0.7}, at::kDouble).view({3, 2}));
}

void add_noise_models(std::vector<Rung>& rungs) {
  const Karras levels{.sigma_min = 0.01, .sigma_max = 40};
  const auto add = [&](const char* name, const std::string& noise, NoiseModelPtr model) {
    rungs.push_back({name, "Two intensities with three modes; three sums of them, " + noise, intensities(),
                     three_sums(), std::move(model), levels});
  };
  const Counting counting{.gain = 2, .background = at::scalar_tensor(1.0, at::kDouble)};
  const Tensor covariance =
      at::tensor({0.5, 0.4, 0.1, 0.4, 0.6, 0.0, 0.1, 0.0, 0.2}, at::kDouble).view({3, 3});
  add("noise-covariance", "correlated Gaussian noise", make_correlated_noise(covariance, {3}));
  add("noise-poisson", "counts of gain 2 and background 1", make_poisson_noise(counting));
  add("noise-poisson-gaussian", "counts of gain 2 and background 1, read with noise 2",
      make_poisson_gaussian_noise(counting, 2));
  add("noise-laplace", "Laplace noise of scale 0.7", make_laplace_noise(0.7));
  add("noise-student", "Student noise of 2 degrees of freedom, scale 0.5", make_student_noise(2, 0.5));
  add("noise-logit", "one bit each: above 4 with logistic noise of scale 0.5",
      make_bernoulli_noise({.link = Link::logit, .scale = 0.5, .threshold = 4}));
  add("noise-probit", "one bit each: above 4 with normal noise of std 0.5",
      make_bernoulli_noise({.link = Link::probit, .scale = 0.5, .threshold = 4}));
}

}  // namespace

std::vector<Rung> ladder() {
  const Karras unit{.sigma_min = 0.01, .sigma_max = 20}, grid{.sigma_min = 0.02, .sigma_max = 200};
  std::vector<Rung> rungs;
  const Tensor dense = Noise(12).normal({6, 16}, at::kDouble) / 4;
  rungs.push_back({"gaussian-dense", "Gaussian, 4 x 4 smooth; 6 random projections, noise 0.5",
                   smooth_picture(4), make_matrix({1, 4, 4}, dense), make_gaussian_noise(0.5), unit});
  rungs.push_back({"gaussian-singular",
                   "Gaussian of rank 6 in 16 dimensions; half the coordinates, noise 0.1",
                   singular_gaussian(), half_of({16}, 13), make_gaussian_noise(0.1), unit});
  rungs.push_back({"gaussian-blur", "Gaussian, 8 x 8 smooth; circular blur of std 1, noise 0.1",
                   smooth_picture(8), make_blur({1, 8, 8}, gaussian_kernel(1)), make_gaussian_noise(0.1),
                   unit});
  rungs.push_back({"gaussian-low-noise", "Gaussian, 8 x 8 smooth; half the pixels, noise 0.01",
                   smooth_picture(8), half_of({1, 8, 8}, 14), make_gaussian_noise(0.01),
                   Karras{.sigma_min = 0.002, .sigma_max = 20}});
  for (const auto& [d, dy] : {std::pair{2, 1}, std::pair{8, 2}, std::pair{80, 4}}) {
    const MixtureProblem p = make_mixture_problem(d, dy, Noise(15).stream(static_cast<uint64_t>(d)));
    rungs.push_back({fmt::format("mixture-{}-{}", d, dy),
                     fmt::format("25 components in {} dimensions; {} random projections, noise {:.2f}", d, dy,
                                 p.noise_std),
                     p.prior, make_matrix({d}, p.matrix), make_gaussian_noise(p.noise_std), grid});
  }
  const MixtureProblem p = make_mixture_problem(8, 2, Noise(16));
  rungs.push_back({"mixture-large-noise", "25 components in 8 dimensions; half the coordinates, noise 8",
                   p.prior, half_of({8}, 17), make_gaussian_noise(8.0), grid});
  rungs.push_back({"mixture-noiseless", "25 components in 8 dimensions; half the coordinates, no noise",
                   p.prior, half_of({8}, 17), make_gaussian_noise(0.0), grid});
  add_noise_models(rungs);
  return rungs;
}

}  // namespace tweedie
