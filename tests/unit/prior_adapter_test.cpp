#include "tweedie/gaussian_prior.h"
#include "tweedie/predictor.h"

#include "check_tensor.h"

#include <cmath>
#include <thread>

namespace tweedie {
namespace {

const Shape shape{3};

GaussianPrior make_prior() {
  return GaussianPrior::full(normal(shape, 1), random_covariance(3, 2));
}

struct Rates {
  double alpha, sigma, d_alpha, d_sigma;
};

// The paths, written for one t each and from t instead of the noise ratio.
Rates rates(const Path& path, double t) {
  if (std::holds_alternative<Flow>(path)) return {1 - t, t, -1, 1};
  if (std::holds_alternative<Ve>(path)) return {1, t, 0, 1};
  const Tensor bar = alpha_bar(std::get<VpLinear>(path));
  const auto log_ratio = [&](int64_t k) {
    const double a = bar[k + 1].item<double>();
    return 0.5 * std::log((1 - a) / a);
  };
  const int64_t k = std::min<int64_t>(static_cast<int64_t>(t), bar.numel() - 3);
  const double ratio = std::exp(log_ratio(k) + (t - k) * (log_ratio(k + 1) - log_ratio(k)));
  const double angle = std::atan(ratio);
  return {std::cos(angle), std::sin(angle), -std::sin(angle), std::cos(angle)};
}

// What a perfect network on this path would say about a Gaussian prior.
class PerfectNetwork final : public Predictor {
 public:
  PerfectNetwork(Path path, Prediction prediction) : path_(path), prediction_(prediction) {}

  Tensor predict(const Tensor& x_t, const Tensor& t) const override {
    const Tensor m = prior_.flat_mean(), c = prior_.covariance(), eye = at::eye(3, at::kDouble);
    std::vector<Tensor> rows;
    for (int64_t i = 0; i < x_t.size(0); ++i) {
      const auto [a, s, da, ds] = rates(path_, t[i].item<double>());
      // p_t = N(alpha m, alpha^2 Sigma + sigma^2 I)
      const Tensor score = -at::matmul(at::linalg_inv(a * a * c + s * s * eye), x_t[i] - a * m);
      const Tensor data = (x_t[i] + s * s * score) / a, noise = -s * score;
      switch (prediction_) {
        case Prediction::noise:
          rows.push_back(noise);
          break;
        case Prediction::data:
          rows.push_back(data);
          break;
        case Prediction::score:
          rows.push_back(score);
          break;
        case Prediction::velocity:
          rows.push_back(da * data + ds * noise);
          break;
      }
    }
    return at::stack(rows);
  }

