// Richardson, JOSA 62, 1972; Lucy, Astron. J. 79, 1974; Shepp and Vardi 1982 as expectation maximisation for
// y ~ Poisson(A x + b), A >= 0:
//   x <- x / (A^T 1) A^T (y / (A x + b)).
// With b = 0 each step keeps sum (A^T 1) x = sum y; every step raises sum y log(A x + b) - (A x + b).

#include "core/shape.h"
#include "posterior/point_estimate.h"
#include "tweedie/classical.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

// What is 0 to rounding of the transforms in A
Tensor not_negative(const Tensor& ax, const Tensor& background) {
  const double tiny = ax.scalar_type() == at::kDouble ? 1e-14 : 1e-7;
  return ax.clamp_min(tiny * std::max(1e-300, ax.abs().max().item<double>())) + background;
}

class RichardsonLucy final : public PointEstimate {
 public:
  RichardsonLucy(const RichardsonLucyOptions& options, DrawOptions draw)
      : PointEstimate(draw), options_(options) {}

  Draws sample(const Problem& problem, int64_t draws, const Noise& noise,
               const Observer& observer) const override {
    if (problem.likelihood.linear() == nullptr)
      throw Error("method.kind", "richardson-lucy needs a linear operator");
    const LinearOperator& a = *problem.likelihood.linear();
    const double least = problem.y.numel() > 0 ? problem.y.min().item<double>() : 0;
    if (least < 0) {
      throw Error("measurement.y",
                  fmt::format("{}, but richardson-lucy takes counts, which are at least 0", least));
    }
    const Tensor seen = a.adjoint(at::ones(with_batch(1, a.codomain()), at::kDouble));
    const double lowest = seen.min().item<double>(), scale = seen.abs().max().item<double>();
    if (lowest < -1e-9 * scale || !(scale > 0))
      throw Error("method.kind", "richardson-lucy needs an operator whose entries are not negative");
    const Counting counting = counting_of(problem.likelihood);
    const PointRun run{.method = RichardsonLucyOptions::kind,
                       .problem = problem,
                       .draws = draws,
                       .noise = noise,
                       .observer = observer,
                       .options = draw_options_,
                       .iterations = options_.iterations,
                       .any_noise = true};
    return run_point_estimate(run, [&](const PointCase& c) { return solve(c, seen, counting); });
  }

 private:
  // What is known of the counts: of poisson noise all; with gaussian noise y is taken for them.
  Counting counting_of(const Likelihood& likelihood) const {
    if (const Counting* counting = likelihood.noise().counting()) {
      if (options_.background != 0)
        throw Error("method.background",
                    "poisson noise has a background of its own: measurement.noise.background");
      Counting result = *counting;
      if (!result.background.defined()) result.background = at::zeros({}, at::kDouble);
      return result;
    }
    likelihood.noise_std();  // throws for any other noise
    return {.gain = 1, .background = at::scalar_tensor(options_.background, at::kDouble)};
  }

  PointAnswer solve(const PointCase& c, const Tensor& seen64, const Counting& counting) const {
    const LinearOperator& a = *c.linear;
    const double gain = counting.gain;
    const Tensor counts = counting.scaled ? gain * c.y : c.y,
                 background = counting.background.to(c.y.options());
    const Tensor seen = seen64.to(c.y.options());
    const Tensor is_seen = seen.gt(1e-9 * seen.max());
    const Tensor total = counts.sum() / (gain * seen.sum());
    Tensor x = at::where(is_seen, total.expand_as(seen), at::zeros_like(seen));
    PointAnswer answer{.x = x, .converged = options_.tolerance == 0};
    for (int64_t k = 0; k < options_.iterations; ++k) {
      const Tensor ratio = counts / not_negative(gain * a.apply(x), background);
      const Tensor next = at::where(is_seen, x * a.adjoint(ratio).clamp_min(0) / seen, x);
      c.applied(2);
      answer.residual = relative_change(next, x);
      x = next;
      ++answer.iterations;
      c.step_done();
      if (answer.residual <= options_.tolerance) {
        answer.converged = true;
        break;
      }
    }
    const Tensor mean = not_negative(gain * a.apply(x), background).to(at::kDouble);
    answer.objective = (mean - at::xlogy(counts.to(at::kDouble), mean)).sum().item<double>();
    answer.x = x;
    return answer;
  }

  RichardsonLucyOptions options_;
};

}  // namespace

std::unique_ptr<const PosteriorSampler> point_estimate(const RichardsonLucyOptions& options,
                                                       DrawOptions draw) {
  require_at_least(options.iterations, 1, "method.iterations");
  if (!(options.background >= 0 && std::isfinite(options.background))) {
    throw Error("method.background",
                fmt::format("{}: a finite number of at least 0 is needed", options.background));
  }
  return std::make_unique<RichardsonLucy>(options, draw);
}

}  // namespace tweedie
