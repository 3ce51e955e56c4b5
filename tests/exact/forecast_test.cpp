// A vector autoregression x_{t+1} = A x_t + e, e ~ N(0, Q), is known at every lead l:
//   x_{t+l} | x_t ~ N(A^l x_t, sum_{j<l} A^j Q A^jT).
// Its windows are Gaussian, so a forecast by exact or by MMPS conditioning has to draw from that.
#include "tweedie/forecast.h"
#include "tweedie/forecast_scores.h"

#include "check_tensor.h"

#include "tweedie/guidance.h"
#include "tweedie/heun.h"

namespace tweedie {
namespace {

constexpr int64_t d = 3, leads = 4, members = 600;

struct Autoregression {
  Tensor a = at::tensor({0.8, 0.3, 0.0, -0.3, 0.7, 0.1, 0.0, 0.2, 0.5}, at::kDouble).view({d, d});
  Tensor q = random_covariance(d, 11);
  Tensor start = at::tensor({2.0, -1.0, 0.5}, at::kDouble);

  Tensor stationary() const {
    Tensor c = at::zeros({d, d}, at::kDouble);
    for (int i = 0; i < 300; ++i) c = a.matmul(c).matmul(a.t()) + q;
    return c;
  }
  // Law of (x_t, x_{t+1}), or of (x_t, x_{t+1} - x_t)
  std::shared_ptr<const GaussianPrior> prior(bool increment) const {
    const Tensor c = stationary(), g = increment ? a - at::eye(d, at::kDouble) : a;
    const Tensor cross = g.matmul(c), next = cross.matmul(g.t()) + q;
    const Tensor all = at::cat({at::cat({c, cross.t()}, 1), at::cat({cross, next}, 1)});
    return std::make_shared<GaussianPrior>(
        GaussianPrior::full(at::zeros({2, d}, at::kDouble), (all + all.t()) / 2));
  }
  // Mean and covariance at the lead, from a start with the covariance `first`
  std::pair<Tensor, Tensor> law(int64_t lead, const Tensor& from, Tensor covariance) const {
    Tensor mean = from;
    for (int64_t l = 0; l < lead; ++l) {
      mean = a.matmul(mean);
      covariance = a.matmul(covariance).matmul(a.t()) + q;
    }
    return {mean, covariance};
  }
};

// Largest error of mean and covariance in standard errors of as many independent draws; x: (members, d)
double deviation(const Tensor& x, const Tensor& mean, const Tensor& covariance) {
  const double n = static_cast<double>(x.size(0));
  const Tensor variance = covariance.diagonal();
  const Tensor of_mean = (x.mean(0) - mean).abs() / (variance / n).sqrt();
  const Tensor centred = x - mean, sample = centred.t().matmul(centred) / n;
  const Tensor spread = ((variance.outer(variance) + covariance.square()) / n).sqrt();
  return std::max(of_mean.max().item<double>(), ((sample - covariance).abs() / spread).max().item<double>());
}

double worst(const Tensor& states, const Autoregression& p, const Tensor& from, const Tensor& covariance) {
  double result = 0;
  for (int64_t l = 0; l < states.size(2); ++l) {
    const auto [mean, of_lead] = p.law(l + 1, from, covariance);
    result = std::max(result, deviation(states[0].select(1, l), mean, of_lead));
  }
  return result;
}

// 4 leads of 3 means and 9 covariances: five standard errors are exceeded by chance once in 40 000 seeds.
constexpr double most = 5;

TEST(Forecast, HasTheLawOfAnAutoregressionAtEveryLead) {
  const Autoregression p;
  const Tensor none = at::zeros({d, d}, at::kDouble), history = p.start.view({1, 1, d});
  const ExactSampler exact({.threads = 1, .dtype = at::kDouble});
  for (const bool increment : {false, true}) {
    const Window window = window_of({2, d}, {}, increment);
    const auto rolled = [&](const Window& w) {
      return roll_out(p.prior(increment), w, exact, history, {.leads = leads, .members = members}, Noise(3),
                      {})
          .states;
    };
    EXPECT_LT(worst(rolled(window), p, p.start, none), most);
    Window wrong = window;  // the increment taken for the state, or the state for the increment
    wrong.increment = !increment;
    EXPECT_GT(worst(rolled(wrong), p, p.start, none), 4 * most);
  }
}

TEST(Forecast, StartsFromThePosteriorOfAMeasuredState) {
  const Autoregression p;
  constexpr double noise_std = 0.7;
  const Tensor c = p.stationary(),
               gain = c.matmul(at::linalg_inv(c + noise_std * noise_std * at::eye(d, at::kDouble)));
  const Tensor from = gain.matmul(p.start), covariance = c - gain.matmul(c);
  const ExactSampler exact({.threads = 1, .dtype = at::kDouble});
  for (const bool increment : {false, true}) {
    const auto states =
        roll_out(p.prior(increment), window_of({2, d}, {}, increment), exact, p.start.view({1, 1, d}),
                 {.leads = leads, .members = members, .noise_std = noise_std}, Noise(4), {})
            .states;
    EXPECT_LT(worst(states, p, from, covariance), most);
    EXPECT_GT(worst(states, p, p.start, at::zeros({d, d}, at::kDouble)), 2 * most);  // as if it were exact
  }
}

TEST(Forecast, ByGuidanceHasThatLawToo) {
  const Autoregression p;
  const GuidedSampler mmps(MmpsOptions{.iterations = 6, .tolerance = 1e-10},
                           std::make_shared<Heun>(HeunOptions{}, 24), make_schedule(Karras{}, 24),
                           {.threads = 1, .dtype = at::kDouble});
  const auto states = roll_out(p.prior(true), window_of({2, d}, {}, true), mmps, p.start.view({1, 1, d}),
                               {.leads = 3, .members = 600, .step_noise_std = 1e-3}, Noise(5), {})
                          .states;
  // Beside Monte Carlo there is the sampler's error, well below a standard error of 600 draws.
  EXPECT_LT(worst(states, p, p.start, at::zeros({d, d}, at::kDouble)), most);
}

TEST(Forecast, OfTheMeanIsThePowerOfA) {
  const Autoregression p;
  const ExactSampler exact({.threads = 1, .dtype = at::kDouble});
  const auto mean = roll_out(p.prior(true), window_of({2, d}, {}, true), exact, p.start.view({1, 1, d}),
                             {.leads = leads, .mean = true}, Noise(0), {})
                        .states;
  ASSERT_EQ(mean.sizes(), at::IntArrayRef({1, 1, leads, d}));
  for (int64_t l = 1; l <= leads; ++l) {
    const Tensor expected = p.law(l, p.start, at::zeros({d, d}, at::kDouble)).first;
    EXPECT_LT(max_difference(mean[0][0][l - 1], expected), 1e-9) << l;
  }
}

// Truths of the process itself rank uniformly among the members at every lead, and not among members whose
// noise was left out after the first lead.
TEST(Forecast, RanksAreFlatForTheProcessItself) {
  const Autoregression p;
  constexpr int64_t cases = 120, count = 19, bins = 5;
  const Tensor half = at::linalg_cholesky(p.q);
  const Tensor history = normal({cases, d}, 21).matmul(at::linalg_cholesky(p.stationary()).t());
  std::vector<Tensor> truth{history};
  for (int64_t l = 1; l <= leads; ++l)
    truth.push_back(truth.back().matmul(p.a.t()) +
                    normal({cases, d}, 30 + static_cast<uint64_t>(l)).matmul(half.t()));
  const ExactSampler exact({.threads = 1, .dtype = at::kDouble});
  const auto rolled = roll_out(p.prior(true), window_of({2, d}, {}, true), exact, history.unsqueeze(1),
                               {.leads = leads, .members = count}, Noise(6), {})
                          .states;
  const auto p_value = [&](const Tensor& ensemble, int64_t lead) {  // (cases, members, d)
    std::vector<Tensor> shares;
    for (int64_t c = 0; c < cases; ++c)
      shares.push_back(rank_shares(ensemble[c], truth[lead][c], {}, bins, Noise(static_cast<uint64_t>(c))));
    return rank_flatness(at::stack(shares)).p_value.value();
  };
  for (int64_t l = 1; l <= leads; ++l) EXPECT_GT(p_value(rolled.select(2, l - 1), l), 1e-4) << l;
  const Tensor frozen = rolled.select(2, 0).matmul(p.a.t());  // lead 2 without noise of its own
  EXPECT_LT(p_value(frozen, 2), 1e-6);
}

TEST(Forecast, MembersAndLeadsAreTheSameHoweverManyThereAre) {
  const Autoregression p;
  const auto rolled = [&](int64_t n, int64_t ahead, int64_t threads) {
    const GuidedSampler mmps(MmpsOptions{}, std::make_shared<Heun>(HeunOptions{}, 4),
                             make_schedule(Karras{}, 4), {.threads = threads, .dtype = at::kFloat});
    return roll_out(p.prior(true), window_of({2, d}, {}, true), mmps, normal({3, 1, d}, 8),
                    {.leads = ahead, .members = n, .step_noise_std = 1e-2}, Noise(7), {})
        .states;
  };
  const Tensor all = rolled(7, 3, 1);
  EXPECT_TRUE(at::equal(rolled(7, 3, 3), all));
  EXPECT_TRUE(at::equal(rolled(4, 2, 2), all.slice(1, 0, 4).slice(2, 0, 2)));
  EXPECT_FALSE(at::equal(all.select(1, 0), all.select(1, 1)));
  EXPECT_FALSE(at::equal(all[0], all[1]));
}

TEST(Forecast, SaysWhatDoesNotFit) {
  const auto state = [](const Shape& x, std::optional<int64_t> frames) {
    return window_of(x, frames, false).state;
  };
  EXPECT_EQ(state({2, 5}, {}), (Shape{5}));
  EXPECT_EQ(state({6, 4, 4}, 2), (Shape{3, 4, 4}));
  EXPECT_EQ(state({10}, 2), (Shape{5}));
  EXPECT_EQ(state({2}, {}), (Shape{}));
  expect_error([&] { state({5}, 2); }, {"forecast.frames", "2", "(5,)"});
  expect_error([&] { state({1, 28, 28}, {}); }, {"forecast.frames", "1", "(1, 28, 28)"});
  const Autoregression p;
  const ExactSampler exact({.threads = 1});
  const auto run = [&](const Tensor& history, const RolloutOptions& o) {
    roll_out(p.prior(false), window_of({2, d}, {}, false), exact, history, o, Noise(0), {});
  };
  expect_error([&] { run(at::zeros({1, 2, d}), {}); }, {"forecast.history", "(1, 2, 3)"});
  expect_error([&] { run(at::full({1, 1, d}, NAN), {}); }, {"forecast.history"});
  expect_error([&] { run(at::zeros({1, 1, d}), {.leads = 0}); }, {"forecast.leads", "0"});
  expect_error([&] { run(at::zeros({1, 1, d}), {.members = 0}); }, {"forecast.members", "0"});
  expect_error([&] { run(at::zeros({1, 1, d}), {.noise_std = -1}); }, {"forecast.noise_std", "-1"});
}

}  // namespace
}  // namespace tweedie
