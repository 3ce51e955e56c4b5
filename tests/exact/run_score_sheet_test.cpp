// The yardstick of learned denoisers: nothing for the exact one, and for known errors what they add,
//   E|D - D*|^2 / E|x - D*|^2.
// The least loss below is E tr Cov[x | y], by D*'s derivative at other draws, and E|D*|^2 = E|x|^2 less that.

#include "run/score_sheet.h"
#include "tweedie/mixture_prior.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

const Tensor weights = at::tensor({0.5, 0.2, 0.3}, at::kDouble);
const Tensor means = at::tensor({-2.0, 0.0, 1.5, 1.0, 0.5, -2.0}, at::kDouble).view({3, 2});
const Tensor spreads = at::tensor({0.4, 0.8, 0.6}, at::kDouble);

MixturePrior mixture(double widened = 1) {
  return MixturePrior::isotropic(weights, means, widened * spreads);
}
double second_moment() {
  return (weights * (means.square().sum(1) + 2 * spreads.square())).sum().item<double>();
}

// scale D* + shift in each of both coordinates
class Erring final : public Denoiser {
 public:
  Erring(double scale, double shift) : scale_(scale), shift_(shift) {}
  Shape shape() const override { return {2}; }

 protected:
  Tensor do_mean(const Tensor& x, const Tensor& sigma) const override {
    return scale_ * law_.mean(x, sigma.expand({x.size(0), 1}).flatten()) + shift_;
  }

 private:
  MixturePrior law_ = mixture();
  double scale_, shift_;
};

constexpr int64_t n = 20'000;
const std::vector<double> sigmas{0.3, 1, 3};

std::vector<double> excess(const Denoiser& learned) {
  Noise truth(1);
  const Tensor x = mixture().sample(n, truth, at::kFloat);
  return excess_denoising_loss(learned, mixture(), x, sigmas, Noise(2));
}

// E|x - D*|^2, and the standard errors, over their means, of n draws of what it and E|D*|^2 are estimated by
struct Least {
  double loss, error_of_loss, error_of_square;
};
Least least(double sigma) {
  Noise truth(3), noise(4);
  const MixturePrior law = mixture();
  const Tensor x = law.sample(n, truth), y = x + sigma * noise.normal_like(x);
  const Linearised at_y = linearise(law, y, sigma);
  Tensor divergence = at::zeros({n}, at::kDouble);
  for (int64_t i = 0; i < 2; ++i) {
    const Tensor along = at::zeros({n, 2}, at::kDouble);
    along.select(1, i).fill_(1);
    divergence += at_y.vjp(along).select(1, i);
  }
  const auto relative_error = [](const Tensor& of) {
    return (of.std() / of.mean()).item<double>() / std::sqrt(static_cast<double>(n));
  };
  const Tensor trace = sigma * sigma * divergence;
  return {trace.mean().item<double>(),
          std::hypot(relative_error(trace), relative_error((x - at_y.mean).square().sum(1))),
          relative_error(at_y.mean.square().sum(1))};
}

TEST(ExcessLoss, IsNothingForTheExactDenoiserAlone) {
  for (const double value : excess(mixture())) EXPECT_LT(value, 1e-8);  // rounding to float32, squared
  for (const double value : excess(mixture(1.1))) EXPECT_GT(value, 1e-5);
}

TEST(ExcessLoss, OfAShiftIsItsSquareOverTheLeastLoss) {
  constexpr double shift = 1.5;
  const std::vector<double> ours = excess(Erring(1, shift));
  ASSERT_EQ(ours.size(), sigmas.size());
  for (size_t i = 0; i < sigmas.size(); ++i) {
    const Least known = least(sigmas[i]);
    const double exact = 2 * shift * shift / known.loss, tolerance = 4.5 * known.error_of_loss * exact;
    EXPECT_NEAR(ours[i], exact, tolerance);
    // over its own loss; over that of no denoiser; of the next level
    EXPECT_GT(std::abs(ours[i] / (1 + ours[i]) - exact), tolerance);
    EXPECT_GT(std::abs(2 * shift * shift / second_moment() - exact), tolerance);
    EXPECT_GT(std::abs(ours[(i + 1) % ours.size()] - exact), tolerance);
  }
}

TEST(ExcessLoss, OfAScaleIsThatOfTheDenoisersSquare) {
  constexpr double scale = 1.5;
  const std::vector<double> ours = excess(Erring(scale, 0));
  for (size_t i = 0; i < sigmas.size(); ++i) {
    const Least known = least(sigmas[i]);
    const double square = second_moment() - known.loss,
                 exact = (scale - 1) * (scale - 1) * square / known.loss;
    // The least loss is in both parts of exact, so that its error counts |x|^2 / |D*|^2 times.
    const double error = known.error_of_square + known.error_of_loss * second_moment() / square;
    EXPECT_NEAR(ours[i], exact, 4.5 * error * exact);
    EXPECT_GT(std::abs(ours[i] + 1 - exact), 4.5 * error * exact);  // E|D - x|^2 over the least loss
  }
}

}  // namespace
}  // namespace tweedie
