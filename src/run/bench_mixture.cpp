// The 25-component mixture in 80 dimensions, in float32 on the CPU.

#include "core/workers.h"
#include "run/bench_workloads.h"
#include "run/mixture_problems.h"
#include "tweedie/operators.h"
#include "tweedie/particles.h"
#include "tweedie/schedule.h"

#include <ATen/ATen.h>

namespace tweedie {

namespace {

constexpr int64_t d = 80, dy = 2, components = 25;
constexpr int64_t slice_rows = 256;
constexpr double sigma = 1;

// D(x; sigma) of this prior for a number of slices
Workload scoring(const std::shared_ptr<const MixturePrior>& prior, int64_t slices, double flops_per_row,
                 const BenchSettings& settings) {
  Noise noise(12);
  const Tensor x = prior->sample(slices * slice_rows, noise, at::kFloat) +
                   sigma * noise.normal({slices * slice_rows, d}, at::kFloat);
  return {x.size(0), flops_per_row, [=, workers = settings.workers] {
            workers->for_each(
                slices, [&](int64_t i) { prior->mean(x.narrow(0, i * slice_rows, slice_rows), sigma); });
          }};
}

}  // namespace

Workload score_isotropic(const BenchSettings& settings) {
  const double products = 2 * 2 * static_cast<double>(components * d);
  return scoring(make_mixture_problem(d, dy, Noise(11)).prior, 64, products, settings);
}

Workload score_full(const BenchSettings& settings) {
  // Covariances with eigenvalues about 0.6 to 2.6
  const auto like = make_mixture_problem(d, dy, Noise(11)).prior;
  const Tensor factor = Noise(13).normal({components, d, d}, at::kDouble) / std::sqrt(2.0 * d);
  const Tensor covariance = 0.6 * at::eye(d, at::kDouble) + at::matmul(factor, factor.transpose(1, 2));
  const double products = 2 * static_cast<double>(components * d * d);
  return scoring(
      std::make_shared<MixturePrior>(MixturePrior::full(like->weights(), like->means(), covariance)), 16,
      products, settings);
}

namespace {

// mcgdiff with so many chains of so many particles
Workload filtering(int64_t chains, int64_t particles, const BenchSettings& settings) {
  const MixtureProblem mixture = make_mixture_problem(d, dy, Noise(11));
  const auto a = make_matrix({d}, mixture.matrix.to(at::kFloat));
  const Problem problem{mixture.prior, GaussianLikelihood(a, mixture.noise_std),
                        mixture.y.to(at::kFloat).unsqueeze(0)};
  const McgdiffOptions options{.eta = 0.85, .smc = {.particles = particles}};
  const std::shared_ptr<const PosteriorSampler> sampler = posterior_sampler(
      options, make_schedule(VpLinear{}, 100), {.threads = settings.workers->threads(), .dtype = at::kFloat});
  const auto run = [=](int64_t draws) { return sampler->sample(problem, draws, Noise(14), {}); };
  const int64_t steps = run(particles).run.steps;  // with the levels that the measurement adds
  return {steps * chains * particles, 2 * 2 * static_cast<double>(components * d),
          [=] { run(chains * particles); }};
}

}  // namespace

Workload particles(const BenchSettings& settings) {
  return filtering(1, 1000, settings);
}

Workload chains(const BenchSettings& settings) {
  return filtering(1000, 128, settings);
}

}  // namespace tweedie
