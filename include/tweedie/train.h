#pragma once
// Denoising score matching: from a data set to the weights of a denoiser.

#include "tweedie/network.h"
#include "tweedie/progress.h"

#include <optional>
#include <variant>

namespace tweedie {

// Karras et al. 2022 (EDM), table 1: ln sigma ~ N(p_mean, p_std^2), loss (sigma^2 + sigma_data^2) / (sigma
// sigma_data)^2 |D(x + sigma n; sigma) - x|^2, its expectation 1 per dimension at a zero network when std(x)
// = sigma_data.
struct EdmObjective {
  static constexpr const char* kind = "edm";
  double p_mean = -1.2;
  double p_std = 1.2;
};

using Objective = std::variant<EdmObjective>;

enum class Precision { automatic, f32, bf16 };  // automatic: f32 on the CPU, bf16 on a GPU

struct TrainOptions {
  Objective objective = EdmObjective{};
  std::optional<int64_t> steps;  // optimiser steps; without it, what fits in `minutes`, measured at the start
  double minutes = 10;           // used only without steps
  int64_t batch = 128;           // images per step
  double learning_rate = 1e-3;   // peak, Adam (Kingma & Ba 2015), beta 0.9, 0.999
  int64_t warmup_steps = 200;    // linear from 0; then half a cosine down to 0 at the last step
  double gradient_clip = 1;      // largest norm of the gradient
  double ema_ratio = 0.05;       // half-life of the average of the weights, as a share of the steps so far
  Precision precision = Precision::automatic;
  std::optional<double> sigma_data;  // standard deviation of the data; measured if not given
};

// Everything that training continues from, bit for bit: the data order and noise are functions of seed and
// step.
struct TrainState {
  int64_t step = 0, total_steps = 0;
  double sigma_data = 0;
  Weights weights, average, moment1, moment2;  // float32
};

class Trainer {
 public:
  // data: (N, *shape) float32. threads 0: all cores. Throws Error on bad options.
  Trainer(std::shared_ptr<const Network> network, Tensor data, TrainOptions options, uint64_t seed,
          int64_t threads = 0, at::Device device = at::kCPU);
  ~Trainer();

  // Continues from a saved state; throws Error unless its arrays are those of this network.
  void restore(TrainState state);
  const TrainState& state() const;

  // Runs until the last step or until the observer, called after every step, says stop. True when finished.
  bool run(const Observer& observer);

  at::ScalarType dtype() const;  // what the network computes in

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace tweedie
