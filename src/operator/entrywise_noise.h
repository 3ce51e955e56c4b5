#pragma once
// Noise that is independent over the entries of y: a model says what one entry does, in float64 on the CPU.

#include "tweedie/error.h"
#include "tweedie/noise_model.h"

namespace tweedie {

class EntrywiseNoise : public NoiseModel {
 public:
  Tensor log_prob(const Tensor& y, const Tensor& z) const final;
  LogDensitySlope slope(const Tensor& y, const Tensor& z) const final;
  Tensor simulate(const Tensor& z, Noise& noise) const final;
  Tensor residuals(const Tensor& y, const Tensor& z, Noise& noise) const final;

 protected:
  struct Slope {
    double value, derivative, information;
  };
  // P(Y < y), P(Y = y) and P(Y > y)
  struct Split {
    double below, at, above;
  };
  // i: place of the entry in one y
  virtual double log_prob_of(double y, double z, int64_t i) const = 0;
  virtual Slope slope_of(double y, double z, int64_t i) const = 0;
  // From u ~ U(0, 1) and n ~ N(0, 1)
  virtual double draw(double z, int64_t i, double u, double n) const = 0;
  virtual Split split(double y, double z, int64_t i) const = 0;
};

// Throws Error(place) unless value is finite and above 0.
void require_scale(double value, const std::string& place);

}  // namespace tweedie
