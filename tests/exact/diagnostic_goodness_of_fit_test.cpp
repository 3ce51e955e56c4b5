// Goodness of fit of mixtures to class counts: Pearson's crabs, and the law of p-values.

#include "core/special.h"
#include "tweedie/array_io.h"
#include "tweedie/goodness_of_fit.h"

#include "check_tensor.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tweedie {
namespace {

constexpr double open = std::numeric_limits<double>::infinity();

// Of Weldon and Pearson: 1,000 crabs in 29 classes
struct Crabs {
  Tensor table = read_array(TWEEDIE_SOURCE_DIR "/data/crabs/crabs.csv");
  Tensor middle = table.select(1, 0), counts = table.select(1, 1);
  Tensor edges = at::cat({middle - 0.002, middle.narrow(0, 28, 1) + 0.002});

  MixtureFit fit(int64_t components) const {
    return fit_grouped_mixture(edges, counts, {.components = components, .tolerance = 1e-10}, Noise(1));
  }
};
MixtureFit mixture(const std::vector<double>& weights, const std::vector<double>& means,
                   const std::vector<double>& stds) {
  MixtureFit fit;
  fit.weights = at::tensor(weights, at::kDouble);
  fit.means = at::tensor(means, at::kDouble).unsqueeze(1);
  fit.covariances = at::tensor(stds, at::kDouble).square();
  return fit;
}

// One normal does not explain the crabs, two do.
TEST(GoodnessOfFit, CrabsAreOfTwoKinds) {
  const Crabs crabs;
  const GoodnessOfFit one = goodness_of_fit(crabs.edges, crabs.counts, crabs.fit(1));
  const GoodnessOfFit two = goodness_of_fit(crabs.edges, crabs.counts, crabs.fit(2));
  EXPECT_EQ(one.degrees_of_freedom, one.classes - 3);
  EXPECT_EQ(two.degrees_of_freedom, two.classes - 6);
  EXPECT_LT(one.p_value.value(), 1e-4);
  EXPECT_GT(two.p_value.value(), 0.05);
  EXPECT_NEAR(two.expected.sum().item<double>(), 1000, 1e-9);
}

// What Pearson found by moments in 1894 is within the uncertainty of the most likely mixture: twice the
// difference of log-likelihoods is chi2 with 5 degrees of freedom at the truth. With its weights exchanged,
// or all moved by half a class, it is not.
TEST(GoodnessOfFit, PearsonsSolutionIsWithinTheUncertaintyOfTheFit) {
  const Crabs crabs;
  const MixtureFit best = crabs.fit(2);
  const auto log_likelihood = [&](const MixtureFit& fit) {
    double sum = 0;
    for (int64_t j = 0; j < 29; ++j) {
      double p = 0;
      for (int64_t k = 0; k < 2; ++k) {
        const auto z = [&](int64_t edge) {
          return (crabs.edges[edge].item<double>() - fit.means[k].item<double>()) /
                 std::sqrt(fit.covariances[k].item<double>());
        };
        p += fit.weights[k].item<double>() * (normal_cdf(z(j + 1)) - normal_cdf(z(j)));
      }
      sum += crabs.counts[j].item<double>() * std::log(p);
    }
    return sum;
  };
  const auto p_value = [&](double weight, double shift) {
    const MixtureFit pearson = mixture({weight, 1 - weight}, {0.633 + shift, 0.657 + shift}, {0.018, 0.012});
    return chi2_tail(2 * (log_likelihood(best) - log_likelihood(pearson)), 5);
  };
  EXPECT_NEAR(log_likelihood(best), 1000 * best.log_likelihood.back(), 1e-7);
  EXPECT_GT(p_value(0.415, 0), 0.05);
  EXPECT_LT(p_value(0.585, 0), 1e-3);
  EXPECT_LT(p_value(0.415, 0.002), 0.05);
}

// Over many samples of one normal the p-values are uniform (Kolmogorov, alarm 1e-4), those without the
// degrees of freedom that the parameters take are not. Eight classes of 40 or more expected.
TEST(GoodnessOfFit, PValuesAreUniform) {
  const Tensor edges = at::tensor({-open, -1.2, -0.7, -0.3, 0.0, 0.3, 0.7, 1.2, open}, at::kDouble);
  const int64_t samples = 400, rows = 400;
  const Tensor x = normal({samples, rows}, 3);
  std::vector<double> right, wrong;
  for (int64_t i = 0; i < samples; ++i) {
    const Tensor counts = at::bincount(at::bucketize(x[i], edges.narrow(0, 1, 7)), {}, 8);
    const GoodnessOfFit g = goodness_of_fit(
        edges, counts, fit_grouped_mixture(edges, counts, {.components = 1, .tolerance = 1e-9}, Noise(1)));
    ASSERT_EQ(g.degrees_of_freedom, 5);
    right.push_back(*g.p_value);
    wrong.push_back(chi2_tail(g.chi2, 7));
  }
  const auto uniform = [&](std::vector<double> p) {
    std::sort(p.begin(), p.end());
    double d = 0;
    for (size_t i = 0; i < p.size(); ++i) {
      const auto n = static_cast<double>(p.size()), at_least = static_cast<double>(i) / n;
      d = std::max({d, p[i] - at_least, at_least + 1 / n - p[i]});
    }
    return kolmogorov_p_value(d, static_cast<double>(p.size()));
  };
  EXPECT_GT(uniform(right), 1e-4);
  EXPECT_LT(uniform(wrong), 1e-4);
}

// N(0, 1): the outer classes hold what lies beyond their edges, and 0.13, 2.1 and 13.6 % of 100 rows are
// joined to 15.9.
TEST(GoodnessOfFit, JoinsClassesThatExpectTooFew) {
  const Tensor edges = at::arange(-4, 5, at::kDouble), counts = at::tensor({0, 3, 16, 31, 35, 10, 5, 0});
  const MixtureFit fit = mixture({1}, {0}, {1});
  const GoodnessOfFit g = goodness_of_fit(edges, counts, fit);
  const double tail = 100 * normal_cdf(-1), middle = 50 - tail;
  EXPECT_NEAR(g.expected[0].item<double>(), 100 * normal_cdf(-3), 1e-10);
  EXPECT_NEAR(g.expected[3].item<double>(), middle, 1e-10);
  ASSERT_EQ(g.classes, 4);
  EXPECT_EQ(g.degrees_of_freedom, 1);
  const auto term = [](double c, double e) { return (c - e) * (c - e) / e; };
  EXPECT_NEAR(g.chi2, term(19, tail) + term(31, middle) + term(35, middle) + term(15, tail), 1e-10);
  // No degrees are left
  EXPECT_FALSE(goodness_of_fit(edges, counts, fit, 40).p_value.has_value());
}

TEST(GoodnessOfFit, SaysWhatIsWrong) {
  const Tensor edges = at::arange(0, 4, at::kDouble), counts = at::tensor({5, 6, 7});
  const MixtureFit fit = mixture({1}, {1.5}, {1});
  expect_error([&] { goodness_of_fit(edges, counts.narrow(0, 0, 2), fit); }, {"edges: 4 of them"});
  expect_error([&] { goodness_of_fit(edges, counts, fit, 0); }, {"least_expected: 0: "});
  expect_error(
      [&] {
        goodness_of_fit(edges, counts, fit_mixture(normal({9, 2}, 1), {}, Noise(1)));
      },
      {"fit: "});
  expect_error([&] { goodness_of_fit(edges, counts, {}); }, {"fit: "});
}

}  // namespace
}  // namespace tweedie
