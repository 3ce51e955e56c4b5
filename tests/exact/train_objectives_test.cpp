// Score-based objectives against closed forms. A model that is linear in its weights makes each objective a
// quadratic, whose minimiser two evaluations of its gradient more than there are weights give exactly.

#include "core/assignment.h"
#include "train/denoising.h"
#include "tweedie/diffusion.h"
#include "tweedie/transport.h"

#include "check_tensor.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tweedie {
namespace {

// F(x) = A x + b, whatever the noise level
class LinearNetwork final : public Network {
 public:
  explicit LinearNetwork(int64_t d) : d_(d) {}
  Shape shape() const override { return {d_}; }
  Weights initialise(Noise) const override {
    Weights weights;
    weights.add("w", at::zeros({d_ * d_ + d_}));
    return weights;
  }
  Tensor forward(const Weights& weights, const Tensor& x, const Tensor&, const Tensor&) const override {
    const Tensor& w = weights["w"];
    const Tensor a = w.slice(0, 0, d_ * d_).view({d_, d_}).to(x.scalar_type());
    return x.matmul(a.t()) + w.slice(0, d_ * d_).to(x.scalar_type());
  }
  double flops() const override { return 0; }

 private:
  int64_t d_;
};

constexpr int64_t n = 4000, d = 2;
constexpr double level = 0.4, data_std = 1.3;

Tensor data() {
  return normal({n, d}, 1).matmul(at::tensor({1.5, 0.4, 0.0, 0.7}).view({2, 2}).to(at::kDouble)) + 0.3;
}

DiffusionModel model(const Objective& objective) {
  return DiffusionModel(std::make_shared<LinearNetwork>(d), objective, data_std);
}

// Weights where the gradient of the loss over all rows vanishes, (d d + d) float64; at one level if asked
Tensor minimiser(const Objective& objective, std::optional<double> only = {}) {
  const DiffusionModel m = model(objective);
  const auto gradient = [&](const Tensor& w) {
    const at::AutoGradMode gradients(true);
    const Tensor leaf = w.detach().clone().requires_grad_();
    Weights weights;
    weights.add("w", leaf);
    Noise noise(7);
    const Tensor loss = m.bind(weights, at::kDouble)({.x = data(), .level = only}, noise);
    return torch::autograd::grad({loss}, {leaf})[0];
  };
  const int64_t count = d * d + d;
  const Tensor at_zero = gradient(at::zeros({count}, at::kDouble));
  std::vector<Tensor> columns;
  for (int64_t i = 0; i < count; ++i) columns.push_back(gradient(at::eye(count, at::kDouble)[i]) - at_zero);
  return at::linalg_solve(at::stack(columns, 1), -at_zero);
}

// s(y) = M y + c of the weights, with the network's own scaling
struct Affine {
  Tensor m, c;
};
Affine score_of(const Objective& objective, const Tensor& w) {
  Weights weights;
  weights.add("w", w);
  const auto denoiser = model(objective).denoiser(weights);
  const Tensor points = at::cat({at::zeros({1, d}, at::kDouble), at::eye(d, at::kDouble)});
  const Tensor s = (denoiser->mean(points, level) - points) / (level * level);
  return {(s.slice(0, 1) - s[0]).t(), s[0]};
}

// What the losses see: their first numbers are the level's, then the noise
struct Seen {
  Tensor n, y;
};
Seen seen() {
  Noise noise(7);
  noise.uniform({n, 1}, at::kFloat);
  const Tensor z = noise.normal({n, d}, at::kDouble);
  return {z, data() + level * z};
}

Tensor covariance(const Tensor& y) {
  const Tensor centred = y - y.mean(0);
  return centred.t().matmul(centred) / n;
}

const double ln_level = std::log(level);

// Over all affine s the sample's own sum of |s|^2 + 2 tr ds/dy is least at s = -C^{-1} (y - mean), C and mean
// those of the sample of y.
TEST(ImplicitScoreMatching, LinearMinimiserIsTheInverseCovariance) {
  const Objective ism = IsmObjective{.p_mean = ln_level, .p_std = 0};
  const Affine s = score_of(ism, minimiser(ism));
  const Tensor y = seen().y, precision = at::linalg_inv(covariance(y));
  EXPECT_LT(max_difference(s.m, -precision), 1e-6);
  EXPECT_LT(max_difference(s.c, precision.matmul(y.mean(0))), 1e-6);
  // The inverse of the clean data's covariance is another matrix.
  EXPECT_GT(max_difference(s.m, -at::linalg_inv(covariance(data()))), 0.05);
}

// Its value there: sigma^2 (tr C^{-1} - 2 tr C^{-1}) for each row
TEST(ImplicitScoreMatching, ValueAtTheMinimiser) {
  const Objective ism = IsmObjective{.p_mean = ln_level, .p_std = 0};
  Weights weights;
  weights.add("w", minimiser(ism));
  Noise noise(7);
  const double value = model(ism).bind(weights, at::kDouble)({.x = data()}, noise).item<double>() / n;
  const double trace = at::linalg_inv(covariance(seen().y)).trace().item<double>();
  EXPECT_NEAR(value, -level * level * trace, 1e-6);
}

// v^T M v of a symmetric M has variance 2 sum_{i != j} M_ij^2 for signs: the average over rows differs from
// the trace by its standard error at most a few times, and the minimiser by as much of its own size.
TEST(SlicedScoreMatching, BothFormsApproachTheImplicitMinimiser) {
  const Objective ism = IsmObjective{.p_mean = ln_level, .p_std = 0};
  const Affine exact = score_of(ism, minimiser(ism));
  for (const auto direction : {SsmObjective::Direction::rademacher, SsmObjective::Direction::gaussian,
                               SsmObjective::Direction::sphere}) {
    for (const bool reduced : {true, false}) {
      const Objective ssm = SsmObjective{.direction = direction,
                                         .projections = 8,
                                         .variance_reduced = reduced,
                                         .p_mean = ln_level,
                                         .p_std = 0};
      const Affine s = score_of(ssm, minimiser(ssm));
      // 8 n directions; the relative error of E v v^T is at most sqrt(2 / (8 n)) = 0.8% for each entry
      EXPECT_LT(max_difference(s.m, exact.m) / exact.m.abs().max().item<double>(), 4.5 * 0.008);
    }
  }
  // With half the weight on |s|^2 the minimiser would be twice that, which even one direction tells apart.
  const Objective one =
      SsmObjective{.projections = 1, .variance_reduced = true, .p_mean = ln_level, .p_std = 0};
  EXPECT_GT(max_difference(score_of(one, minimiser(one)).m, 2 * exact.m), 0.3);
}

// Every regression has the least-squares fit of x on y as its minimiser, whatever the network computes and
// the weight at one level: D(y) = mean_x + B^T (y - mean_y), B = Cov(y)^{-1} Cov(y, x).
TEST(Denoising, LinearMinimiserIsTheRegressionForEveryObjective) {
  const Tensor x = data(), y = seen().y;
  const Tensor yc = y - y.mean(0), xc = x - x.mean(0);
  const Tensor b = at::linalg_solve(yc.t().matmul(yc), yc.t().matmul(xc));
  const Tensor intercept = x.mean(0) - b.t().matmul(y.mean(0));
  const auto error = [&](const Affine& s) {
    const Tensor slope = level * level * s.m + at::eye(d, at::kDouble);
    return std::max(max_difference(slope, b.t()), max_difference(level * level * s.c, intercept));
  };
  const std::vector<Objective> of_one_level{
      DsmObjective{.sigma = level}, EdmObjective{.p_mean = ln_level, .p_std = 0},
      EdmObjective{.p_mean = ln_level, .p_std = 0, .weighting = Weighting::min_snr},
      NcsnObjective{.sigma_min = level, .sigma_max = level},
      NcsnObjective{.sigma_min = level, .sigma_max = level, .levels = 1, .weighting = Weighting::data}};
  for (const Objective& objective : of_one_level)
    EXPECT_LT(error(score_of(objective, minimiser(objective))), 2e-6) << objective.index();
  using Prediction = DdpmObjective::Prediction;
  const std::vector<Objective> of_many{DdpmObjective{}, DdpmObjective{.prediction = Prediction::data},
                                       DdpmObjective{.prediction = Prediction::velocity},
                                       FlowMatchingObjective{.weighting = Weighting::edm}};
  for (const Objective& trained : of_many) {
    for (const Objective& read : of_many) {  // weights of one output are no denoiser of another
      const double e = error(score_of(read, minimiser(trained, level)));
      const bool same = network_output(read) == network_output(trained);
      EXPECT_TRUE(same ? e < 2e-6 : e > 0.05) << e << " of " << trained.index() << " as " << read.index();
    }
  }
}

// F of each kind of output says the same D: the table of predictor.h against its definitions.
TEST(NetworkOutput, EachIsItsDefinition) {
  const Tensor x0 = normal({64, 3}, 2), z = normal({64, 3}, 3);
  const Tensor sigma = normal({64, 1}, 4).exp();
  const Tensor y = x0 + sigma * z, s = sigma / data_std, alpha = (1 + s.square()).rsqrt();
  const auto denoised = [&](NetworkOutput output, const Tensor& f) {
    const auto scaling = network_scaling(output, sigma, data_std);
    return scaling.c_skip * y + scaling.c_out * f;
  };
  EXPECT_LT(max_difference(denoised(NetworkOutput::noise, z), x0), 1e-12);
  EXPECT_LT(max_difference(denoised(NetworkOutput::data, x0 / data_std), x0), 1e-12);
  EXPECT_LT(max_difference(denoised(NetworkOutput::velocity, alpha * z - alpha * s * x0 / data_std), x0),
            1e-12);
  EXPECT_LT(max_difference(denoised(NetworkOutput::flow, z - x0 / data_std), x0), 1e-12);
  // and the network's input is x_t of its path
  const auto input = [&](NetworkOutput output) { return network_scaling(output, sigma, data_std).c_in * y; };
  EXPECT_LT(max_difference(input(NetworkOutput::noise), alpha * (x0 / data_std + s * z)), 1e-12);
  const Tensor t = s / (1 + s);
  EXPECT_LT(max_difference(input(NetworkOutput::flow), (1 - t) * x0 / data_std + t * z), 1e-12);
}

// What training on the CPU has in one pass, in float32, against the tensors' formulas in float64
TEST(Denoising, RowsInOnePassAreTheFormulas) {
  const LinearNetwork network(3);
  const Weights weights = network.initialise(Noise(1));
  const Network::Bound bound;
  const DiffusionTask task{network, weights, bound, data_std, {}};
  const Tensor x = normal({50, 3}, 1, at::kFloat), sigma = normal({50, 1}, 2, at::kFloat).exp(),
               n = normal({50, 3}, 3, at::kFloat);
  const auto fields = [&](NetworkOutput output, at::ScalarType dtype) {
    const NoisyRows rows = noisy_rows(task, output, x.to(dtype), sigma.to(dtype), n.to(dtype));
    const auto& [c_skip, c_out, c_in, c_noise] = rows.scaling;
    return std::vector<Tensor>{rows.y, rows.input, rows.target, c_skip, c_out, c_in, c_noise};
  };
  const auto equal = [](const std::vector<Tensor>& ours, const std::vector<Tensor>& truth) {
    const auto near = [](const Tensor& a, const Tensor& b) {
      return a.sizes() == b.sizes() && at::allclose(a.to(at::kDouble), b, /*rtol=*/1e-6, /*atol=*/1e-9);
    };
    return std::equal(ours.begin(), ours.end(), truth.begin(), near);
  };
  const std::vector<NetworkOutput> outputs{NetworkOutput::edm, NetworkOutput::noise, NetworkOutput::data,
                                           NetworkOutput::velocity, NetworkOutput::flow};
  for (const NetworkOutput ours : outputs) {
    for (const NetworkOutput truth : outputs)
      EXPECT_EQ(equal(fields(ours, at::kFloat), fields(truth, at::kDouble)), ours == truth);
  }
}

// A zero network's loss is that of predicting 0 for the target. n sums of d squares of N(0, 1) for noise.
TEST(Denoising, NaturalLossOfAZeroNetwork) {
  const auto per_row = [&](const Objective& objective) {
    const DiffusionModel m = model(objective);
    Noise noise(3);
    return m.bind(m.initialise(Noise(1), {}), at::kFloat)({.x = data().to(at::kFloat)}, noise)
               .item<double>() /
           n;
  };
  const double error = 4.5 * std::sqrt(2.0 * d / n);
  EXPECT_NEAR(per_row(DdpmObjective{}), d, error);
  EXPECT_NEAR(per_row(NcsnObjective{}), d, error);
  const double squares = (data() / data_std).square().sum(1).mean().item<double>();
  // n - x / sigma_data; the two parts are independent: variance below 2 d + Var|x|^2 + 4 |x|^2
  EXPECT_NEAR(per_row(FlowMatchingObjective{}), d + squares, 4.5 * std::sqrt(40.0 / n));
  EXPECT_NEAR(per_row(DdpmObjective{.prediction = DdpmObjective::Prediction::data}), squares, 1e-3 * squares);
}

// The levels of each objective at a grid of probabilities
TEST(Levels, AreThePapers) {
  const Tensor u = at::tensor({0.05, 0.5, 0.95}, at::kDouble);
  const auto near = [](const Tensor& a, std::vector<double> b) {
    for (size_t i = 0; i < b.size(); ++i)
      EXPECT_NEAR(a[static_cast<int64_t>(i)].item<double>() / b[i], 1, 1e-4);
  };
  near(level_quantile(EdmObjective{}, 1, u),
       {std::exp(-1.2 - 1.2 * 1.6448536), std::exp(-1.2), std::exp(-1.2 + 1.2 * 1.6448536)});
  near(level_quantile(NcsnObjective{.sigma_min = 0.01, .sigma_max = 1, .levels = 3}, 1, u), {0.01, 0.1, 1});
  near(level_quantile(NcsnObjective{.sigma_min = 0.01, .sigma_max = 1}, 1, u),
       {0.01 * std::pow(100, 0.05), 0.1, 0.01 * std::pow(100, 0.95)});
  near(level_quantile(FlowMatchingObjective{}, 2, u), {2 * 0.05 / 0.95, 2, 2 * 0.95 / 0.05});
  // alpha-bar_t at t = 50.5, 500.5, 950.5 of the linear path with T = 1000, by its definition and with ln
  // sigma linear between steps; with a learned variance at the steps 51, 501, 951
  std::vector<double> between, steps;
  double a = 1, before = 0;
  for (int64_t t = 1; t <= 951; ++t) {
    a *= 1 - (1e-4 + (0.02 - 1e-4) * static_cast<double>(t - 1) / 999);
    const double level = 3 * std::sqrt((1 - a) / a);
    if (t == 51 || t == 501 || t == 951) {
      steps.push_back(level);
      between.push_back(std::sqrt(before * level));
    }
    before = level;
  }
  near(level_quantile(DdpmObjective{}, 3, u), between);
  near(level_quantile(DdpmObjective{.learn_variance = true}, 3, u), steps);
}

// u in float32 as near to 0 as it comes has a finite quantile still, that of float64.
TEST(Levels, AreFiniteForTheRarestNumbers) {
  const Tensor u = at::tensor({0x1p-32, 0x1p-26, 0.5}, at::kFloat);
  const Tensor z = normal_quantile(u);
  EXPECT_NEAR(z[0].item<double>(), -6.2295, 1e-3);
  EXPECT_NEAR(z[1].item<double>(), -5.5422, 2e-3);
  EXPECT_TRUE(level_quantile(EdmObjective{}, 1, u).gt(0).all().item<bool>());
}

// Nichol and Dhariwal's L_t in the paper's own notation, for a network that says 0: noise 0, and a variance
// half-way between beta-tilde and beta in logarithms. The path is on x / sigma_data.
TEST(LearnedVariance, LossIsThePapers) {
  class Zero final : public Network {
   public:
    Shape shape() const override { return {2}; }
    int64_t outputs() const override { return 2; }
    Weights initialise(Noise) const override {
      Weights weights;
      weights.add("w", at::zeros({1}));
      return weights;
    }
    Tensor forward(const Weights&, const Tensor& x, const Tensor&, const Tensor&) const override {
      return at::zeros({x.size(0), 4}, x.options());
    }
    double flops() const override { return 0; }
  };
  constexpr int64_t rows = 200, steps = 4;
  const VpLinear path{.beta_start = 0.05, .beta_end = 0.4, .train_steps = steps};
  const auto loss = [&](double sigma_data, double of_data) {
    const DiffusionModel model(std::make_shared<Zero>(), DdpmObjective{.path = path, .learn_variance = true},
                               sigma_data);
    Noise noise(6);
    return model
        .bind(model.initialise(Noise(1), {}), at::kDouble)({.x = of_data * normal({rows, 2}, 5)}, noise)
        .item<double>();
  };
  const Tensor x = normal({rows, 2}, 5);
  Noise same(6);
  const Tensor u = same.uniform({rows, 1}, at::kFloat), n = same.normal({rows, 2}, at::kDouble);
  const Tensor a = alpha_bar(path);
  double vlb = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const auto t = static_cast<int64_t>(steps * u[i][0].item<double>()) + 1;
    if (t == 1) continue;
    const double at = a[t].item<double>(), as = a[t - 1].item<double>(), beta = 1 - at / as;
    const double small = (1 - as) / (1 - at) * beta, v = std::sqrt(small * beta);
    const Tensor x_t = std::sqrt(at) * x[i] + std::sqrt(1 - at) * n[i], guess = x_t / std::sqrt(at);
    const Tensor shift = std::sqrt(as) * beta / (1 - at) * (x[i] - guess);
    vlb += (0.5 * (std::log(v / small) + (small + shift.square()) / v - 1)).sum().item<double>();
  }
  const double simple = n.square().sum().item<double>();
  for (const double sigma_data : {1.0, 20.0, 0.05})
    EXPECT_NEAR(loss(sigma_data, sigma_data), simple + 1e-3 * steps * vlb, 1e-6 * simple) << sigma_data;
  EXPECT_GT(1e-3 * steps * vlb, 1e-4 * simple);
}

