// The walk from noise to draws, in slices: rows of fixed number, each slice on one thread from start to end,
// so that its activations stay in that core's cache and no bit of a draw depends on the batch or the threads.

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
}

Tensor draw(const Conditioned& conditioned, const Shape& shape, const Sampler& sampler,
            const NoiseSchedule& schedule, int64_t draws, int64_t cases, const Noise& noise,
            const Observer& observer, const DrawOptions& options) {
  if (draws < 1) throw Error("draws", fmt::format("{}: at least 1 is needed", draws));
  // Row r is draw r % draws of case r / draws; the last slice is filled up with copies of the last row.
  const int64_t rows = draws * cases, slices = (rows + slice_rows - 1) / slice_rows;
  const Tensor result = at::empty(with_batch(rows, shape), at::TensorOptions().dtype(options.dtype));
  const int64_t steps = schedule.steps(), work = slices * steps;
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
  workers.for_each(slices, [&](int64_t slice) {
    const int64_t first = slice * slice_rows, used = std::min(slice_rows, rows - first);
    std::vector<int64_t> row_cases(slice_rows);
    std::vector<uint64_t> ids(slice_rows);
    for (int64_t i = 0; i < slice_rows; ++i) {
      const int64_t row = std::min(first + i, rows - 1);
      row_cases[i] = row / draws;
      ids[i] = static_cast<uint64_t>(row / draws) << 32 | static_cast<uint64_t>(row % draws);
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
    result.narrow(0, first, used).copy_(x.narrow(0, 0, used));
  });
  if (stopped) throw Interrupted{};
  Shape split{cases, draws};
  split.insert(split.end(), shape.begin(), shape.end());
  return result.reshape(split).transpose(0, 1).contiguous();
}

}  // namespace tweedie
