// Accelerated proximal gradients: the rate that the theorem promises, which plain ones don't keep.
#include "posterior/regularised.h"
#include "tweedie/operators.h"

#include "check_tensor.h"

namespace tweedie {
namespace {

// 1/2 ||A x - y||^2 after so many steps from 0, A = diag(a), y = A truth, whose minimum is 0. repeated: steps
// with an L that turned out too small
double objective_after(int64_t steps, bool momentum, const Tensor& a, const Tensor& truth,
                       double lipschitz = 1, int64_t repeated = 0) {
  const auto forward = make_matrix({a.numel()}, at::diag(a));
  const Tensor y = forward->apply(truth);
  Tally tally;
  const std::function<double()> squared_norm = [] { return 1.0; };
  const PointCase c{.index = 0,
                    .y = y,
                    .prior = nullptr,
                    .forward = *forward,
                    .linear = forward.get(),
                    .noise_std = 1,
                    .noise = Noise(0),
                    .tally = tally,
                    .linear_squared_norm = squared_norm,
                    .step_done = [] {}};
  const auto answer =
      proximal_gradient(c, y, at::zeros_like(truth),
                        {.lipschitz = lipschitz, .iterations = steps, .tolerance = 0, .momentum = momentum},
                        [](const Tensor& z, double, Tensor& x) { x.copy_(z); });
  EXPECT_EQ(answer.iterations, steps);
  // A^T y, A^T A start, each step's, the residual
  EXPECT_EQ(tally.operator_applications, 4 + 2 * (steps + repeated));
  return 0.5 * answer.residual2;
}

// Beck and Teboulle 2009, theorem 4.4: F(x_k) - F* <= 2 L ||x_0 - x*||^2 / (k + 1)^2
TEST(ProximalGradient, KeepsFistasRateAndIstaDoesNot) {
  const Tensor a = at::logspace(0, -3, 60, 10.0, at::kDouble), truth = normal({1, 60}, 1);
  const double distance2 = truth.square().sum().item<double>();
  for (const int64_t k : {10, 100, 1000}) {
    const double bound = 2 * distance2 / static_cast<double>((k + 1) * (k + 1));
    EXPECT_LE(objective_after(k, true, a, truth), bound) << k;
    if (k == 1000) EXPECT_GT(objective_after(k, false, a, truth), 2 * bound);
  }
}

// Fixed steps of 1 / 0.3 where ||A||^2 = 1 would run away.
TEST(ProximalGradient, RaisesANormThatIsTooSmall) {
  const Tensor a = at::logspace(0, -1, 60, 10.0, at::kDouble), truth = normal({1, 60}, 1);
  const double distance2 = truth.square().sum().item<double>();
  EXPECT_LE(objective_after(200, true, a, truth, 0.3, 4), 2 * 1.05 * distance2 / (201 * 201));
}

}  // namespace
}  // namespace tweedie