TEST(Assignment, IsTheLeastOfAllPermutations) {
  Noise noise(5);
  for (int trial = 0; trial < 20; ++trial) {
    const Tensor cost = noise.normal({6, 6}, at::kDouble);
    std::vector<int64_t> p(6);
    std::iota(p.begin(), p.end(), 0);
    const auto total = [&](const std::vector<int64_t>& q) {
      double sum = 0;
      for (int64_t i = 0; i < 6; ++i) sum += cost[i][q[i]].item<double>();
      return sum;
    };
    double least = INFINITY;
    do least = std::min(least, total(p));
    while (std::next_permutation(p.begin(), p.end()));
    EXPECT_NEAR(total(least_cost_assignment(cost)), least, 1e-12);
  }
  expect_error([] { least_cost_assignment(at::zeros({2, 3}, at::kDouble)); }, {"assignment", "(2, 3)"});
}

// Pairs of a batch of points are those of the discrete optimal transport between equal weights.
TEST(Assignment, CostIsThatOfOptimalTransport) {
  const Tensor x = normal({150, 3}, 8), y = normal({150, 3}, 9) + 0.5;
  const std::vector<int64_t> p = least_cost_assignment(at::cdist(x, y).square());
  std::vector<int64_t> sorted = p;
  std::sort(sorted.begin(), sorted.end());
  for (int64_t i = 0; i < 150; ++i) EXPECT_EQ(sorted[i], i);
  const double mean = (x - y.index_select(0, at::tensor(p))).square().sum(1).mean().item<double>();
  EXPECT_NEAR(mean, optimal_transport(SampleSet{x}, SampleSet{y}).cost, 1e-9);
}

