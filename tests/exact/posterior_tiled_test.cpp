// Posteriors of images larger than the model. For independent pixels the tiled prior is the whole one, value
// and derivative, so every method must make the same draws of both, whose noise is of the whole image.
#include "tweedie/dpm_solver.h"
#include "tweedie/guidance.h"
#include "tweedie/heun.h"
#include "tweedie/operators.h"
#include "tweedie/splitting.h"
#include "tweedie/tiled_denoiser.h"

#include "check_tensor.h"

namespace tweedie {
namespace {

const Shape whole_shape{1, 12, 13}, tile_shape{1, 6, 5};

std::shared_ptr<const GaussianPrior> independent(const Shape& shape, double variance) {
  return std::make_shared<GaussianPrior>(
      GaussianPrior::diagonal(at::full(shape, 0.3, at::kDouble), at::full(shape, variance, at::kDouble)));
}

// Draws of both priors by one method; the blur makes all pixels of y depend on each other, across windows
// too.
template <class Sample>
void expect_same_draws(const Sample& sample, const char* name) {
  const auto blur = make_blur(whole_shape, gaussian_kernel(0.8, 2));
  const GaussianLikelihood likelihood(blur, 0.2);
  Noise noise(5);
  const Tensor y = likelihood.simulate(normal({1, 1, 12, 13}, 4), noise);
  const auto draws = [&](std::shared_ptr<const Denoiser> prior) {
    return sample(Problem{std::move(prior), likelihood, y}).x;
  };
  const auto tiled = [](double variance, TileOptions options) {
    return std::make_shared<TiledDenoiser>(independent(tile_shape, variance), 12, 13, options);
  };
  const Tensor exact = draws(independent(whole_shape, 1.5));
  EXPECT_LT(max_difference(draws(tiled(1.5, {.overlap = 2})), exact), 1e-7) << name;
  EXPECT_LT(max_difference(draws(tiled(1.5, {.overlap = 3, .together = 4, .keep_bytes = 0})), exact), 1e-7)
      << name;
  EXPECT_GT(max_difference(draws(tiled(1.2, {.overlap = 2})), exact), 1e-2) << name;  // another prior's tiles
}

TEST(PosteriorTiled, MethodsDrawAsFromTheWholePrior) {
  const NoiseSchedule schedule = make_schedule(Karras{.sigma_min = 0.05, .sigma_max = 10}, 12);
  const DrawOptions options{.dtype = at::kDouble, .slice_rows = 3};
  const auto guided = [&](Guidance guidance) {
    return [&, guidance](const Problem& problem) {
      const auto sampler = std::make_shared<Heun>(HeunOptions{}, schedule.steps());
      return GuidedSampler(guidance, sampler, schedule, options).sample(problem, 3, Noise(8), {});
    };
  };
  expect_same_draws(guided(MmpsOptions{.iterations = 5}), "mmps");
  expect_same_draws(guided(DpsOptions{.step_size = 0.3}), "dps");
  expect_same_draws(
      [&](const Problem& problem) {
        return posterior_sampler(DapsOptions{}, schedule, options)->sample(problem, 3, Noise(8), {});
      },
      "daps");
}

}  // namespace
}  // namespace tweedie
