#include "tweedie/diffusion.h"
#include "tweedie/heun.h"
#include "tweedie/latent_diffusion.h"
#include "tweedie/train.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

const VaeOptions linear{.architecture = VaeOptions::Architecture::linear, .latent = 2};
const int64_t steps = 64;

// Encoder and decoder with random weights
std::shared_ptr<const TrainedVae> first_stage() {
  const DataScale scale{1, 2};
  return std::make_shared<TrainedVae>(linear, Shape{4}, scale,
                                      Vae(linear, {4}, scale).initialise(Noise(1), {}));
}

LatentDiffusion sampler_of(const LatentSpace& space, LatentDiffusion::Denoisers denoisers,
                           int64_t classes = 0) {
  return {space, std::move(denoisers), std::make_shared<Heun>(HeunOptions{}, steps),
          make_schedule(Karras{.sigma_min = 0.01, .sigma_max = 40}, steps), classes};
}

TEST(LatentSpace, IsStandardised) {
  const Tensor x = normal({3000, 4}, 2, at::kFloat) * 3 + 1;
  const LatentSpace space = LatentSpace::measure(first_stage(), x);
  const Tensor z = space.encode(x);
  EXPECT_EQ(z.sizes(), (at::IntArrayRef{3000, 2}));
  EXPECT_NEAR(z.mean().item<double>(), 0, 1e-4);
  EXPECT_NEAR(z.std(false).item<double>(), 1, 1e-4);
  EXPECT_LT(max_difference(space.decode(z), first_stage()->decode(first_stage()->encode(x))), 1e-4);
}

// Gaussian latents and an affine decoder: draws are Gaussian, with moments that are known. Heun's own error
// at 64 steps is below the Monte Carlo one.
TEST(LatentDiffusion, DrawsAreDecodedLatents) {
  const int64_t n = 4000;
  const DataScale scale{0.7, 0.4};
  const Tensor mean = at::tensor({0.5, -0.5}, at::kDouble), covariance = random_covariance(2, 3);
  const auto prior = std::make_shared<GaussianPrior>(GaussianPrior::full(mean, covariance));
  const auto z_score = [&](const LatentSpace& space) {
    const Tensor x =
        sampler_of(space, [&](const Tensor&) { return prior; }).sample(n, Noise(4)).to(at::kDouble);
    // Through the decoder, which is affine: its value at 0 and its columns
    const auto decoded = [](const Tensor& z) { return first_stage()->decode(z * 0.4 + 0.7).to(at::kDouble); };
    const Tensor zero = decoded(at::zeros({1, 2}, at::kDouble)),
                 columns = decoded(at::eye(2, at::kDouble)) - zero;
    const Tensor expected = zero + at::matmul(mean, columns);
    const Tensor spread = at::matmul(columns.t(), at::matmul(covariance, columns)).diag();
    const Tensor variance = (x - expected).square().mean(0);
    return std::max(((x.mean(0) - expected) / (spread / n).sqrt()).abs().max().item<double>(),
                    ((variance - spread) / (spread * std::sqrt(2.0 / n))).abs().max().item<double>());
  };
  EXPECT_LT(z_score({first_stage(), scale}), 4.5);
  EXPECT_GT(z_score({first_stage(), {0.7, 0.5}}), 8);
}

TEST(LatentDiffusion, DoesNotDependOnThreads) {
  const auto prior = std::make_shared<GaussianPrior>(
      GaussianPrior::diagonal(at::zeros({2}, at::kDouble), at::ones({2}, at::kDouble)));
  const LatentDiffusion model = sampler_of({first_stage(), {}}, [&](const Tensor&) { return prior; });
  const Tensor x = model.sample(600, Noise(1), 1);
  EXPECT_TRUE(at::equal(x, model.sample(600, Noise(1), 2)));
  EXPECT_TRUE(at::equal(x.slice(0, 0, 300), model.sample(300, Noise(1), 2)));
  EXPECT_FALSE(model.likelihood().has_value());
}

