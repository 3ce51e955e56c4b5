#pragma once
// From data to the weights of anything trainable, by AdamW or Muon.

#include "tweedie/progress.h"
#include "tweedie/trainable.h"

#include <optional>

namespace tweedie {

enum class Mirror { none, horizontal, both };  // left and right; also top and bottom

// Each row of a batch is changed at random: mirrored along each such axis with probability 1/2, and moved by
// -shift .. shift pixels along each axis. Rows held out are not.
struct AugmentOptions {
  Mirror mirror = Mirror::none;
  int64_t shift = 0;
  bool any() const { return mirror != Mirror::none || shift > 0; }
};

// adamw: Adam (Kingma & Ba 2015) with beta 0.9, 0.999 and decoupled decay (Loshchilov & Hutter 2019); muon:
// the same for vectors and small matrices, Muon (Jordan et al. 2024) for all others
enum class Optimiser { adamw, muon };

enum class Precision { automatic, f32, bf16 };  // automatic: f32 on the CPU, bf16 on a GPU

struct TrainOptions {
  std::optional<int64_t> steps;  // optimiser steps; without it, what fits in `minutes`, measured at the start
  double minutes = 10;           // used only without steps
  int64_t batch = 128;           // rows per step
  int64_t accumulate = 1;        // parts of a batch whose gradients are computed one after another
  Optimiser optimiser = Optimiser::adamw;
  double learning_rate = 1e-3;  // peak
  double weight_decay = 0;      // decoupled: w -= rate decay w
  int64_t warmup_steps = 200;   // linear from 0; then half a cosine down to 0 at the last step
  double gradient_clip = 1;     // largest norm of the gradient
  double ema_ratio = 0.05;      // half-life of the average of the weights, as a share of the steps so far
  Precision precision = Precision::automatic;
  AugmentOptions augment;           // of images
  double validation = 0;            // share of the rows held out, in [0, 1): their loss is reported
  int64_t validation_steps = 500;   // between two looks at it
  std::optional<int64_t> patience;  // looks without a better one after which training stops, at the best one
};

// A look at the rows held out, with the averaged weights and the same noise each time.
struct Validation {
  int64_t step = 0;
  double loss = 0;
  std::vector<double> by_level;  // at each of Trainable::levels()
};

// Everything that training continues from, bit for bit: the data order and noise are functions of seed and
// step.
struct TrainState {
  int64_t step = 0, total_steps = 0;
  Weights weights, average, moment1, moment2;  // float32
  Tensor chains;                               // persistent chains, where the model has them
  std::vector<Validation> validations;
  Weights best;  // the average at the best validation, kept where there is a patience
};

class Trainer {
 public:
  // data: (N, *shape) float32; labels: (N) int64, or undefined. threads 0: all cores. Throws Error on bad
  // options.
  Trainer(std::shared_ptr<const Trainable> model, Tensor data, Tensor labels, TrainOptions options,
          uint64_t seed, int64_t threads = 0, at::Device device = at::kCPU);
  ~Trainer();

  // Continues from a saved state; throws Error unless its arrays are those of this model.
  void restore(TrainState state);
  const TrainState& state() const;
  // The weights that training is for: the average, of the best validation where there is a patience
  const Weights& result() const;

  // Runs until the last step or until the observer, called after every step, says stop. True when finished.
  bool run(const Observer& observer);

  at::ScalarType dtype() const;  // what the network computes in

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace tweedie
