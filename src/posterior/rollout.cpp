// Autoregression. Let w = (x_{t-F+2}, ..., x_t, x_{t+1}) be a window with prior p(w). A forecast draws
// x_{t+1} ~ p(w_F | w_1 .. w_{F-1}), drops the oldest frame and repeats, so that leads l of a member are a
// draw of the Markov chain of order F - 1 that the prior defines. With an increment w_F = x_{t+1} - x_t,
// whose scale is that of the change: what a network is trained on is not drowned by what stays (Lam et al.
// 2023).

#include "core/shape.h"
#include "tweedie/forecast.h"
#include "tweedie/operators.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

// Every step is as much work as any other.
Observer of_lead(const Observer& whole, int64_t lead, int64_t leads) {
  if (!whole) return {};
  return [=](Progress p) {
    p.done += (lead - 1) * p.total;
    p.total *= leads;
    return whole(p);
  };
}

void add(RunRecord& all, const RunRecord& step) {
  all.steps = step.steps;
  all.network_evaluations += step.network_evaluations;
  all.network_vjps += step.network_vjps;
  all.operator_applications += step.operator_applications;
  all.seconds += step.seconds;
  for (const std::string& warning : step.warnings) {
    if (std::find(all.warnings.begin(), all.warnings.end(), warning) == all.warnings.end())
      all.warnings.push_back(warning);
  }
}

// E[w | known frames] of each row: as the method knows it, or the mean of its draws
Tensor mean_of(const Draws& draws) {
  if (draws.mean) return draws.mean->to(at::kDouble);
  Shape shape(draws.x.dim(), 1);
  shape[0] = draws.x.size(0);
  shape[1] = draws.x.size(1);
  return (at::softmax(draws.log_weight, 0).view(shape) * draws.x.to(at::kDouble)).sum(0);
}

void check(const Window& window, const Tensor& history, const RolloutOptions& o) {
  const auto positive = [](int64_t n, const char* place) {
    if (n < 1) throw Error(place, fmt::format("{}: at least 1 is needed", n));
  };
  positive(o.leads, "forecast.leads");
  positive(o.members, "forecast.members");
  for (const double std : {o.noise_std, o.step_noise_std}) {
    if (!(std >= 0 && std::isfinite(std)))
      throw Error("forecast.noise_std", fmt::format("{}: a finite number from 0 is meant", std));
  }
  require_batch_of(history, with_batch(window.frames - 1, window.state), "forecast.history");
  require_real(history, "forecast.history");
  require_finite(history, "forecast.history");
}

}  // namespace

Window window_of(const Shape& prior, std::optional<int64_t> frames, bool increment) {
  const int64_t first = prior.empty() ? 1 : prior[0], n = frames.value_or(first);
  if (n < 2 || first % n != 0) {
    throw Error("forecast.frames",
                fmt::format("{}, but x of the prior is {}: its first axis holds the frames, 2 at "
                            "least, one of them the forecast",
                            n, to_string(prior)));
  }
  Window window{n, {prior.begin() + 1, prior.end()}, increment};
  if (first != n) window.state.insert(window.state.begin(), first / n);
  return window;
}

Rollout roll_out(std::shared_ptr<const Denoiser> prior, const Window& window, const PosteriorSampler& method,
                 const Tensor& history, const RolloutOptions& o, const Noise& noise,
                 const Observer& observer) {
  check(window, history, o);
  const int64_t cases = history.size(0), last = window.frames - 1, members = o.mean ? 1 : o.members;
  const Shape frames = with_batch(window.frames, window.state);
  if (product(frames) != product(prior->shape()))
    throw Error("forecast.frames",
                fmt::format("windows {} of a prior of {}", to_string(frames), to_string(prior->shape())));
  const Tensor keep = at::ones(frames, at::kBool);
  keep[last] = false;
  const auto known_frames = make_mask(keep.view(prior->shape()));

  // Row c + cases m is member m of case c.
  Shape copies(history.dim(), 1);
  copies[0] = members;
  Tensor known = history.to(at::kCPU, at::kDouble).repeat(copies);
  std::vector<Tensor> states;
  Rollout result;
  for (int64_t lead = 1; lead <= o.leads; ++lead) {
    const bool uncertain = lead == 1 && o.noise_std > 0;
    const double std = uncertain ? std::hypot(o.noise_std, o.step_noise_std) : o.step_noise_std;
    const Problem problem{prior, GaussianLikelihood(known_frames, std), known.flatten(1)};
    const Noise of_lead_noise = noise.stream(Stream::sampler).stream(static_cast<uint64_t>(lead));
    const Draws draws =
        method.sample(problem, o.mean ? o.members : 1, of_lead_noise, of_lead(observer, lead, o.leads));
    add(result.run, draws.run);
    const Tensor x = o.mean ? mean_of(draws) : draws.x[0].to(at::kDouble);
    if (!x.isfinite().all().item<bool>()) {
      throw Error("forecast",
                  fmt::format("states at lead {} are not finite: the method diverged; use more steps, "
                              "another method or forecast.step_noise_std",
                              lead));
    }
    const Tensor drawn = x.view(with_batch(cases * members, frames));
    if (uncertain) known = drawn.slice(1, 0, last);
    Tensor next = drawn.select(1, last);
    if (window.increment) next = next + known.select(1, last - 1);
    known = at::cat({known.slice(1, 1), next.unsqueeze(1)}, 1);
    states.push_back(next);
  }
  // (members cases, leads, *state) -> (cases, members, leads, *state)
  const Tensor rows = at::stack(states, 1);
  Shape split{members, cases};
  split.insert(split.end(), rows.sizes().begin() + 1, rows.sizes().end());
  result.states = rows.view(split).transpose(0, 1).contiguous();
  return result;
}

}  // namespace tweedie
