// EM for Gaussian mixtures: against closed forms, known mixtures, and EM with a wrong step.

#include "io/mixture_fields.h"
#include "train/mixture_em.h"
#include "tweedie/array_io.h"
#include "tweedie/mixture_fit.h"

#include "check_tensor.h"

#include <cmath>
#include <limits>

namespace tweedie {
namespace {

using Covariance = MixtureFitOptions::Covariance;

// Three Gaussians in the plane, 3 or more standard deviations apart
MixturePrior truth() {
  const Tensor weights = at::tensor({0.5, 0.2, 0.3}, at::kDouble);
  const Tensor means = at::tensor({-3.0, 0.0, 2.0, 2.0, 1.0, -3.0}, at::kDouble).reshape({3, 2});
  const Tensor covariances =
      at::tensor({1.0, 0.6, 0.6, 0.8, 0.4, -0.2, -0.2, 0.3, 0.5, 0.0, 0.0, 1.5}, at::kDouble)
          .reshape({3, 2, 2});
  return MixturePrior::full(weights, means, covariances);
}
Tensor draws(int64_t n, uint64_t seed = 1) {
  Noise noise(seed);
  return truth().sample(n, noise);
}
MixtureFit fit(const Tensor& x, const MixtureFitOptions& options, int64_t threads = 1) {
  return fit_mixture(x, options, Noise(7), threads);
}
// Sorted by the first coordinate of the mean
std::vector<int64_t> order_of(const Tensor& means) {
  const Tensor order = means.select(1, 0).argsort();
  return {order.data_ptr<int64_t>(), order.data_ptr<int64_t>() + order.numel()};
}
// The largest fall of a sequence
double largest_fall(const std::vector<double>& values) {
  double fall = 0;
  for (size_t i = 1; i < values.size(); ++i) fall = std::max(fall, values[i - 1] - values[i]);
  return fall;
}

class MixtureFitOf : public testing::TestWithParam<Covariance> {};

TEST_P(MixtureFitOf, LikelihoodNeverFallsAndIsThatOfThePrior) {
  const Tensor x = draws(600);
  const MixtureFit f = fit(x, {.components = 4, .covariance = GetParam(), .tolerance = 0});
  ASSERT_GT(f.log_likelihood.size(), 10u);
  EXPECT_LT(largest_fall(f.log_likelihood), 1e-12);
  EXPECT_NEAR(f.log_likelihood.back(), f.prior({2}).log_prob(x).mean().item<double>(), 1e-10);
}

TEST_P(MixtureFitOf, OneComponentIsTheMeanAndTheCovariance) {
  const Tensor x = draws(50).to(at::kFloat) + 100;
  const MixtureFit f = fit(x, {.components = 1, .covariance = GetParam()});
  const Tensor data = x.to(at::kDouble), y = data - data.mean(0);
  const Tensor full = at::matmul(y.t(), y) / 50;
  const std::array<Tensor, 3> expected{full.unsqueeze(0), full.diagonal().unsqueeze(0),
                                       full.diagonal().mean().unsqueeze(0)};
  EXPECT_EQ(f.weights.item<double>(), 1);
  EXPECT_LT(max_difference(f.means, data.mean(0).unsqueeze(0)), 1e-12);
  EXPECT_LT(max_difference(f.covariances, expected[static_cast<size_t>(GetParam())]), 1e-12);
  EXPECT_TRUE(f.converged);
  const std::array<double, 3> parameters{5, 4, 3};
  EXPECT_NEAR(f.bic,
              -100 * f.log_likelihood.back() + parameters[static_cast<size_t>(GetParam())] * std::log(50.0),
              1e-9);
}

TEST_P(MixtureFitOf, ThreadsDoNotChangeTheBits) {
  const Tensor x = draws(9000).to(at::kFloat);
  const MixtureFitOptions options{.components = 3, .covariance = GetParam(), .iterations = 5};
  const MixtureFit one = fit(x, options, 1), three = fit(x, options, 3);
  EXPECT_TRUE(at::equal(one.weights, three.weights));
  EXPECT_TRUE(at::equal(one.means, three.means));
  EXPECT_TRUE(at::equal(one.covariances, three.covariances));
  EXPECT_EQ(one.log_likelihood, three.log_likelihood);
}

// The floor binds in the direction that the data lack, and holds the likelihood's rise.
TEST_P(MixtureFitOf, FloorHoldsWhereTheDataAreSingular) {
  Tensor x = draws(500);
  x = at::stack({x.select(1, 0), x.select(1, 1), at::full({500}, 2.0, at::kDouble)}, 1);
  const MixtureFit f = fit(x, {.components = 3, .covariance = GetParam(), .covariance_floor = 1e-3});
  const double floor = 1e-3 * (x - x.mean(0)).square().mean().item<double>();
  const Tensor c = f.covariances;
  const double least = (c.dim() == 3 ? at::linalg_eigvalsh(c) : c).min().item<double>();
  if (GetParam() == Covariance::isotropic)
    EXPECT_GT(least, floor);
  else
    EXPECT_NEAR(least, floor, 1e-9 * floor);
  EXPECT_LT(largest_fall(f.log_likelihood), 1e-12);
  EXPECT_TRUE(f.prior({3}).log_prob(x).isfinite().all().item<bool>());
}

INSTANTIATE_TEST_SUITE_P(All, MixtureFitOf,
                         testing::Values(Covariance::full, Covariance::diagonal, Covariance::isotropic),
                         [](const auto& info) {
                           return std::string(names(info.param)[static_cast<size_t>(info.param)]);
                         });

// One step of EM, with plain formulas; wrong: the covariances without the responsibilities, S_k about m_k
struct PlainEm {
  Tensor weights, means, covariances;
  bool wrong;

