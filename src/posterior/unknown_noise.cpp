#include "tweedie/unknown_noise.h"

#include "core/rows.h"
#include "core/shape.h"
#include "core/special.h"
#include "core/workers.h"
#include "posterior/guided_denoiser.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <mutex>

namespace tweedie {

namespace {

constexpr int64_t least_side = 8;

double haar_estimate(const Tensor& y) {
  const int64_t h = y.size(-2) / 2 * 2, w = y.size(-1) / 2 * 2;
  const Tensor even = y.narrow(-2, 0, h).narrow(-1, 0, w);
  const auto corner = [&](int64_t i, int64_t j) { return even.slice(-2, i, h, 2).slice(-1, j, w, 2); };
  const Tensor d = (corner(0, 0) - corner(0, 1) - corner(1, 0) + corner(1, 1)) / 2;
  return d.abs().flatten().median().item<double>() / normal_quantile(0.75);
}

// Both halves of a 2 x 2 square side by side, as an image has them: not of complex y, whose last axis is its
// parts.
bool is_image(const Shape& codomain) {
  return codomain.size() >= 2 && codomain.back() >= least_side && codomain[codomain.size() - 2] >= least_side;
}

// The level, where the method must have one
GaussianLikelihood at_level(const Likelihood& likelihood, double noise_std) {
  return {likelihood.forward_ptr(), noise_std};
}

struct Chain {
  Tensor x;                   // (*shape)
  std::vector<double> level;  // of noise_std after each sweep
  RunRecord run;
};

Chain run_chain(const NoiseGibbsOptions& o, const PosteriorSampler& method, const Problem& problem,
                const Noise& noise) {
  Noise of_noise = noise.stream(Stream::order);
  Chain chain;
  double level =
      problem.likelihood.noise_std() * std::exp(0.5 * of_noise.normal({1}, at::kDouble).item<double>());
  const double freedom =
      2 * o.prior_shape + static_cast<double>(product(problem.likelihood.forward().codomain()));
  for (int64_t sweep = 0; sweep < o.sweeps; ++sweep) {
    const Noise of_sweep = noise.stream(Stream::sampler).stream(static_cast<uint64_t>(sweep));
    const Draws drawn =
        method.sample({problem.prior, at_level(problem.likelihood, level), problem.y}, 1, of_sweep, {});
    const Tensor x = drawn.x[0];
    chain.run.network_evaluations += drawn.run.network_evaluations;
    chain.run.network_vjps += drawn.run.network_vjps;
    chain.run.operator_applications += drawn.run.operator_applications + 1;
    chain.run.steps += drawn.run.steps;
    if (sweep == 0) chain.run.warnings = drawn.run.warnings;
    const Tensor r = problem.y.to(at::kDouble) - problem.likelihood.forward().apply(x.to(at::kDouble));
    const double squares = row_dot(r, r)[0].item<double>();
    const double u = of_noise.uniform({1}, at::kDouble).item<double>();
    // NaN where the method diverged, which its draws show
    const double variance = (2 * o.prior_scale + squares) / chi2_quantile(u, freedom);
    chain.x = x[0];
    chain.level.push_back(std::sqrt(variance));
    if (!(variance > 0 && std::isfinite(variance))) break;
    level = chain.level.back();
  }
  return chain;
}

// R-hat of the second halves of chains (sweeps, chains), on the scale of log noise_std: the plain
// between-within ratio of halves of chains.
double rhat_of(const Tensor& trace) {
  const int64_t kept = trace.size(0) / 4;  // quarters: the last two are compared
  if (kept < 2) return 1;
  const Tensor end = trace.slice(0, trace.size(0) - 2 * kept).log();
  const Tensor halves = at::cat({end.slice(0, 0, kept), end.slice(0, kept)}, 1);
  const double within = halves.var(0).mean().item<double>(), between = halves.mean(0).var().item<double>();
  const auto n = static_cast<double>(kept);
  return within > 0 ? std::sqrt(((n - 1) / n * within + between) / within) : INFINITY;
}

}  // namespace

double estimate_noise_std(const Tensor& y, const ForwardOperator& forward) {
  const Shape codomain = forward.codomain();
  require_batch_of(y, codomain, "measurement.y");
  const Tensor values = y.to(at::kDouble);
  double level = 0;
  if (is_image(codomain)) {
    level = haar_estimate(values);
  } else {
    const auto* a = dynamic_cast<const LinearOperator*>(&forward);
    const int64_t m = product(codomain);
    if (a == nullptr || m > 4096) {
      throw Error(
          "measurement.noise.estimate",
          fmt::format("data, but y of shape {} is no image, nor of a linear operator with at most 4096 "
                      "measurements; use gibbs or give std",
                      to_string(codomain)));
    }
    const Svd svd = svd_of(*a);
    const int64_t rank = svd.s.size(0);
    if (m <= rank) {
      throw Error(
          "measurement.noise.estimate",
          fmt::format("data, but y is no image and its {} entries are not more than the operator's rank; "
                      "use gibbs or give std",
                      m));
    }
    const Tensor flat = values.flatten(1).to(at::kCPU), left = flat - flat.matmul(svd.u).matmul(svd.u.t());
    level = std::sqrt(left.square().mean().item<double>() * static_cast<double>(m) /
                      static_cast<double>(m - rank));
  }
  if (!(level > 0)) throw Error("measurement.noise.estimate", "data, but no noise is seen in y; give std");
  return level;
}

Draws sample_with_noise(const NoiseGibbsOptions& o, const PosteriorSampler& method, const Problem& problem,
                        int64_t draws, const Noise& noise, const Observer& observer, int64_t threads) {
  require_noise(problem.likelihood, "estimate = \"gibbs\"");
  require_batch_of(problem.y, problem.likelihood.forward().codomain(), "measurement.y");
  const int64_t m = product(problem.likelihood.forward().codomain()), cases = problem.cases();
  if (o.sweeps < 1)
    throw Error("measurement.noise.sweeps", fmt::format("{}: at least 1 is needed", o.sweeps));
  if (!(2 * o.prior_shape + static_cast<double>(m) > 0)) {
    throw Error("measurement.noise.prior_shape",
                fmt::format("{}, but with {} measurements above {} is needed", o.prior_shape, m, -0.5 * m));
  }
  const auto begin = std::chrono::steady_clock::now();
  std::vector<Chain> chains(static_cast<size_t>(draws * cases));
  std::mutex mutex;
  int64_t done = 0;
  Workers(threads).for_each(draws * cases, [&](int64_t i) {
    const int64_t d = i / cases, c = i % cases;
    const Noise own =
        noise.stream(Stream::user).stream(static_cast<uint64_t>(c) << 32 | static_cast<uint64_t>(d));
    chains[static_cast<size_t>(i)] =
        run_chain(o, method, {problem.prior, problem.likelihood, problem.y.slice(0, c, c + 1)}, own);
    const std::lock_guard lock(mutex);
    if (observer && observer({.done = ++done, .total = draws * cases}) == Control::stop) throw Interrupted{};
  });

  Draws result;
  std::vector<Tensor> x;
  Tensor trace = at::full({o.sweeps, draws * cases}, NAN, at::kDouble);
  RunRecord& run = result.run;
  for (size_t i = 0; i < chains.size(); ++i) {
    const Chain& chain = chains[i];
    x.push_back(chain.x);
    const Tensor level = at::tensor(chain.level, at::kDouble);
    trace.select(1, static_cast<int64_t>(i)).slice(0, 0, level.size(0)).copy_(level);
    run.network_evaluations += chain.run.network_evaluations / static_cast<double>(chains.size());
    run.network_vjps += chain.run.network_vjps / static_cast<double>(chains.size());
    run.operator_applications += chain.run.operator_applications / static_cast<double>(chains.size());
  }
  run.steps = chains.front().run.steps;
  run.warnings = chains.front().run.warnings;
  result.x = at::stack(x).view(with_batch(draws, with_batch(cases, problem.prior->shape())));
  result.log_weight = at::zeros({draws, cases}, at::kDouble);
  result.noise_std = trace[o.sweeps - 1].view({draws, cases});
  double worst = 1;
  for (int64_t c = 0; c < cases; ++c)
    worst = std::max(worst, rhat_of(trace.view({o.sweeps, draws, cases}).select(2, c)));
  if (!(worst <= 1.1)) {
    run.warnings.push_back(
        fmt::format("the chains of the noise level have not converged (R-hat {:.2f}): take more "
                    "measurement.noise.sweeps, or y says little of it",
                    worst));
  }
  run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

}  // namespace tweedie
