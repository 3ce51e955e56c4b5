#include "run/bench_workloads.h"

#include "core/shape.h"
#include "core/workers.h"
#include "tweedie/diffusion.h"
#include "tweedie/guidance.h"
#include "tweedie/heun.h"
#include "tweedie/operators.h"
#include "tweedie/posterior.h"
#include "tweedie/schedule.h"
#include "tweedie/train.h"

#include <ATen/ATen.h>

namespace tweedie {

namespace {

constexpr double sigma = 1, sigma_data = 1;

// Weights as after some training: none of the zeros that a network starts with, which would make its
// derivative vanish.
Weights trained(const Network& network) {
  Noise noise(1);
  const Weights start = network.initialise(noise.stream(Stream::weights));
  std::vector<Tensor> moved;
  for (const Tensor& tensor : start.tensors()) moved.push_back(tensor + 0.01 * noise.normal_like(tensor));
  return start.with(std::move(moved));
}

struct Prior {
  std::shared_ptr<const Network> network;
  std::shared_ptr<const Denoiser> denoiser;
};

Prior make_prior(const BenchNetwork& bench, const BenchSettings& settings) {
  const auto network = make_network(bench.options, bench.shape);
  const Weights weights = trained(*network).to(settings.device, settings.dtype);
  return {network, std::make_shared<NetworkDenoiser>(std::make_shared<NetworkPredictor>(network, weights),
                                                     sigma_data, bench.shape)};
}

Workload in_slices(const std::function<std::shared_ptr<const Denoiser>(int64_t)>& denoiser_of, int64_t slices,
                   const Shape& shape, double flops_per_row, const BenchSettings& settings) {
  const int64_t slice_rows = rows_together(shape, settings.device);
  std::vector<std::shared_ptr<const Denoiser>> denoisers;
  std::vector<Tensor> x;
  for (int64_t i = 0; i < slices; ++i) {
    denoisers.push_back(denoiser_of(i));
    x.push_back(Noise(i).normal(with_batch(slice_rows, shape), at::kFloat).to(settings.device));
  }
  return {slices * slice_rows, flops_per_row, [=, workers = settings.workers] {
            workers->for_each(slices, [&](int64_t i) {
              const Tensor mean = denoisers[i]->mean(x[i], sigma);
              if (!mean.device().is_cpu()) mean.flatten()[0].item<double>();  // waits for the device
            });
          }};
}

int64_t slices_of(const BenchNetwork& bench, const BenchSettings& settings) {
  return std::max(bench.batch / rows_together(bench.shape, settings.device), 2 * settings.workers->threads());
}

}  // namespace

Workload sampling(const BenchNetwork& bench, const BenchSettings& settings) {
  const Prior prior = make_prior(bench, settings);
  return in_slices([&](int64_t) { return prior.denoiser; }, slices_of(bench, settings), bench.shape,
                   prior.network->flops(), settings);
}

namespace {

template <class Guidance>
Workload guided_by(const Guidance& guidance, const BenchNetwork& bench, const BenchSettings& settings) {
  const Prior prior = make_prior(bench, settings);
  const GaussianLikelihood likelihood(make_mask(random_mask(bench.shape, 0.25, Noise(2))), 0.05);
  const int64_t slice_rows = rows_together(bench.shape, settings.device);
  const auto guided = [&](int64_t slice, Tally* tally) {
    const Tensor y = Noise(100 + slice)
                         .normal(with_batch(slice_rows, likelihood.forward().codomain()), at::kFloat)
                         .to(settings.device);
    return guide(guidance, prior.denoiser, likelihood, y, tally);
  };
  // A derivative with respect to x costs as much as the value.
  Tally tally;
  const Tensor x = Noise(0).normal(with_batch(slice_rows, bench.shape), at::kFloat).to(settings.device);
  guided(0, &tally)->mean(x, sigma);
  const double passes = static_cast<double>(tally.evaluations + tally.vjps) / static_cast<double>(slice_rows);
  return in_slices([&](int64_t i) { return guided(i, nullptr); }, slices_of(bench, settings), bench.shape,
                   passes * prior.network->flops(), settings);
}

}  // namespace

Workload guiding(const BenchNetwork& bench, const BenchSettings& settings) {
  // No solve stops before its third iteration, so that the work is the same for any weights.
  return guided_by(MmpsOptions{.iterations = 3, .tolerance = 0}, bench, settings);
}

Workload guiding_once(const BenchNetwork& bench, const BenchSettings& settings) {
  return guided_by(DpsOptions{}, bench, settings);
}

Workload drawing(const BenchNetwork& bench, const BenchSettings& settings) {
  constexpr int64_t draws = 4096, steps = 50;
  const Prior prior = make_prior(bench, settings);
  const auto sampler = std::make_shared<Heun>(HeunOptions{}, steps);
  const double flops = static_cast<double>(sampler->total_evaluations(steps)) * prior.network->flops();
  const DrawOptions options{.threads = settings.workers->threads(), .device = settings.device};
  return {draws, flops, [=, schedule = make_schedule(Karras{}, steps)] {
            draw([&](const auto&) { return prior.denoiser; }, bench.shape, *sampler, schedule, draws, 1,
                 Noise(4), {}, options);
          }};
}

Workload training(const BenchNetwork& bench, const BenchSettings& settings) {
  const auto network = make_network(bench.options, bench.shape);
  TrainOptions options;
  options.steps = int64_t{1} << 40;
  options.batch = bench.batch;
  options.precision = settings.dtype == at::kBFloat16 ? Precision::bf16 : Precision::f32;
  const Tensor data = Noise(3).normal(with_batch(4 * bench.batch, bench.shape), at::kFloat);
  const auto model = std::make_shared<DiffusionModel>(network, EdmObjective{}, data.std().item<double>());
  const auto trainer = std::make_shared<Trainer>(model, data, Tensor(), options, /*seed=*/1,
                                                 settings.workers->threads(), settings.device);
  // The value, and the derivatives with respect to weights and to each layer's input
  return {bench.batch, 3 * network->flops(),
          [trainer] { trainer->run([](const Progress&) { return Control::stop; }); }};
}

const std::vector<BenchNetwork>& bench_networks() {
  static const std::vector<BenchNetwork> networks{
      {.name = "unet",
       .options = UNetOptions{.channels = 64, .multipliers = {1, 2, 2}, .blocks = 2, .attention = {8}},
       .shape = {1, 32, 32},
       .batch = 64,
       .guided = true},
      {.name = "unet64",
       .options = UNetOptions{.channels = 128, .multipliers = {1, 2, 3, 4}, .blocks = 2, .attention = {8}},
       .shape = {3, 64, 64},
       .batch = 4,
       .guided = true},
      {.name = "demo",
       .options = UNetOptions{.channels = 64, .multipliers = {1, 2}, .blocks = 1, .patch = 2},
       .shape = {1, 28, 28},
       .batch = 64,
       .guided = true},
      {.name = "mlp",
       .options = MlpOptions{.width = 256, .depth = 4},
       .shape = {64},
       .batch = 1024,
       .guided = false},
      {.name = "mlp2d",
       .options = MlpOptions{.width = 128, .depth = 3},
       .shape = {2},
       .batch = 1024,
       .guided = false,
       .whole_draws = true}};
  return networks;
}

std::vector<NamedWorkload> bench_workloads() {
  std::vector<NamedWorkload> workloads;
  for (const BenchNetwork& network : bench_networks()) {
    const auto add = [&](const char* work, Workload (*make)(const BenchNetwork&, const BenchSettings&)) {
      workloads.push_back({network.name + "." + work,
                           [=](const BenchSettings& settings) { return make(network, settings); }});
    };
    add("sample", sampling);
    add("train", training);
    if (network.whole_draws) add("draw", drawing);
    if (!network.guided) continue;
    add("guided", guiding);
    add("dps", guiding_once);
  }
  workloads.push_back({"mixture.score", score_isotropic, false});
  workloads.push_back({"mixture.score_full", score_full, false});
  workloads.push_back({"mcgdiff.run", particles, false});
  workloads.push_back({"mcgdiff.chains", chains, false});
  workloads.push_back({"sense.iteration", sense_iterations, false});
  workloads.push_back({"nufft.forward", nufft_forward, false});
  workloads.push_back({"nufft.adjoint", nufft_adjoint, false});
  return workloads;
}

}  // namespace tweedie
