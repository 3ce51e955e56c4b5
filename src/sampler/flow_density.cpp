// In u = ln(sigma), from sigma_min to sigma_max, the probability-flow ODE and the density along it are
//   dx/du = x - D(x; sigma),   d log p/du = -div dx/du = -(d - tr dD/dx)
//   log p_min(x) = log p_max(x_max) + int (d - tr dD/dx) du
// with tr dD/dx = sum_i e_i . J^T e_i, or for one e of random signs e . J^T e (Hutchinson 1990; FFJORD,
// Grathwohl et al. 2019), the same e along the whole path. The solver is the pair of orders 5 and 4 of
// Dormand and Prince 1980.
#include "tweedie/flow_density.h"

#include "core/rows.h"
#include "core/shape.h"
#include "tweedie/analytic_prior.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

constexpr int stages = 7;
constexpr double node[stages] = {0, 1. / 5, 3. / 10, 4. / 5, 8. / 9, 1, 1};
// The last row is the solution of order 5, so the last stage is the next step's first.
constexpr double weight[stages][stages - 1] = {
    {},
    {1. / 5},
    {3. / 40, 9. / 40},
    {44. / 45, -56. / 15, 32. / 9},
    {19372. / 6561, -25360. / 2187, 64448. / 6561, -212. / 729},
    {9017. / 3168, -355. / 33, 46732. / 5247, 49. / 176, -5103. / 18656},
    {35. / 384, 0, 500. / 1113, 125. / 192, -2187. / 6784, 11. / 84}};
// The difference of the solutions of order 5 and 4
constexpr double error_weight[stages] = {71. / 57600,      0,         -71. / 16695, 71. / 1920,
                                         -17253. / 339200, 22. / 525, -1. / 40};
constexpr double first_step = 0.1;  // in ln(sigma)

void require(const FlowDensityOptions& o) {
  const auto above_0 = [](double value, const char* field) {
    if (!(value > 0 && std::isfinite(value)))
      throw Error(field, fmt::format("{}, but a finite value above 0 is needed", value));
  };
  above_0(o.sigma_min, "sigma_min");
  above_0(o.tolerance, "tolerance");
  if (!(o.sigma_max > o.sigma_min && std::isfinite(o.sigma_max))) {
    throw Error("sigma_max", fmt::format("{}, but a finite value above sigma_min = {} is needed", o.sigma_max,
                                         o.sigma_min));
  }
  if (!(o.data_std >= 0 && std::isfinite(o.data_std)))
    throw Error("data_std", fmt::format("{}, but a finite value of at least 0 is needed", o.data_std));
  if (o.probes < 1) throw Error("probes", fmt::format("{}, but at least 1 is needed", o.probes));
  if (o.max_steps < 1) throw Error("max_steps", fmt::format("{}, but at least 1 is needed", o.max_steps));
}

// The right-hand side for all rows
struct Slope {
  Tensor x;        // x - D, of x's shape
  Tensor density;  // d - tr dD/dx, (B, probes) or (B, 1) float64
};

class Flow {
 public:
  Flow(const Denoiser& denoiser, std::vector<Tensor> probes)
      : denoiser_(denoiser), probes_(std::move(probes)) {}

  // u: (B) float64
  Slope slope(const Tensor& x, const Tensor& u) const {
    const Linearised d = linearise(denoiser_, x, u.exp());
    return {x - d.mean, static_cast<double>(x[0].numel()) - trace(d, x)};
  }

 private:
  Tensor trace(const Linearised& d, const Tensor& x) const {
    if (probes_.empty()) {
      Tensor sum = at::zeros({x.size(0)}, at::kDouble);
      for (int64_t i = 0; i < x[0].numel(); ++i) {
        Tensor v = at::zeros_like(x, at::MemoryFormat::Contiguous);
        v.view({x.size(0), -1}).select(1, i).fill_(1);
        sum += d.vjp(v).reshape({x.size(0), -1}).select(1, i).to(at::kCPU, at::kDouble);
      }
      return sum.unsqueeze(1);
    }
    std::vector<Tensor> each;
    for (const Tensor& e : probes_) each.push_back(row_dot(e, d.vjp(e)).cpu());
    return at::stack(each, 1);
  }

  const Denoiser& denoiser_;
  std::vector<Tensor> probes_;
};

std::vector<Tensor> draw_probes(const Tensor& x, const FlowDensityOptions& options, Noise noise) {
  std::vector<Tensor> probes;
  if (options.divergence == Divergence::exact) return probes;
  for (int64_t p = 0; p < options.probes; ++p) {
    const Tensor u = noise.uniform(x.sizes(), x.scalar_type());
    probes.push_back(u.lt(0.5).to(x.options()) * 2 - 1);
  }
  return probes;
}

// Sum of weight_j slope_j over the stages so far
template <class Member>
Tensor combine(const double* weights, const std::vector<Slope>& slopes, Member member) {
  Tensor sum = weights[0] * slopes[0].*member;
  for (size_t j = 1; j < slopes.size(); ++j) {
    if (weights[j] != 0) sum = sum + weights[j] * slopes[j].*member;
  }
  return sum;
}

Tensor rms(const Tensor& x) {
  return (row_dot(x, x).cpu() / static_cast<double>(x[0].numel())).sqrt();
}

// b where a row's flag is false
Tensor choose(const Tensor& flag, const Tensor& a, const Tensor& b) {
  Shape shape(a.dim(), 1);
  shape[0] = a.size(0);
  return at::where(flag.to(a.device()).view(shape), a, b);
}