 private:
  Path path_;
  Prediction prediction_;
  GaussianPrior prior_ = make_prior();
};

class Adapter : public testing::TestWithParam<std::tuple<Path, Prediction>> {};

TEST_P(Adapter, GivesTheClosedFormAndItsVjp) {
  const auto [path, prediction] = GetParam();
  const GaussianPrior prior = make_prior();
  const PredictorDenoiser denoiser(std::make_shared<PerfectNetwork>(path, prediction), path, prediction,
                                   shape);
  const Tensor x = normal({5, 3}, 3) * 4, v = normal({5, 3}, 4);
  const Tensor sigma = at::tensor({0.011, 0.3, 1.0, 7.3, 80.0}, at::kDouble);
  EXPECT_LT(max_difference(denoiser.mean(x, sigma), prior.mean(x, sigma)), 1e-9);
  EXPECT_LT(max_difference(denoiser.mean(x, 0.5), prior.mean(x, 0.5)), 1e-9);
  const Linearised ours = linearise(denoiser, x, sigma), exact = linearise(prior, x, sigma);
  EXPECT_LT(max_difference(ours.mean, exact.mean), 1e-9);
  EXPECT_FALSE(ours.mean.requires_grad());
  for (int repeat = 0; repeat < 2; ++repeat) {  // the graph serves any number of calls
    EXPECT_LT(max_difference(ours.vjp(v), exact.vjp(v)), 1e-9);
    EXPECT_LT(max_difference(ours.vjp(x), exact.vjp(x)), 1e-9);
  }
}

std::string name(const testing::TestParamInfo<Adapter::ParamType>& info) {
  const std::vector<std::string> path{"Vp", "VpScaled", "Cosine", "Ve", "Flow"},
      prediction{"Noise", "Data", "Score", "Velocity"};
  return path[std::get<0>(info.param).index()] + prediction[static_cast<int>(std::get<1>(info.param))];
}

INSTANTIATE_TEST_SUITE_P(PathAndPrediction, Adapter,
                         testing::Combine(testing::Values(Path(VpLinear{}), Path(Ve{}), Path(Flow{})),
                                          testing::Values(Prediction::noise, Prediction::data,
                                                          Prediction::score, Prediction::velocity)),
                         name);

// A network that remembers the t it was given.
struct Recorder final : Predictor {
  mutable Tensor t;
  Tensor predict(const Tensor& x_t, const Tensor& at_t) const override {
    t = at_t;
    return at::zeros_like(x_t);
  }
};

template <class Vp>
class VpPath : public testing::Test {};
using VpPaths = testing::Types<VpLinear, VpScaledLinear, Cosine>;
TYPED_TEST_SUITE(VpPath, VpPaths);

TYPED_TEST(VpPath, TimeIsTheTrainingStep) {
  const TypeParam vp;
  const auto network = std::make_shared<Recorder>();
  const PredictorDenoiser denoiser(network, vp, Prediction::noise, shape);
  const Tensor bar = alpha_bar(vp);
  for (const int64_t step : {0, 1, 499, 998, 999}) {
    const double a = bar[step + 1].template item<double>();
    denoiser.mean(at::zeros({2, 3}, at::kDouble), std::sqrt((1 - a) / a));
    EXPECT_EQ(network->t.sizes(), at::IntArrayRef({2}));
    EXPECT_NEAR(network->t[1].template item<double>(), static_cast<double>(step), 1e-9);
  }
  denoiser.mean(at::zeros({2, 3}, at::kDouble), 1e-4);  // below what it was trained on
  EXPECT_EQ(network->t[0].template item<double>(), 0);
  denoiser.mean(at::zeros({2, 3}, at::kDouble), 1e6);  // above
  EXPECT_EQ(network->t[0].template item<double>(), 999);
}

struct Zero final : Predictor {
  Tensor predict(const Tensor& x, const Tensor&) const override { return at::zeros_like(x); }
};

// EDM: with F = 0 and Var(x) = sigma_data^2, the expected loss under the weight (sigma^2 + sigma_data^2) /
// (sigma sigma_data)^2 is 1 per coordinate at every sigma.
TEST(NetworkDenoiser, WeightedLossIsOneAtInitialisation) {
  const double data = 0.7;
  const NetworkDenoiser denoiser(std::make_shared<Zero>(), data, shape);
  for (const double sigma : {0.01, 0.5, 3.0, 80.0}) {
    const double gain = denoiser.mean(at::ones({1, 3}, at::kDouble), sigma)[0][0].item<double>();
    const double loss = (gain - 1) * (gain - 1) * data * data + gain * gain * sigma * sigma;
    EXPECT_NEAR(loss * (sigma * sigma + data * data) / std::pow(sigma * data, 2), 1, 1e-12);
  }
}

// F that makes D exact for N(0, lambda I): input and target of the network have unit variance when lambda =
// data^2.
struct SmoothNetwork final : Predictor {
  Tensor predict(const Tensor& x, const Tensor& t) const override {
    return (x * 2).tanh() * t.reshape({-1, 1}).cos();
  }
};

TEST(NetworkDenoiser, IsItsFormulaAndSoIsItsVjp) {
  const double data = 0.5;
  const NetworkDenoiser denoiser(std::make_shared<SmoothNetwork>(), data, shape);
  const Tensor x = normal({3, 3}, 5) * 2, v = normal({3, 3}, 6),
               sigma = at::tensor({0.1, 1.0, 9.0}, at::kDouble);
  const Tensor s = sigma.reshape({3, 1}), total = (s * s + data * data).sqrt();
  const Tensor inner = 2 * x / total, c = (s.log() / 4).cos(), c_out = s * data / total;
  const Tensor skip = data * data / (total * total);
  EXPECT_LT(max_difference(denoiser.mean(x, sigma), skip * x + c_out * inner.tanh() * c), 1e-14);
  const Tensor slope = skip + c_out * c * 2 / total * (1 - inner.tanh().square());
  EXPECT_LT(max_difference(linearise(denoiser, x, sigma).vjp(v), slope * v), 1e-14);
  const Tensor single = x.to(at::kFloat);
  EXPECT_EQ(denoiser.mean(single, sigma).scalar_type(), at::kFloat);
  EXPECT_LT(max_difference(denoiser.mean(single, sigma), denoiser.mean(x, sigma)), 1e-6);
}

TEST(NetworkDenoiser, SameFromTwoThreads) {
  const NetworkDenoiser denoiser(std::make_shared<SmoothNetwork>(), 0.5, shape);
  const Tensor x = normal({64, 3}, 7), v = normal({64, 3}, 8);
  const Tensor expected = linearise(denoiser, x, 0.8).vjp(v);
  std::vector<Tensor> result(8);
  std::vector<std::thread> threads;
  for (Tensor& r : result) threads.emplace_back([&] { r = linearise(denoiser, x, 0.8).vjp(v); });
  for (auto& thread : threads) thread.join();
  for (const Tensor& r : result) EXPECT_TRUE(at::equal(r, expected));
}

struct Cut final : Predictor {
  Tensor predict(const Tensor& x, const Tensor&) const override { return x.detach(); }
};
struct Flat final : Predictor {
  Tensor predict(const Tensor& x, const Tensor&) const override { return x.sum(1); }
};

TEST(Adapter, BadNetworksAreNamed) {
  const Tensor x = normal({4, 3}, 9);
  const PredictorDenoiser cut(std::make_shared<Cut>(), Ve{}, Prediction::data, shape);
  EXPECT_NO_THROW(cut.mean(x, 1.0));
  expect_error([&] { linearise(cut, x, 1.0); }, {"denoiser", "autograd"});
  expect_error([&] { NetworkDenoiser(std::make_shared<Flat>(), 0.5, shape).mean(x, 1.0); },
               {"network", "(4,)", "(4, 3)"});
  expect_error([&] { NetworkDenoiser(std::make_shared<Flat>(), 0, shape); }, {"sigma_data", "0"});
}

}  // namespace
}  // namespace tweedie
