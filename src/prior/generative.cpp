// Rows are worked on in slices of one size, each on one thread, gaps filled with rows that are dropped: a
// row's bits depend on its place in its slice at most, and that is its own.

#include "tweedie/generative.h"

#include "core/shape.h"
#include "core/workers.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <numeric>

namespace tweedie {

namespace {

// work(rows of the slice) -> (slice_rows, ...) for slices of [0, rows); the first `rows` of what they give
template <class Work>
Tensor in_slices(int64_t rows, int64_t slice_rows, const Noise& noise, int64_t threads, Work work) {
  const int64_t slices = (rows + slice_rows - 1) / slice_rows;
  std::vector<Tensor> results(slices);
  Workers workers(threads);
  workers.for_each(slices, [&](int64_t i) {
    std::vector<uint64_t> ids(slice_rows);
    std::iota(ids.begin(), ids.end(), static_cast<uint64_t>(i * slice_rows));
    Noise of_rows = noise.rows(std::move(ids));
    results[i] = work(i * slice_rows, of_rows);
  });
  return at::cat(results).slice(0, 0, rows).contiguous();
}

// Rows begin .. begin + count of x, the last one repeated where there are fewer
Tensor padded(const Tensor& x, int64_t begin, int64_t count) {
  return x.index_select(0, at::arange(begin, begin + count).clamp_max(x.size(0) - 1));
}

}  // namespace

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