  double step(const Tensor& x) {
    const int64_t k = weights.size(0);
    std::vector<Tensor> joint;
    for (int64_t i = 0; i < k; ++i) {
      const Tensor y = x - means[i];
      const Tensor c = covariances[i];
      joint.push_back(weights[i].log() - at::logdet(2 * M_PI * c) / 2 -
                      (at::matmul(y, at::inverse(c)) * y).sum(1) / 2);
    }
    const Tensor log_joint = at::stack(joint), log_density = at::logsumexp(log_joint, 0);
    const Tensor r = (log_joint - log_density).exp();
    weights = r.mean(1);
    means = at::matmul(r, x) / r.sum(1, true);
    covariances = covariances.clone();
    for (int64_t i = 0; i < k; ++i) {
      const Tensor y = x - means[i];
      const Tensor w = wrong ? at::full_like(r[i], 1.0 / static_cast<double>(x.size(0))) : r[i] / r[i].sum();
      covariances[i].copy_(at::matmul((y * w.unsqueeze(1)).t(), y));
    }
    return log_density.mean().item<double>();
  }
};

// The fit is a fixed point of EM in plain formulas; with a wrong M-step it is not, and the likelihood falls.
TEST(MixtureFitOfRows, IsAFixedPointOfTheRightStepAlone) {
  const Tensor x = draws(600);
  const MixtureFit f = fit(x, {.components = 3, .tolerance = 1e-14});
  ASSERT_TRUE(f.converged);
  for (const bool wrong : {false, true}) {
    PlainEm em{f.weights, f.means, f.covariances, wrong};
    const double before = em.step(x);
    EXPECT_NEAR(before, f.log_likelihood.back(), 1e-12);
    const double moved = max_difference(em.covariances, f.covariances), after = em.step(x);
    EXPECT_EQ(moved < 1e-4, !wrong) << moved;
    EXPECT_EQ(after < before - 0.1, wrong) << after << " " << before;
  }
}

// Each parameter within 4.5 standard errors, those of labelled data widened by half for the overlap: 20,000
// rows. The same data fitted with too few iterations from its start are not.
TEST(MixtureFitOfRows, RecoversAKnownMixture) {
  const int64_t n = 20'000;
  const auto worst = [&](int64_t iterations) {
    const MixtureFit f = fit(draws(n, 3), {.components = 3, .iterations = iterations});
    const std::vector<int64_t> a = order_of(f.means), b = order_of(truth().means());
    double z = 0;
    for (size_t i = 0; i < 3; ++i) {
      const double w = truth().weights()[b[i]].item<double>(), rows = w * static_cast<double>(n);
      const Tensor c = truth().covariances()[b[i]], v = c.diagonal();
      const auto in_errors = [&](const Tensor& difference, const Tensor& error) {
        z = std::max(z, (difference / error).abs().max().item<double>() / 1.5);
      };
      in_errors(f.weights[a[i]] - w, at::tensor(std::sqrt(w * (1 - w) / static_cast<double>(n))));
      in_errors(f.means[a[i]] - truth().means()[b[i]], (v / rows).sqrt());
      in_errors(f.covariances[a[i]] - c, ((at::outer(v, v) + c.square()) / rows).sqrt());
    }
    return z;
  };
  EXPECT_LT(worst(500), 4.5);
  EXPECT_GT(worst(1), 4.5);
}

TEST(MixtureFitOfRows, BicChoosesTheNumberOfComponents) {
  const MixtureFit f = fit(draws(1500), {.max_components = 5, .tolerance = 1e-6});
  EXPECT_EQ(f.weights.size(0), 3);
  ASSERT_EQ(f.bic_by_components.size(), 5u);
  for (const auto& [k, bic] : f.bic_by_components) EXPECT_EQ(bic == f.bic, k == 3) << k;
  // One Gaussian needs no second.
  EXPECT_EQ(fit(normal({1000, 2}, 5), {.max_components = 3, .tolerance = 1e-6}).weights.size(0), 1);
}

TEST(MixtureFitOfRows, DropsComponentsWithoutRows) {
  const Tensor x = at::tensor({0.0, 1.0, 5.0}, at::kDouble).repeat_interleave(20).unsqueeze(1);
  const MixtureFit f = fit(x, {.components = 6});
  EXPECT_EQ(f.weights.size(0), 3);
  EXPECT_NEAR(f.weights.sum().item<double>(), 1, 1e-12);
}

TEST(MixtureFitOfRows, StopsWhenTold) {
  int64_t calls = 0;
  const MixtureFit f = fit_mixture(draws(500), {.tolerance = 0}, Noise(1), 1, [&](const Progress& p) {
    EXPECT_TRUE(std::isfinite(p.loss));
    return ++calls == 4 ? Control::stop : Control::proceed;
  });
  EXPECT_EQ(calls, 4);
  EXPECT_TRUE(f.prior({2}).log_prob(draws(3)).isfinite().all().item<bool>());
}

TEST(MixtureFitOfRows, SaysWhatIsWrong) {
  const Tensor x = draws(10);
  expect_error([&] { fit(x, {.components = 11}); }, {"model.components: 11: ", "10 rows"});
  expect_error([&] { fit(x, {.components = 0}); }, {"model.components: 0: "});
  expect_error([&] { fit(x, {.max_components = 0}); }, {"model.max_components: 0: "});
  expect_error([&] { fit(x, {.covariance_floor = 0}); }, {"model.covariance_floor: 0: "});
  expect_error([&] { fit(x, {.iterations = 0}); }, {"model.iterations: 0: "});
  expect_error([&] { fit(x, {.tolerance = std::nan("")}); }, {"model.tolerance: nan: "});
  expect_error([&] { fit(x, {.restarts = 0}); }, {"model.restarts: 0: "});
  expect_error([&] { fit(at::full({60'000, 2}, 0.1), {}); }, {"data: every row is the same"});
  expect_error([&] { fit(x * at::tensor({1.0, NAN}, at::kDouble), {}); }, {"data: ", "NaN"});
  expect_error([&] { fit(x * 1e200, {}); }, {"data: ", "rescale"});
  expect_error([&] { fit(x * 1e-150, {}); }, {"data: ", "rescale"});
  expect_error([&] { fit(x[0], {}); }, {"data: (2,)"});
  expect_error([&] { fit(x.to(at::kLong), {}); }, {"data: "});
}

// The crabs of Weldon and Pearson: 29 classes
struct Crabs {
  Tensor table = read_array(TWEEDIE_SOURCE_DIR "/data/crabs/crabs.csv");
  Tensor middle = table.select(1, 0), counts = table.select(1, 1).to(at::kLong);
  Tensor edges = at::cat({middle - 0.002, middle.narrow(0, 28, 1) + 0.002});
};
double phi_cdf(double z) {
  return std::erfc(-z / std::sqrt(2.0)) / 2;
}
// Mean log-likelihood of the classes, with plain formulas
double grouped_log_likelihood(const MixtureFit& f, const Tensor& edges, const Tensor& counts) {
  double sum = 0, total = 0;
  for (int64_t j = 0; j < counts.size(0); ++j) {
    double p = 0;
    for (int64_t k = 0; k < f.weights.size(0); ++k) {
      const double m = f.means[k].item<double>(), s = std::sqrt(f.covariances[k].item<double>());
      p += f.weights[k].item<double>() *
           (phi_cdf((edges[j + 1].item<double>() - m) / s) - phi_cdf((edges[j].item<double>() - m) / s));
    }
    const auto n = static_cast<double>(counts[j].item<int64_t>());
    if (n > 0) sum += n * std::log(p);
    total += n;
  }
  return sum / total;
}
Tensor counts_of(const Tensor& x, const Tensor& edges) {
  const Tensor index = at::searchsorted(edges, x.contiguous(), false, true) - 1;
  return at::bincount(index, {}, edges.size(0) - 1);
}

// The likelihood rises to a point where no parameter can be moved for the better; the fit to the midpoints,
// which ignores that they are classes, is not that point.
TEST(GroupedMixtureFit, ReachesTheMaximumOfTheLikelihoodOfTheCounts) {
  const Crabs crabs;
  const Tensor edges = crabs.edges, counts = crabs.counts;
  const MixtureFit f = fit_grouped_mixture(
      edges, counts, {.components = 2, .iterations = 20'000, .tolerance = 1e-14}, Noise(1));
  ASSERT_TRUE(f.converged);
  EXPECT_LT(largest_fall(f.log_likelihood), 1e-13);
  const double best = grouped_log_likelihood(f, edges, counts);
  EXPECT_NEAR(f.log_likelihood.back(), best, 1e-12);

  // Central differences of L in the logarithms of w_1 / w_2 and of the variances, and in the means over s
  const auto slope = [&](const MixtureFit& from) {
    double most = 0;
    for (int64_t i = 0; i < 5; ++i) {
      const auto moved = [&](double h) {
        MixtureFit g = from;
        g.weights = g.weights.clone(), g.means = g.means.clone(), g.covariances = g.covariances.clone();
        if (i == 0) g.weights[0] *= std::exp(h), g.weights /= g.weights.sum();
        if (i == 1 || i == 2) g.means[i - 1] += h * g.covariances[i - 1].sqrt();
        if (i > 2) g.covariances[i - 3] *= std::exp(h);
        return grouped_log_likelihood(g, edges, counts);
      };
      most = std::max(most, std::abs(moved(1e-4) - moved(-1e-4)) / 2e-4);
    }
    return most;
  };
  EXPECT_LT(slope(f), 1e-7);
  const MixtureFit naive =
      fit(crabs.middle.repeat_interleave(counts).unsqueeze(1),
          {.components = 2, .covariance = Covariance::isotropic, .iterations = 20'000, .tolerance = 1e-14});
  EXPECT_GT(slope(naive), 1e-4);
  // The documented fit of the R package MixtureInf to the same midpoints: log-likelihood 2567.577
  EXPECT_NEAR(1000 * naive.log_likelihood.back(), 2567.577, 0.01);
}

// Fine classes say what the numbers themselves do.
TEST(GroupedMixtureFit, AgreesWithRowsAsTheClassesShrink) {
  const Tensor x = draws(3000).select(1, 0);
  const MixtureFitOptions options{.components = 2, .covariance = Covariance::isotropic, .tolerance = 1e-12};
  const MixtureFit rows = fit(x.unsqueeze(1), options);
  const auto difference = [&](double width) {
    const Tensor edges = at::arange(-12, 12 + width / 2, width, at::kDouble);
    const MixtureFit f = fit_grouped_mixture(edges, counts_of(x, edges), options, Noise(1));
    const auto a = order_of(rows.means), b = order_of(f.means);
    double most = 0;
    for (size_t k = 0; k < 2; ++k)
      most = std::max({most, max_difference(rows.means[a[k]], f.means[b[k]]),
                       max_difference(rows.covariances[a[k]], f.covariances[b[k]]),
                       max_difference(rows.weights[a[k]], f.weights[b[k]])});
    return most;
  };
  EXPECT_LT(difference(0.01), 1e-3);
  EXPECT_GT(difference(1), 1e-3);
}

// Coarse classes, a third of them open: within 4.5 standard errors of the truth, which the variance of the
// midpoints is not. 1e5 numbers of one normal.
TEST(GroupedMixtureFit, CoarseClassesDoNotBiasTheVariance) {
  const int64_t n = 100'000;
  const Tensor x = normal({n}, 4);
  const double open = std::numeric_limits<double>::infinity();
  const Tensor edges = at::tensor({-open, -3.0, -1.5, 0.0, 1.5, 3.0, open}, at::kDouble);
  const MixtureFit f =
      fit_grouped_mixture(edges, counts_of(x, edges), {.components = 1, .tolerance = 1e-13}, Noise(1));
  // By the Fisher information of these classes the standard errors are 1.09 and 1.18 times those of the
  // numbers themselves.
  EXPECT_NEAR(f.means.item<double>(), 0, 4.5 * 1.09 / std::sqrt(n));
  const double error = 4.5 * 1.18 * std::sqrt(2.0 / n);
  EXPECT_NEAR(f.covariances.item<double>(), 1, error);
  const Tensor middles = at::arange(-3.75, 4, 1.5, at::kDouble),
               share = counts_of(x, edges) / static_cast<double>(n);
  EXPECT_GT((share * middles.square()).sum().item<double>() - 1, error);
  EXPECT_TRUE(f.prior({1}).log_prob(normal({3, 1}, 5)).isfinite().all().item<bool>());
}

// One number cannot tell mean from variance; any of the best fits will do.
TEST(GroupedMixtureFit, TwoOpenClassesGiveTheirShares) {
  const double open = std::numeric_limits<double>::infinity();
  const Tensor edges = at::tensor({-open, 0.0, open}, at::kDouble), counts = at::tensor({30, 10});
  const MixtureFit f = fit_grouped_mixture(edges, counts, {.components = 1, .tolerance = 1e-14}, Noise(1));
  EXPECT_NEAR(phi_cdf(-f.means.item<double>() / f.covariances.sqrt().item<double>()), 0.75, 1e-6);
}

TEST(GroupedMixtureFit, SaysWhatIsWrong) {
  const Crabs crabs;
  const Tensor edges = crabs.edges, counts = crabs.counts;
  const double open = std::numeric_limits<double>::infinity();
  const auto grouped = [](const Tensor& e, const Tensor& c, const MixtureFitOptions& o = {}) {
    fit_grouped_mixture(e, c, o, Noise(1));
  };
  expect_error([&] { grouped(edges.narrow(0, 1, 29), counts); }, {"edges: 29 of them for 29 counts"});
  expect_error([&] { grouped(-edges, counts); }, {"edges: not increasing"});
  expect_error([&] { grouped(edges * NAN, counts); }, {"edges: not increasing"});
  expect_error([&] { grouped(at::tensor({0.0, open, open}), counts.narrow(0, 0, 2)); }, {"edges: not incr"});
  // In double precision both edges of the second class are as far from a mean of 0.1.
  expect_error(
      [&] {
        grouped(at::tensor({-1.0, 0.0, 1e-18, 1.0}, at::kDouble), at::tensor({5, 3, 5}));
      },
      {"edges: a class is narrower than 1e-10"});
  expect_error([&] { grouped(edges, -counts); }, {"counts: not all"});
  expect_error([&] { grouped(edges, counts * 0.3); }, {"counts: not all"});
  expect_error([&] { grouped(edges, counts * 0); }, {"counts: fewer than two"});
  expect_error([&] { grouped(edges.unsqueeze(0), counts); }, {"edges: (1, 30)"});
  expect_error([&] { grouped(edges, counts, {.components = 1001}); }, {"model.components: 1001: ", "1000"});
}

}  // namespace
}  // namespace tweedie