// Twice differentiable, as implicit score matching needs it: the U-Net's fused layers too.
TEST(ImplicitScoreMatching, GradientOfAUNetIsThatOfDifferences) {
  const auto network =
      make_network(UNetOptions{.channels = 4, .multipliers = {1}, .blocks = 1}, Shape{1, 2, 2});
  const DiffusionModel m(network, SsmObjective{}, 1.0);
  Noise start(2);
  std::vector<Tensor> moved;
  const Weights fresh = network->initialise(Noise(1));
  for (const Tensor& t : fresh.tensors())
    moved.push_back((t + 0.2 * start.normal({1, t.numel()}, at::kFloat).view(t.sizes())).to(at::kFloat));
  const Weights weights = fresh.with(moved);
  const Tensor x = normal({6, 1, 2, 2}, 3, at::kFloat);
  const auto loss = [&](const Weights& w) {
    Noise noise(4);
    return m.bind(w, at::kFloat)({.x = x}, noise);
  };
  const at::AutoGradMode gradients(true);
  for (const char* name : {"stem.weight", "down0.0.norm1.weight", "down0.0.conv1.weight"}) {
    std::vector<Tensor> leaves;
    for (const Tensor& t : weights.tensors()) leaves.push_back(t.clone().requires_grad_());
    const Weights w = weights.with(leaves);
    const Tensor g = torch::autograd::grad({loss(w)}, {w[name]})[0];
    std::vector<Tensor> up, down;
    const double step = 1e-2;
    const Tensor along = g / g.norm();
    for (size_t i = 0; i < weights.size(); ++i) {
      const bool moves = weights.names()[i] == name;
      up.push_back(moves ? weights.tensors()[i] + step * along : weights.tensors()[i]);
      down.push_back(moves ? weights.tensors()[i] - step * along : weights.tensors()[i]);
    }
    const double slope = (loss(weights.with(up)) - loss(weights.with(down))).item<double>() / (2 * step);
    EXPECT_NEAR(slope / g.norm().item<double>(), 1, 0.03) << name;
  }
}

}  // namespace
}  // namespace tweedie
