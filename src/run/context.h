#pragma once
// What every service of run/ is given besides its config, and what it leaves: services neither print nor
// exit.

#include "tweedie/posterior.h"
#include "tweedie/train.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace tweedie {

struct RunContext {
  std::filesystem::path out;                   // the RUN folder
  bool force = false;                          // replace an existing one
  at::Device device = at::kCPU;                // for neural work
  Precision precision = Precision::automatic;  // of networks
  int64_t threads = 0;                         // 0: all cores
  // Bytes that particles may take, and networks keep for derivatives; 0: no bound, a quarter of the machine's
  int64_t memory = 0;
  Observer observer;

  // dtype: of the sampler's state
  DrawOptions draw_options(at::ScalarType dtype, std::optional<int64_t> slice_rows = {}) const {
    return {.threads = threads, .dtype = dtype, .device = device, .memory = memory, .slice_rows = slice_rows};
  }
};

using Summary = nlohmann::ordered_json;

// command, version, seed, seconds so far, peak_memory_bytes, threads, libtorch, blas, warnings (empty)
class Stopwatch {
 public:
  Stopwatch();
  double seconds() const;

 private:
  double begin_;
};
Summary start_summary(const std::string& command, uint64_t seed, const RunContext& context);
void add_warnings(Summary& summary, const std::vector<std::string>& warnings);
// Sets seconds and peak_memory_bytes.
void finish_summary(Summary& summary, const Stopwatch& watch);

// First lines of run.toml: the versions that a run came from, as comments.
std::string provenance(const std::string& command);

// The file that the BLAS in use was loaded from, links followed; "" when it can't be told.
std::string blas_library();
// Whether that is the slow reference implementation.
bool blas_is_reference();

int64_t peak_memory_bytes();

}  // namespace tweedie
