#pragma once
// tweedie bench: how fast the program's work is, beside what the machine can do. Both are measured in one run
// and arranged alike, a single-threaded slice per core, so that their ratio says what is left to win.

#include "run/context.h"

#include <optional>
#include <string>
#include <vector>

namespace tweedie {

struct BenchOptions {
  std::vector<std::string> only{};  // names such as "unet.sample", or "unet" for all of them; empty: all
  double seconds = 2;               // at least, for each measurement, after the warm-up
};

// The best this machine does on the operations that the work is made of.
struct Ceilings {
  double sgemm_gflops = 0;                 // 2048 x 2048, float32, all threads
  double conv_f32_gflops = 0;              // 128 channels, 3 x 3, 28 x 28, channels-last, 16 rows a slice
  std::optional<double> conv_bf16_gflops;  // the same, where the machine multiplies bfloat16
  double copy_gbps = 0;                    // 10^9 bytes read and as many written count as 2
};

struct BenchResult {
  std::string name;
  std::string dtype;               // "f32" or "bf16"
  double items_per_s = 0;          // rows denoised; of training, learned from; of particles, their steps
  double gflops = 0;               // multiplications and additions of dense layers or matrices, 10^9 a second
  double fraction_of_ceiling = 0;  // of the convolution of this dtype; of a mixture, of the product
  int64_t peak_memory_bytes = 0;   // of the process, on the host, during this measurement
};

struct BenchReport {
  Summary machine;
  Ceilings ceilings;
  std::vector<BenchResult> results;
  std::vector<std::string> warnings;
};

// Of the context: device, precision (automatic: float32, and bfloat16 where there is hardware for it),
// threads and observer. Throws Error on a name that there is none of, Interrupted when the observer says
// stop.
BenchReport bench(const BenchOptions& options, const RunContext& context);

// {"machine", "ceilings", "results", "warnings"}: docs/performance.md has the fields.
Summary to_json(const BenchReport& report);

}  // namespace tweedie
