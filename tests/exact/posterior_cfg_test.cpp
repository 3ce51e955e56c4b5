// Classifier and classifier-free guidance on Gaussian priors and mixtures. For x ~ N(0, 1), y = x + n and v =
// 1/2 the flow of CFG is affine, x_0 = m + slope x_T, with variance v^gamma and the mean of algorithms
// section 4.
#include "tweedie/classifier_guidance.h"
#include "tweedie/mixture_prior.h"

#include "posterior_problem.h"

namespace tweedie {
namespace {

GaussianPrior scalar_prior(double mean, double variance) {
  return GaussianPrior::diagonal(at::full({1}, mean, at::kDouble), at::full({1}, variance, at::kDouble));
}

struct Golden {
  double scale, mean, variance;
};

class CfgTable : public testing::TestWithParam<Golden> {};

TEST_P(CfgTable, MeanAndVarianceOfTheFlow) {
  const auto [scale, mean, variance] = GetParam();
  constexpr double top = 1e5;  // a start at N(0, top^2) shifts the mean by 0.5 / top
  constexpr int64_t steps = 1000;
  const auto prior = std::make_shared<const GaussianPrior>(scalar_prior(0, 1));
  const Tensor start = at::tensor({0.0, top}, at::kDouble).view({2, 1}), y = at::ones({2, 1}, at::kDouble);
  const GaussianLikelihood likelihood(make_identity({1}), 1);
  const auto denoiser = guide(CfgOptions{.scale = scale}, prior, likelihood, y);
  Noise none(0);
  const NoiseSchedule schedule = make_schedule(Karras{.sigma_min = 1e-3, .sigma_max = top, .rho = 20}, steps);
  const Tensor end = walk(*denoiser, Heun({}, steps), schedule, start, none);
  // Heun's error is of the order of the square of a step, here 0.018 in log sigma.
  EXPECT_NEAR(end[0].item<double>(), mean, 1e-4);
  EXPECT_NEAR((end[1] - end[0]).square().item<double>(), std::pow(0.5, scale), 1e-4);
  EXPECT_NEAR(variance, std::pow(0.5, scale), 1e-5);
  // The tilt p(x) p(y | x)^gamma, of precision 1 + gamma, is what it is not.
  if (scale != 1) EXPECT_GT(std::abs(end[0].item<double>() - scale / (1 + scale)), 0.1);
}

INSTANTIATE_TEST_SUITE_P(Section4, CfgTable,
                         testing::Values(Golden{1, 0.5, 0.5}, Golden{2, 0.81161, 0.25}, Golden{3, 1.0, 0.125},
                                         Golden{7.5, 1.19896, 0.00552}));

TEST(Cfg, WarnsUnlessItsScaleIs1) {
  const GaussianProblem p(make_downsample({1, side, side}, 2), 0.5);
  const auto warnings = [&](double scale) {
    const GuidedSampler method(CfgOptions{.scale = scale}, std::make_shared<Heun>(HeunOptions{}, 2),
                               make_schedule(Karras{}, 2), {});
    return method.sample(p.problem, 1, Noise(1), {}).run.warnings;
  };
  EXPECT_TRUE(warnings(1).empty());
  EXPECT_THAT(warnings(3), testing::ElementsAre(testing::HasSubstr("neither p(x | y) nor p(x) p(y | x)^3")));
}

TEST(ClassifierFree, IsALineThroughBothDenoisers) {
  const auto a = std::make_shared<const GaussianPrior>(scalar_prior(0, 1)),
             b = std::make_shared<const GaussianPrior>(scalar_prior(2, 0.3));
  const Tensor x = normal({4, 1}, 2), v = normal({4, 1}, 3),
               sigma = at::tensor({0.1, 0.5, 1., 9.}, at::kDouble);
  const auto line = [](const Tensor& p, const Tensor& q) { return p + 2.5 * (q - p); };
  const auto guided = classifier_free(2.5, a, b);
  EXPECT_LT(max_difference(guided->mean(x, sigma), line(a->mean(x, sigma), b->mean(x, sigma))), 1e-12);
  EXPECT_LT(max_difference(linearise(*guided, x, sigma).vjp(v),
                           line(linearise(*a, x, sigma).vjp(v), linearise(*b, x, sigma).vjp(v))),
            1e-12);
  const auto other = std::make_shared<const GaussianPrior>(smooth_prior());
  expect_error([&] { classifier_free(1, a, other); }, {"shapes (1,) and (1, 4, 4)"});
  expect_error([&] { classifier_free(NAN, a, b); }, {"method.scale"});
}

// Two classes in the plane, each of two components: 0 and 1, 2 and 3
struct TwoClasses {
  Tensor weights = at::tensor({0.1, 0.3, 0.4, 0.2}, at::kDouble);
  Tensor means = at::tensor({-1.5, 0.0, 1.0, 1.0, 0.5, -1.5, 2.0, 0.0}, at::kDouble).view({4, 2});
  Tensor covariances = at::stack(
      {random_covariance(2, 6), random_covariance(2, 7), random_covariance(2, 8), random_covariance(2, 9)});

