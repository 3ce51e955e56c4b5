// Conjugate gradients against the solution of the normal equations, and filtered back-projection as a method.

#include "tweedie/conjugate_gradients.h"
#include "tweedie/fbp.h"

#include "check_tensor.h"
#include "core/shape.h"
#include "support/imaging_cases.h"

namespace tweedie {
namespace {

std::shared_ptr<const Denoiser> prior_of(const Shape& shape) {
  return std::make_shared<const GaussianPrior>(
      GaussianPrior::diagonal(at::zeros(shape, at::kDouble), at::ones(shape, at::kDouble)));
}

Draws solve(const CgOptions& options, const LinearOperatorPtr& a, const Tensor& y, int64_t threads = 1,
            at::ScalarType dtype = at::kDouble) {
  const Problem problem{prior_of(a->domain()), GaussianLikelihood(a, 0.1), y};
  return point_estimate(options, {.threads = threads, .dtype = dtype})->sample(problem, 1, Noise(1), {});
}

LinearOperatorPtr coils() {
  return make_multi_coil({2, 8, 6}, some_sensitivities(3, 8, 6, 1),
                         some_mask(8, 6, SamplingPattern::lines, 2), {.complex = true});
}

TEST(ConjugateGradients, AreTheLeastSquaresOfTheirWeight) {
  const auto a = coils();
  const Tensor y = normal(with_batch(3, a->codomain()), 3), m = a->dense();
  for (const double lambda : {0.3, 0.01}) {
    const CgOptions options{.iterations = 500,
                            .lambda = lambda,
                            .tolerance = 1e-12,
                            .arithmetic = CgOptions::Arithmetic::float64};
    const Draws draws = solve(options, a, y);
    const Tensor system = m.t().matmul(m) + lambda * at::eye(m.size(1), at::kDouble);
    const Tensor truth = at::linalg_solve(system, m.t().matmul(y.flatten(1).t())).t().reshape({3, 2, 8, 6});
    EXPECT_LT(max_difference(draws.x[0], truth), 1e-10);
    EXPECT_TRUE(draws.run.point->converged.all().item<bool>());
    // Another weight, or the equations without A^T, have another solution.
    EXPECT_GT(max_difference(solve({.iterations = 500, .lambda = 2 * lambda}, a, y).x[0], truth), 1e-3);
    CgOptions single = options;
    single.arithmetic = CgOptions::Arithmetic::float32;
    single.tolerance = 1e-6;
    EXPECT_LT(max_difference(solve(single, a, y).x[0], truth), 1e-3);
  }
}

// The k-th iterate minimises the error in the norm of A^T A + lambda I over the Krylov space of k vectors: it
// is a weighted mean of steps, each of which makes the objective smaller.
TEST(ConjugateGradients, StopAfterTheirIterations) {
  const auto a = coils();
  const Tensor y = normal(with_batch(1, a->codomain()), 4), b = a->adjoint(y);
  CgOptions options{
      .iterations = 1, .lambda = 0.1, .tolerance = 0, .arithmetic = CgOptions::Arithmetic::float64};
  const Tensor step = (b * b).sum() / (b * (a->normal(b) + 0.1 * b)).sum();
  const Draws one = solve(options, a, y);
  EXPECT_LT(max_difference(one.x[0], step * b), 1e-12);
  EXPECT_EQ(one.run.operator_applications, 3);
  const auto objective = [&](const Tensor& x) {
    return ((a->apply(x) - y).square().sum() + 0.1 * x.square().sum()).item<double>();
  };
  double last = objective(one.x[0]);
  for (options.iterations = 2; options.iterations < 8; ++options.iterations) {
    const double next = objective(solve(options, a, y).x[0]);
    EXPECT_LT(next, last);
    last = next;
  }
}

TEST(ConjugateGradients, HaveTheSameBitsForAnyNumberOfThreadsAndCases) {
  const auto a = coils();
  const Tensor y = normal(with_batch(4, a->codomain()), 5, at::kFloat);
  const Tensor x = solve({}, a, y, 1, at::kFloat).x;
  for (const int64_t threads : {2, 5}) EXPECT_TRUE(at::equal(solve({}, a, y, threads, at::kFloat).x, x));
  for (int64_t c = 0; c < 4; ++c) {
    EXPECT_TRUE(at::equal(solve({}, a, y.narrow(0, c, 1), 2, at::kFloat).x[0][0], x[0][c]));
  }
}

// x^T A^T A x of an operator this small is 0 in float32, though A^T y is not; in float64 it isn't.
TEST(ConjugateGradients, SayWhetherMoreIterationsWouldHelp) {
  const auto mentions = [](const Draws& draws, const char* words) {
    const auto& all = draws.run.warnings;
    return std::any_of(all.begin(), all.end(),
                       [&](const auto& w) { return w.find(words) != std::string::npos; });
  };
  const auto tiny = make_matrix({4}, 1e-30 * normal({5, 4}, 7));
  const Tensor y = normal({2, 5}, 8);
  const Draws broken = solve({.iterations = 50, .arithmetic = CgOptions::Arithmetic::float32}, tiny, y);
  EXPECT_TRUE(mentions(broken, "in 2 of 2 cases")) << broken.run.warnings.back();
  EXPECT_TRUE(mentions(broken, "would not change"));
  const Draws wide = solve({.iterations = 50, .arithmetic = CgOptions::Arithmetic::float64}, tiny, y);
  EXPECT_EQ(wide.run.warnings.size(), 1);
  const Draws short_of = solve({.iterations = 2, .tolerance = 1e-12}, coils(), normal({1, 3, 24, 2}, 9));
  EXPECT_TRUE(mentions(short_of, "would change the answer"));
  EXPECT_FALSE(mentions(short_of, "would not change"));
}

TEST(ConjugateGradients, NameWhatIsWrong) {
  const auto with = [](const CgOptions& o) { return [o] { point_estimate(o, DrawOptions{}); }; };
  expect_error(with({.iterations = 0}), {"method.iterations", "0"});
  expect_error(with({.lambda = -1}), {"method.lambda", "-1"});
  expect_error(with({.tolerance = NAN}), {"method.tolerance", "nan"});
  expect_error([] { solve({}, coils(), at::full({1, 3, 24, 2}, NAN, at::kDouble)); }, {"measurement.y"});
}

TEST(FilteredBackProjectionMethod, IsTheFunction) {
  RadonGeometry g = some_geometry(RadonGeometry::Beam::fan_flat);
  for (size_t i = 0; i < g.angles.size(); ++i) g.angles[i] = 360.0 * static_cast<double>(i) / 11;
  const auto a = make_radon({1, 7, 6}, g);
  const Tensor y = normal({3, 11, 9}, 6);
  const Problem problem{prior_of({1, 7, 6}), GaussianLikelihood(a, 0.1), y};
  const FbpOptions options{.filter = {.filter = RampFilter::hann}};
  const Draws draws = point_estimate(options, {.dtype = at::kDouble})->sample(problem, 1, Noise(1), {});
  EXPECT_EQ(draws.x.sizes().vec(), (Shape{1, 3, 1, 7, 6}));
  EXPECT_TRUE(at::equal(draws.x[0].select(1, 0), filtered_back_projection(g, 7, 6, y, options.filter)));
  expect_error([&] { point_estimate(options, DrawOptions{})->sample(problem, 2, Noise(1), {}); },
               {"method.draws", "2", "1 is meant"});
  const Problem other{prior_of({2, 8, 6}), GaussianLikelihood(coils(), 0.1),
                      normal(with_batch(1, coils()->codomain()), 7)};
  expect_error([&] { point_estimate(options, DrawOptions{})->sample(other, 1, Noise(1), {}); },
               {"method.kind", "radon"});
}

}  // namespace
}  // namespace tweedie
