// Draws from p(x | y) for two correlated numbers of which one is measured, beside the closed form.
#include <tweedie/guidance.h>
#include <tweedie/heun.h>
#include <tweedie/operators.h>

#include <ATen/ATen.h>

#include <cstdio>

using namespace tweedie;

int main() {
  // x ~ N(0, S) in two dimensions, and y = x_0 + noise of standard deviation 0.5
  const Tensor S = at::tensor({1.0, 0.8, 0.8, 1.0}).reshape({2, 2});
  const Tensor y = at::tensor({1.0}).reshape({1, 1});  // one case of one number
  const double noise_std = 0.5;
  const auto prior = std::make_shared<GaussianPrior>(GaussianPrior::full(at::zeros({2}, at::kDouble), S));
  const GaussianLikelihood likelihood(make_mask(at::tensor({1, 0}).to(at::kBool)), noise_std);

  // Any guidance, any sampler, any schedule
  const int64_t steps = 40;
  const GuidedSampler sampler(MmpsOptions{}, std::make_shared<Heun>(HeunOptions{}, steps),
                              make_schedule(Karras{}, steps), {.dtype = at::kDouble});
  const Tensor x = sampler.sample({prior, likelihood, y}, 4000, Noise(1), nullptr).x;  // (draws, cases, 2)

  const Tensor mean = x.mean(0)[0], std = x.std(0, true)[0];
  const Tensor gain = S[0] / (S[0][0] + noise_std * noise_std);
  const Tensor exact_mean = gain * y[0], exact_std = (S.diagonal() - gain * S[0]).sqrt();
  for (int i = 0; i < 2; ++i) {
    std::printf("x_%d: mean %.3f (exact %.3f), std %.3f (exact %.3f)\n", i, mean[i].item<double>(),
                exact_mean[i].item<double>(), std[i].item<double>(), exact_std[i].item<double>());
  }
}