// All mass of class k at z = (k, k)
class PointMass final : public Denoiser {
 public:
  explicit PointMass(Tensor labels) : labels_(std::move(labels)) {}
  Shape shape() const override { return {2}; }

 protected:
  Tensor do_mean(const Tensor& x, const Tensor&) const override {
    return labels_.defined() ? labels_.to(x.scalar_type()).unsqueeze(1).expand_as(x) : at::zeros_like(x);
  }

 private:
  Tensor labels_;
};

TEST(LatentDiffusion, TakesLabels) {
  const LatentSpace space(first_stage(), {});
  const LatentDiffusion model = sampler_of(
      space, [](const Tensor& labels) { return std::make_shared<PointMass>(labels); }, 3);
  const Tensor labels = at::tensor({2, 0, 1}, at::kLong);
  const Tensor z = labels.to(at::kFloat).unsqueeze(1).expand({3, 2});
  EXPECT_LT(max_difference(model.sample(3, Noise(1), 1, labels), space.decode(z)), 1e-5);
  EXPECT_LT(max_difference(model.sample(3, Noise(1)), space.decode(at::zeros({3, 2}))), 1e-5);
  expect_error([&] { model.sample(1, Noise(1), 1, at::full({1}, 3, at::kLong)); }, {"labels", "3"});
}

// The whole way: two clusters in 4 dimensions, latents of a feature map or a vector, draws near a cluster
TEST(LatentDiffusion, LearnsTwoClusters) {
  const int64_t n = 2000;
  Noise noise(1);
  const Tensor side = (noise.uniform({n, 1}, at::kFloat) < 0.5).to(at::kFloat) * 2 - 1;
  const Tensor centre = at::tensor({2.F, -2.F, 1.F, 0.F});
  const Tensor x = side * centre + 0.2 * noise.normal({n, 4}, at::kFloat);
  TrainOptions options;
  options.steps = 300;
  options.learning_rate = 1e-2;
  options.warmup_steps = 10;
  const DataScale scale = data_scale(x);
  VaeOptions one = linear;
  one.latent = 1;
  Trainer first(std::make_shared<Vae>(one, Shape{4}, scale), x, {}, options, 1, 1);
  first.run({});
  const LatentSpace space =
      LatentSpace::measure(std::make_shared<TrainedVae>(one, Shape{4}, scale, first.result()), x);
  const auto diffusion = std::make_shared<DiffusionModel>(
      make_network(MlpOptions{.width = 32, .depth = 2}, space.shape()), EdmObjective{}, 1.0);
  Trainer second(diffusion, space.encode(x), {}, options, 1, 1);
  second.run({});
  const Tensor draws = sampler_of(space, [&](const Tensor&) {
                         return diffusion->denoiser(second.result());
                       }).sample(500, Noise(2));
  const Tensor nearest = at::minimum((draws - centre).norm(2, 1), (draws + centre).norm(2, 1));
  EXPECT_GT((nearest < 1).to(at::kFloat).mean().item<double>(), 0.9);
  // A Gaussian in their place has draws between the clusters.
  const auto gaussian = std::make_shared<GaussianPrior>(
      GaussianPrior::diagonal(at::zeros({1}, at::kDouble), at::ones({1}, at::kDouble)));
  const Tensor blurred = sampler_of(space, [&](const Tensor&) { return gaussian; }).sample(500, Noise(2));
  const Tensor from = at::minimum((blurred - centre).norm(2, 1), (blurred + centre).norm(2, 1));
  EXPECT_LT((from < 1).to(at::kFloat).mean().item<double>(), 0.6);
}

TEST(LatentDiffusion, BadInputIsNamed) {
  const LatentSpace space(first_stage(), {});
  const auto wide = std::make_shared<GaussianPrior>(
      GaussianPrior::diagonal(at::zeros({3}, at::kDouble), at::ones({3}, at::kDouble)));
  expect_error([&] { sampler_of(space, [&](const Tensor&) { return wide; }); }, {"model", "(3,)", "(2,)"});
  expect_error([] { LatentSpace(first_stage(), {0, 0}); }, {"scale", "std 0"});
}

}  // namespace
}  // namespace tweedie
