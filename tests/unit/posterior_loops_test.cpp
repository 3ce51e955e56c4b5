// Methods with a loop of their own: a draw is a function of (noise, case, draw) alone, bit for bit; they
// count the work of one draw, and refuse what they cannot do.
#include "tweedie/langevin_posterior.h"
#include "tweedie/operators.h"
#include "tweedie/red_diff.h"
#include "tweedie/replacement.h"
#include "tweedie/splitting.h"

#include "network_tiny.h"

namespace tweedie {
namespace {

const Shape image{1, 6, 6};
using Options = std::variant<DiffpirOptions, DapsOptions, PnpDmOptions, RedDiffOptions, RepaintOptions,
                             ReplacementOptions, PosteriorLangevinOptions>;

std::shared_ptr<const Denoiser> gaussian() {
  return std::make_shared<const GaussianPrior>(
      GaussianPrior::full(normal(image, 1), random_covariance(36, 2)));
}
std::shared_ptr<const Denoiser> network() {
  const auto net = make_network(MlpOptions{.width = 24, .depth = 2}, image);
  return std::make_shared<NetworkDenoiser>(
      std::make_shared<NetworkPredictor>(net, perturbed(*net).to(at::kCPU, at::kFloat)), 0.5, image);
}
LinearOperatorPtr mask() {
  return make_mask(random_mask(image, 0.5, Noise(4)));
}
LinearOperatorPtr blur() {
  return make_blur(image, gaussian_kernel(1, 2));
}
LinearOperatorPtr matrix() {
  return make_matrix(image, normal({9, 36}, 3));
}

NoiseSchedule schedule(int64_t steps) {
  return make_schedule(Karras{.sigma_min = 0.5, .sigma_max = 10}, steps);
}

Draws run(const Options& options, const Problem& problem, int64_t draws, int64_t threads = 1,
          int64_t steps = 4) {
  return std::visit(
      [&](const auto& o) {
        return posterior_sampler(o, schedule(steps), {.threads = threads})
            ->sample(problem, draws, Noise(5), {});
      },
      options);
}

struct Case {
  const char* name;
  Options options;
  LinearOperatorPtr (*make)();
  std::shared_ptr<const Denoiser> (*prior)();
  double evaluations, vjps, applications;  // of one draw in 4 steps
};

// A draw given the data is 4 applications; Langevin's norm of a linear operator none.
const InnerOptions langevin{.inner = InnerDraw::langevin, .inner_steps = 3};
const PosteriorLangevinOptions chain{.steps_per_level = 2, .warmup = 3};
const PosteriorLangevinOptions plain{.steps_per_level = 2, .precondition = false, .warmup = 3};
const PosteriorLangevinOptions mala{.steps_per_level = 2, .warmup = 3, .metropolis = true};
const Case cases[] = {
    {"Diffpir", DiffpirOptions{}, blur, network, 4, 0, 16},
    {"Daps", DapsOptions{.probes = 2}, mask, network, 4, 8, 16},
    {"DapsLangevin", DapsOptions{.ode_steps = 3, .inner = langevin}, blur, network, 12, 4, 24},
    {"DapsWhole", DapsOptions{}, matrix, gaussian, 4, 4 * 36, 16},
    {"PnpDm", PnpDmOptions{.reverse_steps = 3}, blur, network, 12, 0, 16},
    {"RedDiff", RedDiffOptions{}, blur, network, 5, 0, 4 + 8},
    {"Repaint", RepaintOptions{.jump_length = 2, .repeats = 2}, mask, network, 9, 0, 18},
    {"Replacement", ReplacementOptions{}, mask, network, 9, 0, 18},
    {"ReplacementSvd", ReplacementOptions{}, matrix, network, 7, 0, 16},
    {"Langevin", chain, blur, network, 9, 0, 9 * 4 + 9 * 3},
    {"LangevinPlain", plain, blur, network, 9, 0, 9 * 2},
    {"Mala", mala, matrix, gaussian, 10, 0, 10 * 4 + 9 * 3 + 4 + 6},
};

class EveryLoop : public testing::TestWithParam<Case> {
 protected:
  Problem problem(const Tensor& y) const {
    return {GetParam().prior(), GaussianLikelihood(GetParam().make(), 0.4), y};
  }
};

INSTANTIATE_TEST_SUITE_P(Methods, EveryLoop, testing::ValuesIn(cases),
                         [](const auto& info) { return info.param.name; });

TEST_P(EveryLoop, DrawsDoNotDependOnThreadsOrNumbersOrOtherCases) {
  const Options& o = GetParam().options;
  Shape shape = GetParam().make()->codomain();
  shape.insert(shape.begin(), 3);
  const Tensor y = normal(shape, 6, at::kFloat);
  const Tensor all = run(o, problem(y), 21).x;
  ASSERT_EQ(all.sizes().vec(), (Shape{21, 3, 1, 6, 6}));
  EXPECT_TRUE(all.isfinite().all().item<bool>());
  EXPECT_TRUE(at::equal(run(o, problem(y), 21, 2).x, all));
  EXPECT_TRUE(at::equal(run(o, problem(y), 5, 2).x, all.slice(0, 0, 5)));
  EXPECT_TRUE(at::equal(run(o, problem(y.slice(0, 0, 1)), 21).x, all.slice(1, 0, 1)));
  Tensor others = y.clone();
  others[0] = 100;
  others[2] = 0;
  EXPECT_TRUE(at::equal(run(o, problem(others), 9).x.select(1, 1), all.slice(0, 0, 9).select(1, 1)));
  // All 63 are different.
  EXPECT_EQ(std::get<0>(at::unique_dim(all.reshape({63, 36}), 0)).size(0), 63);
}

TEST_P(EveryLoop, CountsTheWorkOfOneDraw) {
  Shape shape = GetParam().make()->codomain();
  shape.insert(shape.begin(), 1);
  const Tensor y = normal(shape, 6, at::kFloat);
  for (const int64_t draws : {1, 5, 20}) {
    const RunRecord record = run(GetParam().options, problem(y), draws).run;
    EXPECT_EQ(record.network_evaluations, GetParam().evaluations);
    EXPECT_EQ(record.network_vjps, GetParam().vjps);
    EXPECT_EQ(record.operator_applications, GetParam().applications);
  }
}

// y = x^2: a measurement that no matrix makes
class Square final : public ForwardOperator {
 public:
  Shape domain() const override { return image; }
  Shape codomain() const override { return image; }

