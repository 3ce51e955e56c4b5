#include "run/context.h"

#include "core/workers.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/version.h>

#include <dlfcn.h>
#include <sys/resource.h>

#include <chrono>

namespace tweedie {

namespace {
double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
}  // namespace

Stopwatch::Stopwatch() : begin_(now()) {}

double Stopwatch::seconds() const {
  return now() - begin_;
}

Summary start_summary(const std::string& command, uint64_t seed, const RunContext& context) {
  Summary summary;
  summary["command"] = command;
  summary["version"] = TWEEDIE_VERSION;
  summary["seed"] = seed;
  summary["seconds"] = 0.0;
  summary["peak_memory_bytes"] = 0;
  summary["threads"] = context.threads > 0 ? context.threads : available_cores();
  summary["device"] = context.device.str();
  summary["libtorch"] = TORCH_VERSION;
  summary["blas"] = blas_library();
  summary["warnings"] = nlohmann::json::array();
  return summary;
}

void add_warnings(Summary& summary, const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) summary["warnings"].push_back(warning);
}

void finish_summary(Summary& summary, const Stopwatch& watch) {
  summary["seconds"] = watch.seconds();
  summary["peak_memory_bytes"] = peak_memory_bytes();
}

std::string provenance(const std::string& command) {
  return fmt::format("# tweedie {} {}, libtorch {}, {}\n", command, TWEEDIE_VERSION, TORCH_VERSION,
                     blas_library());
}

std::string blas_library() {
  void* symbol = dlsym(RTLD_DEFAULT, "sgemm_");
  Dl_info info;
  if (symbol == nullptr || dladdr(symbol, &info) == 0 || info.dli_fname == nullptr) return "";
  std::error_code ignored;
  const auto file = std::filesystem::canonical(info.dli_fname, ignored);
  return ignored ? info.dli_fname : file.string();
}

bool blas_is_reference() {
  const std::string path = blas_library();
  const auto names = [&](const char* library) { return path.find(library) != std::string::npos; };
  return !path.empty() && !names("openblas") && !names("mkl") && !names("blis") && !names("atlas");
}

int64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace tweedie
