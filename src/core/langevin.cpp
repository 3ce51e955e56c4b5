#include "core/langevin.h"

#include "core/rows.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

Tensor scalar(double step) {
  return at::scalar_tensor(step, at::kDouble);
}

// () or (B) ready to broadcast against x
Tensor broadcastable(const Tensor& step, const Tensor& x) {
  return step.dim() == 0 ? step.to(x.options()) : per_row(step.to(x.device()), x);
}

}  // namespace

Metric Metric::euclidean() {
  return {[](const Tensor& x, Noise& noise) { return noise.normal_like(x); },
          [](const Tensor& w) { return row_dot(w, w); }};
}

Tensor langevin_move(const Tensor& x, const Tensor& score, const Tensor& step, Noise& noise,
                     const Metric& metric) {
  const Tensor a = broadcastable(step, x);
  return x + a * score + (2 * a).sqrt() * metric.shake(x, noise);
}

Tensor langevin_move(const Tensor& x, const Tensor& score, double step, Noise& noise, const Metric& metric) {
  return langevin_move(x, score, scalar(step), noise, metric);
}

void require_chain(int64_t iterations, double step, double start_std) {
  if (iterations < 1) {
    throw Error("sampler.iterations", fmt::format("{}, but at least 1 is needed", iterations));
  }
  if (!(step > 0 && std::isfinite(step))) {
    throw Error("sampler.step", fmt::format("{}, but a finite value above 0 is needed", step));
  }
  if (!(start_std >= 0 && std::isfinite(start_std))) {
    throw Error("sampler.start_std",
                fmt::format("{}, but a finite value of at least 0 is needed", start_std));
  }
}

ChainState start_chain(const Target& target, const Tensor& x) {
  return {x, target(x)};
}

Tensor mala_move(const Target& target, ChainState& state, const Tensor& step, Noise& noise,
                 const Metric& metric) {
  const auto& [x, now] = state;
  const Tensor a = broadcastable(step, x);
  const Tensor z = metric.shake(x, noise);
  const Tensor proposal = x + a * now.gradient + (2 * a).sqrt() * z;
  const LogDensity then = target(proposal);
  // log q(x | x') - log q(x' | x) = (2 step |z|^2 - |x - x' - step g'|^2) / (4 step), lengths in M^{-1}
  const Tensor back = (x - proposal - a * then.gradient) / (2 * a).sqrt();
  const Tensor log_ratio =
      then.value - now.value + 0.5 * (metric.squared_length(z) - metric.squared_length(back));
  const Tensor accepted = noise.uniform({x.size(0)}, at::kDouble).log() < log_ratio.cpu();  // not for NaN

  const Tensor take = accepted.to(x.device());
  const auto choose = [&](const Tensor& new_one, const Tensor& old_one) {
    Shape shape(new_one.dim(), 1);
    shape[0] = new_one.size(0);
    return at::where(take.view(shape), new_one, old_one);
  };
  state = {choose(proposal, x), {choose(then.value, now.value), choose(then.gradient, now.gradient)}};
  return accepted;
}

Tensor mala_move(const Target& target, ChainState& state, double step, Noise& noise, const Metric& metric) {
  return mala_move(target, state, scalar(step), noise, metric);
}

}  // namespace tweedie
