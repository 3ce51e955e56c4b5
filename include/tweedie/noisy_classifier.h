#pragma once
// A classifier of noisy rows, log p(label | x_sigma), learned from labelled data (Dhariwal and Nichol 2021,
// section 4): the exact one makes classifier guidance of scale 1 exact.

#include "tweedie/classifier_guidance.h"
#include "tweedie/trainable.h"

#include <memory>

namespace tweedie {

struct NoisyClassifierOptions {
  static constexpr const char* kind = "classifier";
  int64_t width = 128;  // vectors: of each hidden layer; images: channels at the lowest resolution, half
                        // as many at the one above it, and so on
  int64_t depth = 3;    // residual layers; images: resolutions, each half of the one before
  double p_mean = 0;   // ln sigma ~ N(p_mean, p_std^2), wider than EdmObjective's: draws begin at large sigma
  double p_std = 1.5;  // >= 0
  double clean_fraction = 0;  // in [0, 1]: share of rows at sigma = sigma_data / 1000 instead
};

class Readout;

// Loss: -log p(label | x + sigma n), nats for each row.
class NoisyClassifierTraining final : public Trainable {
 public:
  // classes >= 2: labels are 0 .. classes - 1. sigma_data: standard deviation of the data, > 0. Throws Error
  // on options that are out of range or don't fit the shape.
  NoisyClassifierTraining(const NoisyClassifierOptions& options, const Shape& shape, int64_t classes,
                          double sigma_data);

  Shape shape() const override { return shape_; }
  Weights initialise(Noise noise, const Tensor& rows) const override;
  // The loss throws Error on rows without a label, or with one out of range.
  Loss bind(const Weights& weights, at::ScalarType dtype) const override;
  double terms() const override { return 1; }
  std::vector<double> levels() const override;  // medians of the tenths of the log-normal

 private:
  NoisyClassifierOptions options_;
  Shape shape_;
  int64_t classes_;
  double sigma_data_;
  std::shared_ptr<const Readout> readout_;
};

class NoisyClassifier final : public Classifier {
 public:
  // The first four arguments are those of the training; weights: float32; label: the condition that
  // log_prob() is of. Throws Error on weights that are not of these options.
  NoisyClassifier(const NoisyClassifierOptions& options, const Shape& shape, int64_t classes,
                  double sigma_data, const Weights& weights, int64_t label = 0);

  Shape shape() const { return shape_; }
  int64_t classes() const { return classes_; }
  double sigma_data() const { return sigma_data_; }
  // The same classifier for the condition of other labels: (1), of all rows, or (B) int64. Shares all memory.
  NoisyClassifier labelled(const Tensor& labels) const;

  // log p(k | x_sigma = x) of all classes, (B, classes) of x's dtype. x, sigma: as for log_prob()
  Tensor log_probs(const Tensor& x, const Tensor& sigma) const;
  // Share of rows whose most probable class is their label: (B) int64, B >= 1
  double accuracy(const Tensor& x, const Tensor& labels, const Tensor& sigma) const;

  // exp(p_mean + 2 p_std), beyond which were 2% of the rows that it learned from
  double largest_sigma() const { return largest_sigma_; }

 protected:
  Tensor do_log_prob(const Tensor& x, const Tensor& sigma) const override;
  // Beyond largest_sigma() that of the row brought there: what a label adds to D, sigma^2 grad log p, tends
  // to E[x_0 | label] - E[x_0], while an error of the network's own gradient would count sigma^2 times.
  Tensor do_gradient(const Tensor& x, const Tensor& sigma) const override;

 private:
  Tensor all_log_probs(const Tensor& x, const Tensor& sigma) const;

  Shape shape_;
  int64_t classes_;
  Tensor labels_;  // (1) or (B)
  double sigma_data_, largest_sigma_;
  std::shared_ptr<const Readout> readout_;
  std::shared_ptr<const Weights> weights_;
};

}  // namespace tweedie
