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
constexpr int64_t slice_rows = 8;
}

Tensor draw(const Conditioned& conditioned, const Shape& shape, const Sampler& sampler,
            const NoiseSchedule& schedule, int64_t draws, int64_t cases, const Noise& noise,
            const Observer& observer, const DrawOptions& options) {
  if (draws < 1) throw Error("draws", fmt::format("{}: at least 1 is needed", draws));
  // A slice is slice_rows draws of one case, draw d in row d % slice_rows: libraries for matrix products give
  // a row other last bits in another place or another batch. The last slice of a case is filled up with
  // further draws, which are dropped.
  const int64_t per_case = (draws + slice_rows - 1) / slice_rows, slices = per_case * cases;
  const Tensor result = at::empty(with_batch(cases * draws, shape), at::TensorOptions().dtype(options.dtype));
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
    const int64_t of_case = slice / per_case, first = slice % per_case * slice_rows;
    std::vector<uint64_t> ids(slice_rows);
    for (int64_t i = 0; i < slice_rows; ++i) {
      ids[i] = static_cast<uint64_t>(of_case) << 32 | static_cast<uint64_t>(first + i);
    }
    const auto denoiser = conditioned(of_case, slice_rows);
    const Noise of_rows = noise.rows(ids);
    Noise start = of_rows.stream(Stream::initial), steps_noise = of_rows.stream(Stream::sampler);
    Tensor x =
        start.normal(with_batch(slice_rows, shape), options.dtype).to(options.device) * schedule.initial_std;
    const auto* sigma = schedule.sigma.data_ptr<double>();
    for (int64_t k = 0; k < steps && !stopped; ++k) {
      x = sampler.step(*denoiser, x, sigma[k], sigma[k + 1], steps_noise);
      report();
    }
    const int64_t used = std::min(slice_rows, draws - first);
    result.narrow(0, of_case * draws + first, used).copy_(x.narrow(0, 0, used));
  });
  if (stopped) throw Interrupted{};
  Shape split{cases, draws};
  split.insert(split.end(), shape.begin(), shape.end());
  return result.reshape(split).transpose(0, 1).contiguous();
}

}  // namespace tweedie