// All rows of a batch on their way, each at its own u with its own step. Rows that have arrived stay where
// they are, with steps of 0: their place in the batch is part of their arithmetic.
class Integration {
 public:
  Integration(const Flow& flow, const Tensor& x, const FlowDensityOptions& options)
      : flow_(flow),
        options_(options),
        end_(std::log(options.sigma_max)),
        x_(x),
        u_(at::full({x.size(0)}, std::log(options.sigma_min), at::kDouble)),
        step_(at::full({x.size(0)}, first_step, at::kDouble)),
        active_(at::ones({x.size(0)}, at::kBool)),
        evaluations_(at::ones({x.size(0)}, at::kLong)),
        first_(flow.slope(x, u_)),
        integral_(at::zeros_like(first_.density)) {}

  void run() {
    for (int64_t k = 0; k < options_.max_steps && active_.any().item<bool>(); ++k) step();
  }

  const Tensor& x() const { return x_; }
  const Tensor& integral() const { return integral_; }  // (B, probes)
  const Tensor& evaluations() const { return evaluations_; }
  Tensor arrived() const { return active_.logical_not(); }

 private:
  void step() {
    const Tensor left = end_ - u_;
    const Tensor last = step_.ge(left * (1 - 1e-12)).logical_and(active_);
    const Tensor h = at::where(last, left, step_) * active_;
    std::vector<Slope> slopes{first_};
    Tensor x;
    for (int i = 1; i < stages; ++i) {
      x = x_ + per_row(h, x_) * combine(weight[i], slopes, &Slope::x);
      slopes.push_back(flow_.slope(x, u_ + node[i] * h));
    }
    evaluations_ += active_ * (stages - 1);

    const Tensor error = scaled_error(slopes, x, h);
    const Tensor accepted = error.le(1).logical_and(active_);  // not for NaN
    integral_ = choose(
        accepted, integral_ + h.unsqueeze(1) * combine(weight[stages - 1], head(slopes), &Slope::density),
        integral_);
    x_ = choose(accepted, x, x_);
    first_ = {choose(accepted, slopes.back().x, first_.x),
              choose(accepted, slopes.back().density, first_.density)};
    u_ = at::where(accepted, u_ + h, u_);
    active_ = active_.logical_and(accepted.logical_and(last).logical_not());
    const Tensor factor = (0.9 * error.pow(-0.2)).nan_to_num(0.2).clamp(0.2, 5);
    step_ = at::where(active_, h * factor, step_);
  }

  // The error of a step over what is allowed, (B): of x relative to its size, and of log p per dimension,
  // both its own and what that of x makes of it through the score -(x - D) / sigma^2.
  Tensor scaled_error(const std::vector<Slope>& slopes, const Tensor& x, const Tensor& h) const {
    const auto d = static_cast<double>(x[0].numel());
    const Tensor of_x = per_row(h, x) * combine(error_weight, slopes, &Slope::x);
    const Tensor of_density = h.unsqueeze(1) * combine(error_weight, slopes, &Slope::density);
    const Tensor size = at::maximum(at::maximum(rms(x_), rms(x)), u_.exp());
    const Tensor by_score = row_dot(of_x, first_.x).cpu() * (-2 * u_).exp();
    const Tensor nats = (of_density.abs().amax(1) + by_score.abs()) / d;
    return at::maximum(rms(of_x) / size, nats) / options_.tolerance;
  }

  static std::vector<Slope> head(const std::vector<Slope>& slopes) {
    return {slopes.begin(), slopes.end() - 1};
  }

  const Flow& flow_;
  const FlowDensityOptions& options_;
  double end_;
  Tensor x_, u_, step_, active_, evaluations_;
  Slope first_;  // at x_, u_
  Tensor integral_;
};

// log p_{sigma_max}(x), (B)
Tensor terminal(const Denoiser& denoiser, const Tensor& x, const FlowDensityOptions& options) {
  if (const auto* prior = dynamic_cast<const AnalyticPrior*>(&denoiser))
    return prior->log_prob(x, options.sigma_max);
  const double variance = options.sigma_max * options.sigma_max + options.data_std * options.data_std;
  const double log_norm = static_cast<double>(x[0].numel()) * std::log(2 * std::numbers::pi * variance);
  return -0.5 * (row_dot(x, x).cpu() / variance + log_norm);
}

}  // namespace

FlowDensity flow_log_prob(const Denoiser& denoiser, const Tensor& x, const FlowDensityOptions& options,
                          const Noise& noise) {
  require(options);
  require_real(x, "x");
  require_batch_of(x, denoiser.shape(), "x");
  require_finite(x, "x");
  if (x.size(0) == 0) throw Error("x", "no rows, but at least 1 is needed");
  const at::NoGradGuard no_grad;
  const Tensor start = x.to(at::kDouble).contiguous();
  const Flow flow(denoiser, draw_probes(start, options, noise));
  Integration integration(flow, start, options);
  integration.run();

  const Tensor arrived = integration.arrived();
  const Tensor end = choose(arrived, integration.x(), at::zeros_like(start));
  const Tensor log_prob = terminal(denoiser, end, options) + integration.integral().mean(1);
  FlowDensity result;
  result.log_prob = log_prob.masked_fill(arrived.logical_not(), std::nan(""));
  if (integration.integral().size(1) > 1) {
    const auto probes = static_cast<double>(options.probes);
    result.standard_error = integration.integral().std(1) / std::sqrt(probes);
  }
  result.evaluations = integration.evaluations();
  result.converged = arrived;
  return result;
}

}  // namespace tweedie