 protected:
  Tensor do_apply(const Tensor& x) const override { return x.square(); }
  Tensor do_vjp(const Tensor& x, const Tensor& v) const override { return 2 * x * v; }
};

TEST(Loops, RefuseWhatTheyCannotDo) {
  const Tensor y = normal({1, 1, 6, 6}, 1);
  const auto attempt = [&](const Options& options, std::shared_ptr<const ForwardOperator> h,
                           const Tensor& measured, int64_t draws = 2) {
    return [=] { run(options, {network(), GaussianLikelihood(h, 0.4), measured}, draws); };
  };
  const auto square = std::make_shared<Square>();
  for (const Options& options :
       {Options(DiffpirOptions{}), Options(RepaintOptions{}), Options(ReplacementOptions{})})
    expect_error(attempt(options, square, y), {"method.kind", "linear", "dps"});
  for (const Options& options : {Options(DapsOptions{}), Options(PnpDmOptions{}), Options(RedDiffOptions{}),
                                 Options(PosteriorLangevinOptions{})})
    EXPECT_NO_THROW(attempt(options, square, y)());
  const auto noiseless = [&](const Options& options) {
    return [=] { run(options, {network(), GaussianLikelihood(mask(), 0), normal({1, 18}, 1)}, 2); };
  };
  for (const Options& options :
       {Options(DapsOptions{}), Options(PnpDmOptions{}), Options(PosteriorLangevinOptions{})})
    expect_error(noiseless(options), {"measurement.noise.std", "divides by", "ddrm"});
  for (const Options& options : {Options(DiffpirOptions{}), Options(RedDiffOptions{}),
                                 Options(RepaintOptions{}), Options(ReplacementOptions{})})
    EXPECT_NO_THROW(noiseless(options)());
  expect_error(attempt(DiffpirOptions{.lambda = 0}, blur(), y), {"method.lambda", "0"});
  expect_error(attempt(DiffpirOptions{.zeta = 2}, blur(), y), {"method.zeta", "2"});
  expect_error(attempt(DapsOptions{.probes = 0}, blur(), y), {"method.probes", "0"});
  expect_error(attempt(DapsOptions{.ode_steps = 0}, blur(), y), {"method.ode_steps", "0"});
  expect_error(attempt(DapsOptions{.inner = {.inner_step = 3}}, blur(), y), {"method.inner_step", "3"});
  expect_error(attempt(PnpDmOptions{.rho_min = -1}, blur(), y), {"method.rho_min", "-1"});
  expect_error(attempt(PnpDmOptions{.reverse_steps = 0}, blur(), y), {"method.reverse_steps", "0"});
  expect_error(attempt(RedDiffOptions{.learning_rate = NAN}, blur(), y), {"method.learning_rate", "nan"});
  expect_error(attempt(RepaintOptions{.repeats = 0}, mask(), y), {"method.repeats", "0"});
  expect_error(attempt(RepaintOptions{.jump_length = 0}, mask(), y), {"method.jump_length", "0"});
  expect_error(attempt(ReplacementOptions{.lambda = 1.5}, mask(), y), {"method.lambda", "1.5"});
  expect_error(attempt(ReplacementOptions{.correctors = -1}, mask(), y), {"method.correctors", "-1"});
  expect_error(attempt(PosteriorLangevinOptions{.step = 2}, blur(), y), {"method.step", "2"});
  expect_error(attempt(PosteriorLangevinOptions{.level = 0}, blur(), y), {"method.level", "0"});
  expect_error(attempt(PosteriorLangevinOptions{.thin = 0}, blur(), y), {"method.thin", "0"});
  expect_error(attempt(PosteriorLangevinOptions{.metropolis = true}, blur(), y),
               {"method.metropolis", "density"});
  expect_error(attempt(DiffpirOptions{}, blur(), y, 0), {"draws", "0"});
  expect_error(attempt(DiffpirOptions{}, blur(), y[0]), {"measurement.y", "(1, 6, 6)"});
  expect_error(attempt(DiffpirOptions{}, blur(), y * NAN), {"measurement.y", "NaN"});
}

}  // namespace
}  // namespace tweedie
