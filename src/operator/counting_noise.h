#pragma once
// What noise of counts has in common: rate = max(0, gain z + background).

#include "operator/entrywise_noise.h"

#include <vector>

namespace tweedie {

class CountingNoise : public EntrywiseNoise {
 public:
  explicit CountingNoise(const Counting& counting);

 protected:
  // Of log p(y | rate): value, and its derivative in the rate
  struct InRate {
    double value, derivative;
  };
  virtual InRate in_rate(double counts, double rate) const = 0;
  virtual double information_of(double counts) const = 0;  // per count squared

  double counts_of(double y) const { return scaled_ ? y * gain_ : y; }
  double y_of(double counts) const { return scaled_ ? counts / gain_ : counts; }
  double gain() const { return gain_; }
  bool scaled() const { return scaled_; }
  // gain z + background, which may be negative
  double line(double z, int64_t i) const {
    return gain_ * z + background_[background_.size() == 1 ? 0 : static_cast<size_t>(i)];
  }
  double rate(double z, int64_t i) const { return std::max(0.0, line(z, i)); }

  // Below a tenth of the counts along the tangent there, where it rises.
  Slope slope_of(double y, double z, int64_t i) const final;

 private:
  double gain_;
  bool scaled_;
  std::vector<double> background_;  // one, or one for each entry
};

// k with P(K < k) < u <= P(K <= k), K ~ Poisson(rate)
double poisson_quantile(double u, double rate);
double log_poisson(double k, double rate);

}  // namespace tweedie
