// Magnetic resonance imaging at 256 x 256 with 8 coils, in float32 on the CPU: what bench/against_bart holds
// against BART's.

#include "core/conjugate_gradient.h"
#include "core/workers.h"
#include "run/bench_workloads.h"
#include "tweedie/imaging.h"
#include "tweedie/nufft.h"

#include <ATen/ATen.h>

#include <cmath>

namespace tweedie {

namespace {

constexpr int64_t size = 256, coils = 8;

Tensor sensitivities() {
  return at::view_as_complex(Noise(21).normal({coils, size, size, 2}, at::kDouble));
}

// Of `images` Fourier transforms of n x n complex numbers
double fourier_flops(double images, double n) {
  return images * 5 * n * n * 2 * std::log2(n);
}

// `work` on the bench's workers, for so many items
Workload shared(int64_t items, double flops, const BenchSettings& settings, std::function<void()> work) {
  return {items, flops, [work = std::move(work), workers = settings.workers] {
            const UseWorkers use(*workers);
            work();
          }};
}

Workload nonuniform(bool adjoint, const BenchSettings& settings) {
  const Tensor k = radial_trajectory(256, 2 * size, /*golden=*/false);
  const auto a = make_nufft({2, size, size}, k, sensitivities(), {.complex = true, .tolerance = 1e-5});
  const Tensor x = Noise(22).normal({1, 2, size, size}, at::kFloat);
  const Tensor y = Noise(23).normal({1, coils, 256, 2 * size, 2}, at::kFloat);
  return shared(coils, fourier_flops(1, 2 * size), settings, [=] { adjoint ? a->adjoint(y) : a->apply(x); });
}

}  // namespace

Workload sense_iterations(const BenchSettings& settings) {
  constexpr int64_t iterations = 10;
  const SamplingOptions lines{.pattern = SamplingPattern::lines, .acceleration = 4, .centre = 24};
  const auto a = make_multi_coil({2, size, size}, sensitivities(),
                                 sampling_mask(size, size, lines, Noise(24)), {.complex = true});
  const Tensor b = Noise(25).normal({1, 2, size, size}, at::kFloat);
  return shared(iterations, fourier_flops(2 * coils, size), settings, [=] {
    conjugate_gradient([&](const Tensor& x) { return a->normal(x) + 0.01 * x; }, b,
                       {.max_iterations = iterations, .tolerance = 0});
  });
}
Workload nufft_forward(const BenchSettings& settings) {
  return nonuniform(false, settings);
}
Workload nufft_adjoint(const BenchSettings& settings) {
  return nonuniform(true, settings);
}

}  // namespace tweedie