  std::shared_ptr<const MixturePrior> components(int64_t begin, int64_t end) const {
    const Tensor w = weights.slice(0, begin, end);
    return std::make_shared<const MixturePrior>(
        MixturePrior::full(w / w.sum(), means.slice(0, begin, end), covariances.slice(0, begin, end)));
  }
};

// Of one class, by Bayes' rule: p(c | x_sigma) is the share of its components in
// sum_k w_k N(x_sigma; m_k, Sigma_k + sigma^2 I).
class LabelOfMixture : public Classifier {
 public:
  LabelOfMixture(TwoClasses law, int64_t label) : law_(std::move(law)), label_(label) {}

 protected:
  Tensor do_log_prob(const Tensor& x, const Tensor& sigma) const override {
    std::vector<Tensor> terms;
    for (int64_t k = 0; k < 4; ++k) {
      const Tensor c = law_.covariances[k] + sigma.square() * at::eye(2, at::kDouble), r = x - law_.means[k];
      terms.push_back(law_.weights[k].log() - at::logdet(c) / 2 - (r.matmul(at::inverse(c)) * r).sum(1) / 2);
    }
    const Tensor joint = at::stack(terms, 1);
    return at::logsumexp(joint.slice(1, 2 * label_, 2 * label_ + 2), 1) - at::logsumexp(joint, 1);
  }

 private:
  TwoClasses law_;
  int64_t label_;
};

// D_gamma = D + gamma sigma^2 grad log p(c | x_sigma)
TEST(ClassifierFree, FollowsTheLabelsPosteriorOfAMixture) {
  const TwoClasses law;
  const auto all = law.components(0, 4);
  const std::vector<std::shared_ptr<const MixturePrior>> of{law.components(0, 2), law.components(2, 4)};
  const Tensor x = 2 * normal({50, 2}, 5);
  for (const double sigma : {0.3, 1.0, 3.0}) {
    for (const int64_t label : {0, 1}) {
      const Tensor slope = LabelOfMixture(law, label).gradient(x, at::scalar_tensor(sigma, at::kDouble));
      for (const double gamma : {0.0, 1.0, 2.0, 4.0}) {
        const Tensor exact = all->mean(x, sigma) + gamma * sigma * sigma * slope;
        const auto error = [&](double scale, int64_t c) {
          return max_difference(classifier_free(scale, all, of[c])->mean(x, sigma), exact);
        };
        EXPECT_LT(error(gamma, label), 1e-9) << gamma << " at " << sigma;
        EXPECT_GT(error(gamma + 1, label), 0.1) << gamma << " at " << sigma;  // as if it were w
        if (gamma > 0) EXPECT_GT(error(gamma, 1 - label), 0.1) << gamma << " at " << sigma;
      }
    }
  }
}

// Of x_0 > 0 for x ~ N(0, 1): given x_sigma, x_0 ~ N(D, V), so that p(x_0 > 0 | x_sigma) = Phi(D / sqrt V).
class Positive : public Classifier {
 public:
  explicit Positive(double believed = 1) : believed_(believed) {}

 protected:
  Tensor do_log_prob(const Tensor& x, const Tensor& sigma) const override {
    const Tensor s = believed_ * sigma, total = 1 + s * s;
    return at::special_log_ndtr(x.flatten() / (total.sqrt() * s));
  }

 private:
  double believed_;  // by this factor it takes the noise to be another
};

// The mean of N(D, V) on x > 0 is D + sqrt V phi(D / sqrt V) / Phi(D / sqrt V).
TEST(ClassifierGuided, IsTheClassesOwnDenoiser) {
  const auto prior = std::make_shared<const GaussianPrior>(scalar_prior(0, 1));
  const Tensor x = at::tensor({-3.0, -0.5, 0.2, 4.0}, at::kDouble).view({4, 1});
  const auto difference = [&](double scale, double believed, double sigma) {
    const double s2 = sigma * sigma, v = s2 / (1 + s2);
    const Tensor mean = x / (1 + s2), a = mean / std::sqrt(v);
    // phi(a) / Phi(a) by the scaled complementary error function
    const Tensor exact = mean + std::sqrt(v) * std::sqrt(2 / M_PI) / at::special_erfcx(-a / std::sqrt(2));
    const auto guided = classifier_guided(scale, prior, std::make_shared<const Positive>(believed));
    return max_difference(guided->mean(x, sigma), exact);
  };
  for (const double sigma : {0.3, 1.0, 10.0}) {
    EXPECT_LT(difference(1, 1, sigma), 1e-9) << sigma;
    EXPECT_GT(difference(2, 1, sigma), 0.1) << sigma;
    EXPECT_GT(difference(1, 0.5, sigma), 0.1) << sigma;  // a classifier of less noisy x
  }
}

TEST(Classifier, GradientOfEachRow) {
  const Positive classifier;
  const Tensor x = normal({3, 1}, 4), sigma = at::tensor({0.2, 1.0, 3.0}, at::kDouble),
               h = at::full({1}, 1e-5, at::kDouble);
  const Tensor slope = (classifier.log_prob(x + h, sigma) - classifier.log_prob(x - h, sigma)) / 2e-5;
  EXPECT_LT(max_difference(classifier.gradient(x, sigma).flatten(), slope), 1e-7);
  expect_error([&] { classifier.gradient(x, at::ones({2}, at::kDouble)); }, {"classifier.sigma", "(2,)"});
}

}  // namespace
}  // namespace tweedie
