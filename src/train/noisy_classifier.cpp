// A classifier of noisy rows (Dhariwal and Nichol 2021, section 4), in EDM's scaling (Karras et al. 2022):
//   minimise E -log p(label | x + sigma n),  ln sigma ~ N(p_mean, p_std^2), n ~ N(0, I)
//   log p(. | x_sigma) = log_softmax(readout(c_in x_sigma, c_noise))
//   c_in = 1 / sqrt(sigma^2 + sigma_data^2),  c_noise = ln(sigma) / 4
// Its minimum is the posterior of the label, so that its gradient is grad log p_sigma(x | c) - grad log
// p_sigma(x), what classifier guidance of scale 1 adds.

#include "tweedie/noisy_classifier.h"

#include "core/rows.h"
#include "core/shape.h"
#include "network/mixed_precision.h"
#include "network/readout.h"
#include "train/denoising.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

std::shared_ptr<const Readout> checked_readout(const NoisyClassifierOptions& o, const Shape& shape,
                                               int64_t classes, double sigma_data) {
  if (!std::isfinite(o.p_mean))
    throw Error("model.p_mean", fmt::format("{}: a finite number is needed", o.p_mean));
  if (!(o.p_std >= 0 && std::isfinite(o.p_std)))
    throw Error("model.p_std", fmt::format("{}: a number of at least 0 is needed", o.p_std));
  if (!(o.clean_fraction >= 0 && o.clean_fraction <= 1))
    throw Error("model.clean_fraction", fmt::format("{}: 0 to 1 is meant", o.clean_fraction));
  if (classes < 2) throw Error("model.classes", fmt::format("{}: at least 2 are needed", classes));
  if (!(sigma_data > 0 && std::isfinite(sigma_data)))
    throw Error("model.sigma_data", fmt::format("{}: a positive number is needed", sigma_data));
  return make_readout({.width = o.width, .depth = o.depth, .embedded = true, .normalised = true}, shape,
                      classes);
}

// (B, classes) in nats; x: (B, *shape) float32, sigma: (B) float32
Tensor log_softmax_of(const Readout& readout, const Weights& weights, const Tensor& x, const Tensor& sigma,
                      double sigma_data) {
  const Tensor c_in = (sigma.square() + sigma_data * sigma_data).rsqrt();
  return readout(weights, x * per_row(c_in, x), sigma.log() / 4).log_softmax(-1);
}

void require_labels(const Tensor& labels, int64_t rows, int64_t classes) {
  if (!labels.defined()) throw Error("data.labels", "none, but a classifier learns from rows with labels");
  if (labels.dim() != 1 || labels.size(0) != rows || labels.scalar_type() != at::kLong) {
    throw Error("data.labels",
                fmt::format("{} of shape {}, but one whole number for each of {} rows is needed",
                            toString(labels.scalar_type()), to_string(labels.sizes()), rows));
  }
  if (rows == 0) return;
  const auto least = labels.min().item<int64_t>(), most = labels.max().item<int64_t>();
  if (least < 0 || most >= classes)
    throw Error("data.labels", fmt::format("{}: 0 to {} is meant", least < 0 ? least : most, classes - 1));
}

void require_label(int64_t label, int64_t classes) {
  if (label < 0 || label >= classes)
    throw Error("label", fmt::format("{}: 0 to {} is meant", label, classes - 1));
}

}  // namespace

NoisyClassifierTraining::NoisyClassifierTraining(const NoisyClassifierOptions& options, const Shape& shape,
                                                 int64_t classes, double sigma_data)
    : options_(options),
      shape_(shape),
      classes_(classes),
      sigma_data_(sigma_data),
      readout_(checked_readout(options, shape, classes, sigma_data)) {}

Weights NoisyClassifierTraining::initialise(Noise noise, const Tensor&) const {
  return readout_->initialise(std::move(noise));
}

