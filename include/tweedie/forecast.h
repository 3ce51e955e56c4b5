#pragma once
// Forecasts by a prior over windows of consecutive states: condition on the frames that are known, draw the
// last one, move the window on, repeat.

#include "tweedie/posterior.h"

namespace tweedie {

// How a prior's x is a window: its first axis in `frames` equal parts, oldest first.
struct Window {
  int64_t frames;          // >= 2
  Shape state;             // of one part; without the axis where a part has one entry of it
  bool increment = false;  // the last frame is x_{t+1} - x_t instead of x_{t+1}
};
// frames: by default as many as the first axis has entries. Throws Error("forecast.frames") where they don't
// divide it.
Window window_of(const Shape& prior, std::optional<int64_t> frames, bool increment);

struct RolloutOptions {
  int64_t leads = 1;          // steps ahead, >= 1
  int64_t members = 1;        // trajectories for each case; of a mean: draws that it is taken over
  bool mean = false;          // roll out E[next state | window]: one trajectory
  double noise_std = 0;       // of the measurement error of the history, in the units of the state
  double step_noise_std = 0;  // that every step conditions with, for methods that need some
};

struct Rollout {
  Tensor states;  // (cases, members, leads, *state) float64; one member of a mean
  RunRecord run;  // work for each draw, summed over leads
};

// history: (cases, frames - 1, *state), oldest first. With noise_std > 0 the first step draws the known
// frames too and goes on from those, which is the posterior of the initial state. Member m of case c at lead
// l is a function of (noise, c + cases m, l) alone, given the member's own past: more members or leads leave
// the first ones as they are. Throws Error("forecast") for states that are not finite.
Rollout roll_out(std::shared_ptr<const Denoiser> prior, const Window& window, const PosteriorSampler& method,
                 const Tensor& history, const RolloutOptions& options, const Noise& noise,
                 const Observer& observer);

}  // namespace tweedie
