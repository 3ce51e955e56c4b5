#pragma once
// What a trainer trains: arrays, and a loss of rows of data that is a function of them.

#include "tweedie/network.h"

#include <functional>
#include <optional>
#include <vector>

namespace tweedie {

// Rows of data, and what belongs to them.
struct Batch {
  Tensor x;       // (B, *shape) float32
  Tensor labels;  // (B) int64; undefined where the data has none
  // (B, *shape) float32, the chains that training carries from step to step, moved in place by the loss;
  // undefined where there are none
  Tensor chains;
  // The only noise level to look at, for a held-out loss by level; all of them in training
  std::optional<double> level;
};

class Trainable {
 public:
  virtual ~Trainable() = default;
  virtual Shape shape() const = 0;  // of one row
  // A fresh start. rows: (n, *shape) float32, some of the data, for a start that depends on it.
  virtual Weights initialise(Noise noise, const Tensor& rows) const = 0;

  // The sum over the rows of their loss, a differentiable float32 scalar. Called for slices of a batch from
  // several threads; noise is that of these rows, so that a row's loss does not depend on the others.
  using Loss = std::function<Tensor(const Batch& batch, Noise& noise)>;
  // The loss at these weights, some of which require a gradient. dtype: float32, or bfloat16, in which
  // networks of denoising objectives run and in which layers of all else multiply; the rest is float32.
  virtual Loss bind(const Weights& weights, at::ScalarType dtype) const = 0;
  // What it is trained in on a GPU unless told otherwise
  virtual at::ScalarType gpu_dtype() const { return at::kFloat; }

  // What a row's loss is divided by where it is reported and descended: its dimension, unless overridden
  virtual double terms() const;
  // Noise levels at which a held-out loss is worth knowing by itself; none by default
  virtual std::vector<double> levels() const { return {}; }
  // Persistent chains to start with, (k batch, *shape) float32: step s moves the s mod k-th part of them.
  // Undefined where the model has none.
  virtual Tensor chains(int64_t /*batch*/, const Tensor& /*rows*/, Noise /*noise*/) const { return {}; }
};

}  // namespace tweedie