Trainable::Loss NoisyClassifierTraining::bind(const Weights& weights, at::ScalarType dtype) const {
  return [this, weights, dtype](const Batch& batch, Noise& noise) {
    const Bf16Products narrow(dtype == at::kBFloat16);
    const int64_t rows = batch.x.size(0);
    require_labels(batch.labels, rows, classes_);
    const Tensor u = noise.uniform({rows}, at::kFloat).to(batch.x.device());
    Tensor sigma = batch.level ? at::full_like(u, *batch.level)
                               : (normal_quantile(u) * options_.p_std + options_.p_mean).exp();
    if (!batch.level && options_.clean_fraction > 0) {
      const Tensor clean = noise.uniform({rows}, at::kFloat).to(batch.x.device()) < options_.clean_fraction;
      sigma = at::where(clean, at::full_like(sigma, 1e-3 * sigma_data_), sigma);
    }
    const Tensor x_sigma = batch.x + per_row(sigma, batch.x) * noise.normal_like(batch.x);
    const Tensor log_p = log_softmax_of(*readout_, weights, x_sigma, sigma, sigma_data_);
    return -log_p.gather(1, batch.labels.unsqueeze(1)).sum();
  };
}

std::vector<double> NoisyClassifierTraining::levels() const {
  const Tensor z = normal_quantile((at::arange(10, at::kDouble) + 0.5) / 10);
  std::vector<double> result(10);
  for (int64_t i = 0; i < 10; ++i)
    result[i] = std::exp(options_.p_mean + options_.p_std * z[i].item<double>());
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

NoisyClassifier::NoisyClassifier(const NoisyClassifierOptions& options, const Shape& shape, int64_t classes,
                                 double sigma_data, const Weights& weights, int64_t label)
    : shape_(shape),
      classes_(classes),
      sigma_data_(sigma_data),
      largest_sigma_(std::exp(options.p_mean + 2 * options.p_std)),
      readout_(checked_readout(options, shape, classes, sigma_data)),
      weights_(std::make_shared<const Weights>(weights)) {
  require_weights(weights, readout_->initialise(Noise(0)));
  require_label(label, classes);
  labels_ = at::full({1}, label, at::kLong);
}

NoisyClassifier NoisyClassifier::labelled(const Tensor& labels) const {
  require_labels(labels, labels.numel(), classes_);
  NoisyClassifier result = *this;
  result.labels_ = labels;
  return result;
}

Tensor NoisyClassifier::all_log_probs(const Tensor& x, const Tensor& sigma) const {
  const Tensor levels = sigma.to(at::kFloat).expand({x.size(0)});
  return log_softmax_of(*readout_, *weights_, x.to(at::kFloat), levels, sigma_data_).to(x.scalar_type());
}

Tensor NoisyClassifier::do_log_prob(const Tensor& x, const Tensor& sigma) const {
  require_batch_of(x, shape_, "classifier.x");
  if (labels_.size(0) != 1 && labels_.size(0) != x.size(0))
    throw Error("classifier.x", fmt::format("{} rows, but {} labels", x.size(0), labels_.size(0)));
  return all_log_probs(x, sigma).gather(1, labels_.expand({x.size(0)}).unsqueeze(1)).squeeze(1);
}

Tensor NoisyClassifier::do_gradient(const Tensor& x, const Tensor& sigma) const {
  const Tensor known = sigma.clamp_max(largest_sigma_);
  Shape each(x.dim(), 1);
  each[0] = sigma.numel();
  const Tensor shrink = (known / sigma).view(each);
  return shrink.square() * Classifier::do_gradient(shrink * x, known);
}

Tensor NoisyClassifier::log_probs(const Tensor& x, const Tensor& sigma) const {
  check_input(x, sigma);
  require_batch_of(x, shape_, "classifier.x");
  const at::NoGradGuard no_grad;
  return all_log_probs(x, sigma);
}

double NoisyClassifier::accuracy(const Tensor& x, const Tensor& labels, const Tensor& sigma) const {
  const Tensor log_p = log_probs(x, sigma);
  require_labels(labels, x.size(0), classes_);
  if (x.size(0) == 0) throw Error("classifier.x", "no rows to classify");
  return log_p.argmax(1).eq(labels).to(at::kDouble).mean().item<double>();
}

}  // namespace tweedie
