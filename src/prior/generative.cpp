#include "tweedie/generative.h"

#include "core/row_slices.h"
#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

Tensor GenerativeModel::sample(int64_t draws, const Noise& noise, int64_t threads,
                               const Tensor& labels) const {
  if (draws < 1) throw Error("count", fmt::format("{}: at least 1 is needed", draws));
  if (labels.defined()) {
    if (classes() == 0) throw Error("labels", "this model was not trained with classes");
    if (labels.dim() != 1 || labels.size(0) != draws || labels.scalar_type() != at::kLong) {
      throw Error("labels", fmt::format("{} of shape {}, but one whole number for each of {} draws is needed",
                                        toString(labels.scalar_type()), to_string(labels.sizes()), draws));
    }
    const auto least = labels.min().item<int64_t>(), most = labels.max().item<int64_t>();
    if (least < 0 || most >= classes()) {
      throw Error("labels", fmt::format("{}: 0 to {} is meant", least < 0 ? least : most, classes() - 1));
    }
  }
  const int64_t slice_rows = rows_together(shape());
  return in_slices(draws, slice_rows, noise, threads, [&](int64_t begin, Noise& of_rows) {
    const Tensor own = labels.defined() ? padded(labels, begin, slice_rows) : Tensor();
    return do_sample(slice_rows, own, of_rows);
  });
}

std::optional<LogLikelihood> GenerativeModel::log_likelihood(const Tensor& x, const Noise& noise,
                                                             int64_t threads) const {
  const auto kind = likelihood();
  if (!kind) return {};
  require_real(x, "x");
  require_batch_of(x, shape(), "x");
  require_finite(x, "x");
  if (x.size(0) == 0) return LogLikelihood{at::empty({0}, at::kDouble), *kind};
  const int64_t slice_rows = rows_together(shape());
  const Tensor nats = in_slices(x.size(0), slice_rows, noise, threads, [&](int64_t begin, Noise& of_rows) {
    return do_log_likelihood(padded(x, begin, slice_rows), of_rows);
  });
  return LogLikelihood{nats.to(at::kDouble), *kind};
}

Tensor GenerativeModel::do_log_likelihood(const Tensor&, Noise&) const {
  throw Error("likelihood", "this family has none");
}

}  // namespace tweedie
