#include "run/bench_ceilings.h"

#include "core/workers.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

namespace tweedie {

namespace {

// Waits for what has been put on a GPU; nothing to wait for elsewhere.
void finish(const Tensor& result) {
  if (!result.device().is_cpu()) result.flatten()[0].item<double>();
}

// The one measurement with libtorch's own threads: one product over all cores.
double sgemm_gflops(Meter& meter, Workers& workers, at::Device device) {
  const int own_threads = at::get_num_threads();
  at::set_num_threads(static_cast<int>(workers.threads()));
  constexpr int64_t n = 2048;
  const Tensor a = at::full({n, n}, 0.5, device), b = at::full({n, n}, 0.25, device);
  Tensor c = at::empty({n, n}, device);
  const double rate = meter.rate([&] {
    at::mm_out(c, a, b);
    finish(c);
  });
  at::set_num_threads(own_threads);
  return rate * 2e-9 * n * n * n;
}

double conv_gflops(Meter& meter, Workers& workers, at::Device device, at::ScalarType dtype) {
  // A GPU is one worker whose slices are as large as it takes to fill it.
  const int64_t rows = device.is_cpu() ? 16 : 512, slices = device.is_cpu() ? 4 * workers.threads() : 1;
  constexpr int64_t channels = 128, side = 28, kernel = 3;
  const auto filled = [&](at::IntArrayRef shape, double value) {
    return at::full(shape, value, at::TensorOptions().device(device).dtype(dtype))
        .contiguous(at::MemoryFormat::ChannelsLast);
  };
  const Tensor weight = filled({channels, channels, kernel, kernel}, 0.01);
  std::vector<Tensor> inputs;
  for (int64_t i = 0; i < slices; ++i) inputs.push_back(filled({rows, channels, side, side}, 0.5));
  const double rate = meter.rate([&] {
    workers.for_each(slices, [&](int64_t i) { finish(at::conv2d(inputs[i], weight, {}, 1, kernel / 2)); });
  });
  return rate * 2e-9 *
         static_cast<double>(slices * rows * channels * channels * kernel * kernel * side * side);
}

double copy_gbps(Meter& meter, Workers& workers, at::Device device) {
  constexpr int64_t bytes = 64 << 20;  // for each worker, beyond what caches hold
  const int64_t slices = workers.threads();
  std::vector<Tensor> from, to;
  for (int64_t i = 0; i < slices; ++i) {
    from.push_back(at::ones({bytes / 4}, device));
    to.push_back(at::zeros({bytes / 4}, device));
  }
  const double rate = meter.rate([&] {
    workers.for_each(slices, [&](int64_t i) {
      to[i].copy_(from[i]);
      finish(to[i]);
    });
  });
  return rate * 2e-9 * static_cast<double>(slices * bytes);
}

}  // namespace

int64_t ceiling_count(bool bf16) {
  return bf16 ? 4 : 3;
}

Ceilings measure_ceilings(Meter& meter, Workers& workers, at::Device device, bool bf16) {
  Ceilings ceilings;
  ceilings.sgemm_gflops = sgemm_gflops(meter, workers, device);
  ceilings.conv_f32_gflops = conv_gflops(meter, workers, device, at::kFloat);
  if (bf16) ceilings.conv_bf16_gflops = conv_gflops(meter, workers, device, at::kBFloat16);
  ceilings.copy_gbps = copy_gbps(meter, workers, device);
  return ceilings;
}

}  // namespace tweedie
