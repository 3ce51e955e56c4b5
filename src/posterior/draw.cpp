// The walk from noise to draws, in slices: rows of fixed number, each slice on one thread from start to end,
// so that its activations stay in that core's cache and no bit of a draw depends on the batch or the threads.
// libtorch's products may give a row other bits at another place of a batch, so a draw has its place for
// good.

#include "core/shape.h"
#include "core/workers.h"
#include "tweedie/posterior.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <mutex>

namespace tweedie {

namespace {
constexpr int64_t slice_rows = 16;

struct Row {
  int64_t c, d;  // draw d of case c
  bool filler;   // a copy that fills up its slice
};
using Slice = std::vector<Row>;

// Draw d of case c is at place (c + d) mod slice_rows, which fills the slices evenly for many draws of few
// cases and for few draws of many.
std::vector<Slice> make_slices(int64_t draws, int64_t cases) {
  std::vector<Slice> slices;
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

Tensor draw(const Conditioned& conditioned, const Shape& shape, const Sampler& sampler,
            const NoiseSchedule& schedule, int64_t draws, int64_t cases, const Noise& noise,
            const Observer& observer, const DrawOptions& options) {
  if (draws < 1) throw Error("draws", fmt::format("{}: at least 1 is needed", draws));
  if (cases < 1) throw Error("measurement.y", "no cases: at least 1 is needed");
  const std::vector<Slice> slices = make_slices(draws, cases);
  const Tensor result = at::empty(with_batch(draws * cases, shape), at::TensorOptions().dtype(options.dtype));
  const int64_t steps = schedule.steps(), work = static_cast<int64_t>(slices.size()) * steps;
  const auto begin = std::chrono::steady_clock::now();
  std::mutex mutex;
  int64_t done = 0;
  std::atomic<bool> stopped{false};
  const auto report = [&] {
    const std::lock_guard lock(mutex);
    ++done;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    const double rate = static_cast<double>(done * slice_rows) / seconds;
    if (observer && !stopped &&
        observer({.done = done, .total = work, .rows_per_second = rate}) == Control::stop) {
      stopped = true;
    }
  };

  Workers workers(options.device.is_cuda() ? 1 : options.threads);
  workers.for_each(static_cast<int64_t>(slices.size()), [&](int64_t slice) {
    std::vector<int64_t> row_cases, places, targets;
    std::vector<uint64_t> ids;
    for (const auto& [c, d, filler] : slices[slice]) {
      if (!filler) {
        places.push_back(static_cast<int64_t>(ids.size()));
        targets.push_back(d * cases + c);
      }
      row_cases.push_back(c);
      ids.push_back(static_cast<uint64_t>(c) << 32 | static_cast<uint64_t>(d));
    }
    const auto denoiser = conditioned(row_cases);
    const Noise of_rows = noise.rows(ids);
    Noise start = of_rows.stream(Stream::initial), steps_noise = of_rows.stream(Stream::sampler);
    Tensor x =
        start.normal(with_batch(slice_rows, shape), options.dtype).to(options.device) * schedule.initial_std;
    const auto* sigma = schedule.sigma.data_ptr<double>();
    for (int64_t k = 0; k < steps && !stopped; ++k) {
      x = sampler.step(*denoiser, x, sigma[k], sigma[k + 1], steps_noise);
      report();
    }
    // Slices write to rows of their own.
    result.index_copy_(0, at::tensor(targets), x.to(at::kCPU).index_select(0, at::tensor(places)));
  });
  if (stopped) throw Interrupted{};
  Shape split{draws, cases};
  split.insert(split.end(), shape.begin(), shape.end());
  return result.view(split);
}

}  // namespace tweedie
