// On a Gaussian mixture the posterior is known and is no Gaussian: exact draws and exact guidance reach it,
// and the best of the Gaussian guesses does not.
#include "tweedie/classifier_guidance.h"
#include "tweedie/guidance.h"
#include "tweedie/heun.h"
#include "tweedie/mixture_prior.h"
#include "tweedie/operators.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

constexpr int64_t draws = 640, steps = 24;

// Two round clouds on a slant; the first coordinate is measured, too noisily to tell them apart.
MixturePrior clouds() {
  const Tensor means = at::tensor({-2.0, 2.2, 2.0, -1.0}, at::kDouble).view({2, 2});
  return MixturePrior::isotropic(at::tensor({0.4, 0.6}, at::kDouble), means,
                                 at::scalar_tensor(0.5, at::kDouble));
}

struct Clouds {
  std::shared_ptr<const MixturePrior> prior = std::make_shared<const MixturePrior>(clouds());
  LinearOperatorPtr a = make_matrix({2}, at::eye(2, at::kDouble).slice(0, 0, 1));
  Problem problem{prior, GaussianLikelihood(a, 0.7), at::full({1, 1}, 0.2, at::kDouble)};
};

// Largest z of the first two moments of draws (n, 2), and of how many lie on the left, against p(x | y)
double posterior_z(const Clouds& p, const Tensor& x) {
  const auto posterior = std::dynamic_pointer_cast<const MixturePrior>(
      p.prior->condition(p.a->dense(), p.problem.likelihood.noise_std())->given(p.problem.y[0]));
  const Tensor w = posterior->weights(), m = posterior->means(), c = posterior->covariances();
  const double n = static_cast<double>(x.size(0)), left = w[0].item<double>();
  const double share = x.select(1, 0).lt(0).to(at::kDouble).mean().item<double>();
  double worst = std::abs(share - left) / std::sqrt(left * (1 - left) / n);
  // The standard errors are those of the draws.
  const Tensor mean = (w.unsqueeze(1) * m).sum(0);
  const Tensor second = (w.unsqueeze(1) * (c.diagonal(0, 1, 2) + m.square())).sum(0);
  for (const auto& [moment, exact] : {std::pair{x, mean}, std::pair{x.square(), second}}) {
    const Tensor z = (moment.mean(0) - exact) / (moment.std(0) / std::sqrt(n));
    worst = std::max(worst, z.abs().max().item<double>());
  }
  return worst;
}

Tensor drawn(const Clouds& p, const Guidance& guidance) {
  const NoiseSchedule schedule = make_schedule(Karras{.sigma_min = 0.01, .sigma_max = 200}, steps);
  const GuidedSampler method(guidance, std::make_shared<Heun>(HeunOptions{}, steps), schedule,
                             {.dtype = at::kDouble});
  return method.sample(p.problem, draws, Noise(1), {}).x.squeeze(1);
}

TEST(MixturePosterior, IsReachedByTheOracleOnly) {
  const Clouds p;
  EXPECT_LT(posterior_z(p, drawn(p, OracleOptions{})), 4.5);
  EXPECT_GT(posterior_z(p, drawn(p, MmpsOptions{})), 8);
  EXPECT_GT(posterior_z(p, drawn(p, DpsOptions{})), 8);
  EXPECT_GT(posterior_z(p, drawn(p, CfgOptions{.scale = 3})), 8);
}

TEST(MixturePosterior, ExactDraws) {
  Clouds p;
  const Draws exact = ExactSampler({.dtype = at::kDouble}).sample(p.problem, draws, Noise(2), {});
  EXPECT_LT(posterior_z(p, exact.x.squeeze(1)), 4.5);
  const auto posterior = p.prior->condition(p.a->dense(), 0.7);
  EXPECT_LT(max_difference(*exact.mean, posterior->mean(p.problem.y)), 1e-12);
  EXPECT_LT(max_difference(*exact.log_evidence, posterior->log_evidence(p.problem.y)), 1e-12);
  p.problem.likelihood = GaussianLikelihood(p.a, 1.5);
  EXPECT_GT(posterior_z(p, exact.x.squeeze(1)), 8);
}

TEST(MixturePosterior, VarianceOfTheDataIsThatOfAllClouds) {
  // 0.25 within; between, w (1 - w) times the squared distance along each axis
  EXPECT_NEAR(estimate_data_variance(clouds()), 0.25 + 0.24 * (16 + 3.2 * 3.2) / 2, 1e-6);
}

// The probability of a component given noisy x
class Component final : public Classifier {
 public:
  explicit Component(int64_t k) : k_(k) {}

 protected:
  Tensor do_log_prob(const Tensor& x, const Tensor& sigma) const override {
    return clouds().responsibilities(x, sigma).select(1, k_).log();
  }
  Tensor do_gradient(const Tensor& x, const Tensor& sigma) const override {
    constexpr double h = 1e-5;
    Tensor result = at::empty_like(x);
    for (int64_t j = 0; j < x.size(1); ++j) {
      Tensor step = at::zeros_like(x);
      step.select(1, j).fill_(h);
      result.select(1, j).copy_((do_log_prob(x + step, sigma) - do_log_prob(x - step, sigma)) / (2 * h));
    }
    return result;
  }

 private:
  int64_t k_;
};

// With the exact classifier of noisy x the guided denoiser is that of the component alone.
TEST(ClassifierGuided, SinglesOutOneComponent) {
  const Tensor x = 2 * normal({6, 2}, 3), mean = clouds().means()[0];
  const auto prior = std::make_shared<const MixturePrior>(clouds());
  for (const double sigma : {0.5, 1.0, 20.0}) {
    const Tensor alone = mean + 0.25 / (0.25 + sigma * sigma) * (x - mean);
    const auto off = [&](double scale, int64_t k) {
      const auto guided = classifier_guided(scale, prior, std::make_shared<const Component>(k));
      return max_difference(guided->mean(x, sigma), alone);
    };
    EXPECT_LT(off(1, 0), 1e-5) << sigma;
    EXPECT_GT(off(2, 0), 0.1) << sigma;
    EXPECT_GT(off(1, 1), 0.1) << sigma;
  }
}

}  // namespace
}  // namespace tweedie
