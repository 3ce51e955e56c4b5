// libtorch's products may give a row other bits at another place of a batch, so a draw has its place for
// good.

#include "core/shape.h"
#include "core/workers.h"
#include "posterior/slices.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>

namespace tweedie {

namespace {

struct Row {
  int64_t c, d;  // draw d of case c
  bool filler;   // a copy that fills up its slice
};
using Rows = std::vector<Row>;

// Draw d of case c is at place (c + d) mod slice_rows, which fills the slices evenly for many draws of few
// cases and for few draws of many.
std::vector<Rows> make_slices(int64_t draws, int64_t cases, int64_t slice_rows) {
  std::vector<Rows> slices;
  std::vector<size_t> next(slice_rows);
  for (int64_t c = 0; c < cases; ++c) {
    for (int64_t d = 0; d < draws; ++d) {
      const int64_t place = (c + d) % slice_rows;
      const size_t slice = next[place]++;
      if (slice == slices.size()) slices.emplace_back(slice_rows, Row{c, d, true});
      slices[slice][place] = {c, d, false};
    }
  }
  return slices;
}

}  // namespace

Tensor Slice::rows_of(const Tensor& per_case) const {
  return per_case.index_select(0, at::tensor(cases_).to(per_case.device()));
}

Tensor draw_slices(const std::function<Tensor(const Slice&)>& walk, int64_t steps, const Shape& shape,
                   int64_t draws, int64_t cases, const Noise& noise, const Observer& observer,
                   const DrawOptions& options, RunRecord* record) {
  if (draws < 1) throw Error("draws", fmt::format("{}: at least 1 is needed", draws));
  if (cases < 1) throw Error("measurement.y", "no cases: at least 1 is needed");
  const int64_t slice_rows = options.slice_rows.value_or(rows_together(shape, options.device));
  if (slice_rows < 1) throw Error("slice_rows", fmt::format("{}: at least 1 is needed", slice_rows));
  const std::vector<Rows> slices = make_slices(draws, cases, slice_rows);
  const Tensor result = at::empty(with_batch(draws * cases, shape), at::TensorOptions().dtype(options.dtype));
  const int64_t work = static_cast<int64_t>(slices.size()) * steps;
  const auto begin = std::chrono::steady_clock::now();
  std::mutex mutex;
  int64_t done = 0;
  bool stopped = false;
  std::optional<int64_t> non_finite;
  const auto note = [&](const Tensor& finite, int64_t step) {
    if (finite.item<bool>()) return;
    const std::lock_guard lock(mutex);
    non_finite = std::min(non_finite.value_or(step), step);
  };
  const auto report = [&] {
    const std::lock_guard lock(mutex);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    const double rate = static_cast<double>(++done * slice_rows) / seconds;
    if (observer && !stopped)
      stopped = observer({.done = done, .total = work, .rows_per_second = rate}) == Control::stop;
    if (stopped) throw Interrupted{};
  };

  Workers workers(options.device.is_cuda() ? 1 : options.threads);
  workers.for_each(static_cast<int64_t>(slices.size()), [&](int64_t i) {
    std::vector<int64_t> row_cases, places, targets;
    std::vector<uint64_t> ids;
    for (const auto& [c, d, filler] : slices[i]) {
      if (!filler) {
        places.push_back(static_cast<int64_t>(ids.size()));
        targets.push_back(d * cases + c);
      }
      row_cases.push_back(c);
      ids.push_back(static_cast<uint64_t>(c) << 32 | static_cast<uint64_t>(d));
    }
    int64_t step = 0;
    std::vector<Tensor> on_device;  // a step does not wait for the device
    const Slice slice(std::move(row_cases), places, noise.rows(std::move(ids)), [&](const Tensor& x) {
      const Tensor finite = x.isfinite().all();
      if (finite.is_cpu()) {
        note(finite, ++step);
      } else {
        constexpr size_t ahead =
            16;  // steps that may be under way, so that progress and Ctrl-C mean something
        on_device.push_back(finite);
        if (on_device.size() > ahead) on_device[on_device.size() - ahead].item<bool>();
      }
      report();
    });
    const Tensor x = walk(slice).to(at::kCPU, options.dtype);
    if (!on_device.empty()) {
      for (const Tensor& finite : at::stack(on_device).to(at::kCPU).unbind()) note(finite, ++step);
    }
    // Slices write to rows of their own.
    result.index_copy_(0, at::tensor(targets), x.index_select(0, at::tensor(places)));
  });
  if (record != nullptr) record->non_finite_step = non_finite;
  Shape split{draws, cases};
  split.insert(split.end(), shape.begin(), shape.end());
  return result.view(split);
}

Tensor draw(const Conditioned& conditioned, const Shape& shape, const Sampler& sampler,
            const NoiseSchedule& schedule, int64_t draws, int64_t cases, const Noise& noise,
            const Observer& observer, const DrawOptions& options, RunRecord* record) {
  const int64_t steps = schedule.steps();
  std::atomic<int64_t> accepted = 0, proposed = 0;
  const auto walk = [&](const Slice& slice) {
    const auto denoiser = conditioned(slice.cases());
    Noise start = slice.noise().stream(Stream::initial), moves = slice.noise().stream(Stream::sampler);
    Tensor x = start.normal(with_batch(slice.rows(), shape), options.dtype).to(options.device) *
               schedule.initial_std;
    const auto* sigma = schedule.sigma.data_ptr<double>();
    StepMemory memory;
    for (int64_t k = 0; k < steps; ++k) {
      x = sampler.step(*denoiser, x, sigma[k], sigma[k + 1], moves, memory);
      slice.step_done(x);
    }
    if (memory.accepted.defined()) {
      accepted += memory.accepted.index_select(0, at::tensor(slice.own())).sum().item<int64_t>();
      proposed += memory.proposed * static_cast<int64_t>(slice.own().size());
    }
    return x;
  };
  Tensor result = draw_slices(walk, steps, shape, draws, cases, noise, observer, options, record);
  if (record != nullptr && proposed > 0)
    record->acceptance_rate = static_cast<double>(accepted) / static_cast<double>(proposed);
  return result;
}

}  // namespace tweedie
