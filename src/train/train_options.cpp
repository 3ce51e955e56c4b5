#include "train/train_options.h"

#include "core/shape.h"
#include "train/augmentation.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

void check_training(const TrainOptions& options, const Trainable& model, const Tensor& data,
                    const Tensor& labels) {
  const auto positive = [](const char* field, double value) {
    if (!(value > 0) || !std::isfinite(value))
      throw Error(field, fmt::format("{}: a positive number is needed", value));
  };
  const auto not_negative = [](const char* field, double value) {
    if (!(value >= 0) || !std::isfinite(value))
      throw Error(field, fmt::format("{}: a number of at least 0 is needed", value));
  };
  require_real(data, "data");
  require_batch_of(data, model.shape(), "data");
  if (data.size(0) == 0) throw Error("data", "no rows to learn from");
  require_finite(data, "data");
  if (labels.defined() &&
      (labels.dim() != 1 || labels.size(0) != data.size(0) || labels.scalar_type() != at::kLong)) {
    throw Error("data.labels",
                fmt::format("{} of shape {}, but one whole number for each of {} rows is needed",
                            toString(labels.scalar_type()), to_string(labels.sizes()), data.size(0)));
  }
  if (options.steps) positive("train.steps", static_cast<double>(*options.steps));
  positive("train.minutes", options.minutes);
  positive("train.batch", static_cast<double>(options.batch));
  positive("train.learning_rate", options.learning_rate);
  positive("train.gradient_clip", options.gradient_clip);
  not_negative("train.warmup_steps", static_cast<double>(options.warmup_steps));
  not_negative("train.ema_ratio", options.ema_ratio);
  not_negative("train.weight_decay", options.weight_decay);
  check_augmentation(options.augment, model.shape());
  positive("train.accumulate", static_cast<double>(options.accumulate));
  positive("train.validation_steps", static_cast<double>(options.validation_steps));
  if (!(options.validation >= 0 && options.validation < 1))
    throw Error("train.validation", fmt::format("{}: at least 0 and below 1 is meant", options.validation));
  if (options.patience) {
    positive("train.patience", static_cast<double>(*options.patience));
    if (options.validation == 0)
      throw Error("train.patience", "needs rows to be held out; set train.validation, such as 0.05");
  }
}

}  // namespace tweedie
