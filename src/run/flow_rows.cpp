#include "run/flow_rows.h"

#include "core/shape.h"
#include "core/workers.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <mutex>

namespace tweedie {

FlowDensity flow_in_slices(const Denoiser& denoiser, const Tensor& x, const FlowDensityOptions& options,
                           const Noise& noise, const RunContext& context) {
  const int64_t slice_rows = rows_together(denoiser.shape());
  const int64_t rows = x.size(0), count = (rows + slice_rows - 1) / slice_rows;
  std::vector<FlowDensity> parts(count);
  std::mutex mutex;
  int64_t done = 0;
  const Stopwatch watch;
  Workers workers(context.device.is_cuda() ? 1 : context.threads);
  workers.for_each(count, [&](int64_t i) {
    const int64_t first = i * slice_rows, own = std::min(slice_rows, rows - first);
    std::vector<int64_t> places;  // the last slice is filled up with copies
    std::vector<uint64_t> ids;
    for (int64_t k = 0; k < slice_rows; ++k) {
      places.push_back(first + (k < own ? k : 0));
      ids.push_back(static_cast<uint64_t>(places.back()));
    }
    const Tensor slice = x.index_select(0, at::tensor(places)).to(context.device);
    FlowDensity part = flow_log_prob(denoiser, slice, options, noise.rows(std::move(ids)));
    for (Tensor* values : {&part.log_prob, &part.evaluations, &part.converged})
      *values = values->slice(0, 0, own);
    if (part.standard_error) part.standard_error = part.standard_error->slice(0, 0, own);
    parts[i] = std::move(part);

    const std::lock_guard lock(mutex);
    const double rate = static_cast<double>(++done * slice_rows) / watch.seconds();
    if (context.observer &&
        context.observer({.done = done, .total = count, .rows_per_second = rate}) == Control::stop)
      throw Interrupted{};
  });
  const auto all = [&](auto member) {
    std::vector<Tensor> values;
    for (const FlowDensity& part : parts) values.push_back(member(part));
    return at::cat(values);
  };
  FlowDensity result;
  result.log_prob = all([](const FlowDensity& p) { return p.log_prob; });
  result.evaluations = all([](const FlowDensity& p) { return p.evaluations; });
  result.converged = all([](const FlowDensity& p) { return p.converged; });
  if (parts[0].standard_error)
    result.standard_error = all([](const FlowDensity& p) { return *p.standard_error; });
  return result;
}

}  // namespace tweedie
