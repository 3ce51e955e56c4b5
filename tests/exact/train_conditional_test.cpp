// What conditional training learns: whose labels the network is shown, and a denoiser of each class and of
// all.
//
// Two classes on a line at one noise level. A network that is linear in x, with numbers of its own for each
// class and for none, holds the exact denoiser of a class, m + V / (V + 1) (y - m), and the best affine one
// of both together.

#include "tweedie/diffusion.h"
#include "tweedie/train.h"

#include "check_tensor.h"

#include <torch/csrc/autograd/autograd.h>

#include <cmath>

namespace tweedie {
namespace {

constexpr int64_t none = 2;  // what stands for no label

// F(x) = a_c x + b_c, whatever the noise level
class LinearOfClass : public Network {
 public:
  Shape shape() const override { return {1}; }
  int64_t classes() const override { return 2; }
  Weights initialise(Noise) const override {
    Weights weights;
    weights.add("w", at::zeros({3, 2}));
    return weights;
  }
  Tensor forward(const Weights& weights, const Tensor& x, const Tensor&,
                 const Tensor& labels) const override {
    const Tensor c = labels.defined() ? labels : at::full({1}, none, at::kLong);
    const Tensor w = weights["w"].index_select(0, c).to(x.scalar_type());
    return w.slice(1, 0, 1) * x + w.slice(1, 1, 2);
  }
  double flops() const override { return 0; }
};

// It remembers what it was shown.
class Witness final : public LinearOfClass {
 public:
  Tensor forward(const Weights& weights, const Tensor& x, const Tensor& c_noise,
                 const Tensor& labels) const override {
    shown = labels;
    log_sigma = 4 * c_noise;
    return LinearOfClass::forward(weights, x, c_noise, labels);
  }
  mutable Tensor shown, log_sigma;
};

constexpr int64_t n = 20'000;
constexpr double never = 1e-9, always = 1 - 1e-9;  // as good as: 1e-9 is below the numbers of n rows

Tensor alternating() {
  return at::arange(n, at::kLong).remainder(2);
}
std::shared_ptr<Witness> witness_of(double dropout, const Tensor& labels, std::optional<double> level = {}) {
  auto witness = std::make_shared<Witness>();
  const DiffusionModel model(witness, EdmObjective{}, 1, dropout);
  Noise noise(3);
  const Batch batch{.x = normal({n, 1}, 2, at::kFloat), .labels = labels, .level = level};
  model.bind(model.initialise(Noise(1), {}), at::kFloat)(batch, noise);
  return witness;
}

// Hidden labels are a binomial number, and those of rows at any noise level.
TEST(LabelDropout, HidesItsShareOfTheLabels) {
  for (const double dropout : {0.1, 0.3}) {
    const auto witness = witness_of(dropout, alternating());
    const Tensor hidden = witness->shown.eq(none), log_sigma = witness->log_sigma.to(at::kDouble);
    EXPECT_TRUE(witness->shown.eq(alternating()).logical_or(hidden).all().item<bool>());
    const auto share_z = [&](const Tensor& rows) {
      const double share = rows.to(at::kDouble).mean().item<double>();
      return std::abs(share - dropout) / std::sqrt(dropout * (1 - dropout) / n);
    };
    EXPECT_LT(share_z(hidden), 4.5);
    EXPECT_GT(share_z(hidden.logical_not()), 4.5);  // the others' labels hidden
    // ln sigma ~ N(-1.2, 1.2^2), the rows' labels 0 or 1 with mean and standard deviation 1/2
    const auto mean_z = [&](const Tensor& values, const Tensor& rows, double mean, double std) {
      const Tensor chosen = values.to(at::kDouble).masked_select(rows);
      const double error = std / std::sqrt(static_cast<double>(chosen.numel()));
      return std::abs(chosen.mean().item<double>() - mean) / error;
    };
    EXPECT_LT(mean_z(log_sigma, hidden, -1.2, 1.2), 4.5);
    EXPECT_LT(mean_z(alternating(), hidden, 0.5, 0.5), 4.5);
    // hidden by the number that the noise level is made of; only of one class
    const Tensor lowest = log_sigma < log_sigma.quantile(dropout);
    EXPECT_LT(share_z(lowest), 4.5);
    EXPECT_GT(mean_z(log_sigma, lowest, -1.2, 1.2), 4.5);
    EXPECT_GT(mean_z(alternating(), alternating().eq(1), 0.5, 0.5), 4.5);
  }
}

TEST(LabelDropout, HidesAllOrNoneAtItsEnds) {
  const Tensor labels = alternating(), hidden = at::full({n}, none, at::kLong);
  EXPECT_TRUE(witness_of(never, labels)->shown.equal(labels));
  EXPECT_TRUE(witness_of(always, labels)->shown.equal(hidden));
  // Losses at one level are of what a label is worth: none is hidden. Without labels there are none.
  EXPECT_TRUE(witness_of(always, labels, /*level=*/0.5)->shown.equal(labels));
  EXPECT_FALSE(witness_of(never, Tensor())->shown.defined());
}

TEST(LabelDropout, LossDependsOnLabelsThatAreShown) {
  Weights weights;
  weights.add("w", normal({3, 2}, 4, at::kFloat));
  const auto loss = [&](double dropout, const Tensor& labels) {
    const DiffusionModel model(std::make_shared<LinearOfClass>(), EdmObjective{}, 1, dropout);
    Noise noise(3);
    return model.bind(weights, at::kFloat)({.x = normal({n, 1}, 2, at::kFloat), .labels = labels}, noise)
        .item<double>();
  };
  EXPECT_EQ(loss(always, alternating()), loss(always, 1 - alternating()));
  EXPECT_NE(loss(never, alternating()), loss(never, 1 - alternating()));
}

// Classes N(-2, 1/4) and N(1, 1), with shares of 0.3 and 0.7
struct Rows {
  Tensor x, labels;  // (rows, 1) float32, (rows)
};
Rows two_classes(int64_t rows) {
  const Tensor second = Noise(5).uniform({rows}, at::kDouble) < 0.7, z = normal({rows}, 6);
  return {at::where(second, 1 + z, z / 2 - 2).unsqueeze(1).to(at::kFloat), second.to(at::kLong)};
}

// y of a class or of all, with noise of standard deviation 1, and the regression of x on it
struct Line {
  double slope, intercept;
};
struct Law {
  double mean, variance;                                        // of x
  double reduced() const { return variance / (variance + 1); }  // E Var[x | y], and the slope
  Line denoiser() const { return {reduced(), (1 - reduced()) * mean}; }
  double mean_square(const Line& line) const {  // E (slope y + intercept)^2
    const double middle = line.slope * mean + line.intercept;
    return middle * middle + line.slope * line.slope * (variance + 1);
  }
  double distance(const Line& a, const Line& b) const {
    return mean_square({a.slope - b.slope, a.intercept - b.intercept});
  }
};
const std::vector<Law> laws{{-2, 0.25}, {1, 1}, {0.1, 0.3 * 0.25 + 0.7 + 0.3 * 0.7 * 9}};  // of class, of all

const DiffusionModel model(std::make_shared<LinearOfClass>(), EdmObjective{.p_mean = 0, .p_std = 0}, 1);

Line line_of(const Weights& weights, int64_t c) {
  const Tensor y = at::tensor({0.0, 1.0}, at::kDouble).view({2, 1});
  const Tensor x = model.denoiser(weights, c == none ? Tensor() : at::full({1}, c, at::kLong))->mean(y, 1.0);
  return {(x[1] - x[0]).item<double>(), x[0].item<double>()};
}

// The loss is a quadratic of the six weights. Where its gradient vanishes each class has the regression over
// its rows, and none has that over the rows whose label is hidden: slope and mean are uncertain by
// sqrt(E Var[x | y] / (rows Var y)) and sqrt(E Var[x | y] / rows), which add up to 2 E Var[x | y] / rows in
// E |D - D*|^2; the residuals of none, which depend on y, are given twice that.
TEST(ConditionalTraining, MinimiserIsTheDenoiserOfEachClass) {
  const Rows rows = two_classes(n);
  const auto gradient = [&](const Tensor& w) {
    const at::AutoGradMode gradients(true);
    const Tensor leaf = w.view({3, 2}).clone().requires_grad_();
    Weights weights;
    weights.add("w", leaf);
    Noise noise(7);
    const Tensor loss =
        model.bind(weights, at::kDouble)({.x = rows.x.to(at::kDouble), .labels = rows.labels}, noise);
    return torch::autograd::grad({loss}, {leaf})[0].flatten();
  };
  const Tensor at_zero = gradient(at::zeros({6}, at::kDouble));
  std::vector<Tensor> columns;
  for (int64_t i = 0; i < 6; ++i) columns.push_back(gradient(at::eye(6, at::kDouble)[i]) - at_zero);
  Weights best;
  best.add("w", at::linalg_solve(at::stack(columns, 1), -at_zero).view({3, 2}));

  const std::vector<double> share{0.9 * 0.3, 0.9 * 0.7, 0.1 / 2};
  for (int64_t c = 0; c < 3; ++c) {
    // |z|^2 of two numbers is beyond 20 as rarely as a |z| beyond 4.1
    const double error = 20 * laws[c].reduced() / (share[c] * n);
    EXPECT_LT(laws[c].distance(line_of(best, c), laws[c].denoiser()), error) << c;
    for (int64_t other = 0; other < 3; ++other) {
      if (other != c) EXPECT_GT(laws[c].distance(line_of(best, other), laws[c].denoiser()), 10 * error) << c;
    }
  }
}

// Within a twentieth of what the label is worth, which is what a network that ignores it misses
TEST(ConditionalTraining, TrainerReachesIt) {
  const Rows rows = two_classes(2000);
  TrainOptions options;
  options.steps = 400;
  options.learning_rate = 0.05;
  options.warmup_steps = 10;
  options.precision = Precision::f32;
  const auto trained = [&](const Tensor& labels) {
    Trainer trainer(std::make_shared<DiffusionModel>(model), rows.x, labels, options, 1, 1);
    EXPECT_TRUE(trainer.run({}));
    return trainer.result().clone();
  };
  const Weights right = trained(rows.labels), misplaced = trained(rows.labels.roll(1));
  const auto missed = [&](int64_t c, const Weights& weights, int64_t asked) {
    const double worth = laws[c].distance(laws[none].denoiser(), laws[c].denoiser());
    return laws[c].distance(line_of(weights, asked), laws[c].denoiser()) / worth;
  };
  for (int64_t c = 0; c < 2; ++c) {
    EXPECT_LT(missed(c, right, c), 0.05);
    EXPECT_GT(missed(c, right, 1 - c), 0.5);  // the other's label
    EXPECT_GT(missed(c, right, none), 0.5);   // no label
    EXPECT_GT(missed(c, misplaced, c), 0.5);  // learned from the labels of other rows
  }
  EXPECT_LT(laws[none].distance(line_of(right, none), laws[none].denoiser()), 0.05 * laws[none].variance);
}

}  // namespace
}  // namespace tweedie
