// tweedie bench: the machine, its ceilings, the work.

#include "run/bench.h"

#include "core/workers.h"
#include "run/bench_ceilings.h"
#include "run/bench_workloads.h"
#include "tweedie/error.h"

#include <fmt/format.h>
#include <torch/version.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>

namespace tweedie {

namespace {

// The processor's name as Linux gives it, with family and model: a virtual machine's name may say little.
std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  std::string name, family, model;
  for (std::string line; std::getline(info, line) && !line.empty();) {
    const size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    const std::string key = line.substr(0, line.find_last_not_of(" \t", colon - 1) + 1);
    const std::string value = line.substr(colon + 2);
    if (key == "model name") name = value;
    if (key == "cpu family") family = value;
    if (key == "model") model = value;
  }
  return family.empty() ? name : fmt::format("{} (family {}, model {})", name, family, model);
}

std::vector<NamedWorkload> chosen(const std::vector<std::string>& only) {
  const std::vector<NamedWorkload> all = bench_workloads();
  if (only.empty()) return all;
  const auto means = [](const std::string& name, const NamedWorkload& workload) {
    return workload.name == name || workload.name.rfind(name + ".", 0) == 0;
  };
  for (const std::string& name : only) {
    if (std::any_of(all.begin(), all.end(), [&](const auto& workload) { return means(name, workload); }))
      continue;
    std::string names;
    for (const NamedWorkload& workload : all) names += (names.empty() ? "" : ", ") + workload.name;
    throw Error("--only",
                fmt::format("'{}': one of {}, or what comes before a point, is meant", name, names));
  }
  std::vector<NamedWorkload> result;
  for (const NamedWorkload& workload : all) {
    if (std::any_of(only.begin(), only.end(), [&](const auto& name) { return means(name, workload); }))
      result.push_back(workload);
  }
  return result;
}

// Other work on the same cores makes every figure smaller, ratios less than the rest.
void warn_of_load(BenchReport& report) {
  double load = 0;
  if (getloadavg(&load, 1) == 1 && load > 0.3 * static_cast<double>(available_cores())) {
    report.warnings.push_back(
        fmt::format("the machine is busy with other work (load {:.1f} on {} cores): the figures will be low",
                    load, available_cores()));
  }
}

}  // namespace

BenchReport bench(const BenchOptions& options, const RunContext& context) {
  if (!(options.seconds > 0 && options.seconds <= 3600)) {
    throw Error("--seconds", fmt::format("{}: more than 0 and at most 3600 is meant", options.seconds));
  }
  const auto workloads = chosen(options.only);
  const bool cuda = context.device.is_cuda(), hardware = cuda || cpu_has_bfloat16();
  const bool bf16 = context.precision == Precision::bf16 || hardware;
  std::vector<at::ScalarType> dtypes;
  if (context.precision != Precision::bf16) dtypes.push_back(at::kFloat);
  if (context.precision != Precision::f32 && bf16) dtypes.push_back(at::kBFloat16);

  limit_kept_memory(context.memory);
  BenchReport report;
  const auto workers = std::make_shared<Workers>(cuda ? 1 : context.threads);
  report.machine["cpu"] = cpu_name();
  report.machine["cores"] = available_cores();
  report.machine["threads"] = workers->threads();
  report.machine["device"] = context.device.str();
  report.machine["libtorch"] = TORCH_VERSION;
  report.machine["blas"] = blas_library();
  report.machine["bf16"] = hardware;
  warn_of_load(report);

  const auto dtypes_of = [&](const NamedWorkload& named) {
    return named.network ? dtypes : std::vector<at::ScalarType>{at::kFloat};
  };
  int64_t pieces = ceiling_count(bf16);
  for (const NamedWorkload& named : workloads) pieces += static_cast<int64_t>(dtypes_of(named).size());
  Meter meter(options.seconds, context.observer, pieces);
  report.ceilings = measure_ceilings(meter, *workers, context.device, bf16);
  for (const NamedWorkload& named : workloads) {
    for (const at::ScalarType dtype : dtypes_of(named)) {
      const PeakMemory memory;
      const Workload workload = named.make({context.device, dtype, workers});
      const double rows = static_cast<double>(workload.rows);
      const double per_second = rows * meter.rate(workload.call, rows);
      const bool half = dtype == at::kBFloat16;
      const double gflops = 1e-9 * per_second * workload.flops_per_row;
      const Ceilings& ceilings = report.ceilings;
      const double ceiling = !named.network ? ceilings.sgemm_gflops
                             : half         ? *ceilings.conv_bf16_gflops
                                            : ceilings.conv_f32_gflops;
      report.results.push_back({.name = named.name,
                                .dtype = half ? "bf16" : "f32",
                                .items_per_s = per_second,
                                .gflops = gflops,
                                .fraction_of_ceiling = gflops / ceiling,
                                .peak_memory_bytes = memory.bytes()});
    }
  }
  return report;
}

Summary to_json(const BenchReport& report) {
  Summary json;
  json["machine"] = report.machine;
  Summary& ceilings = json["ceilings"];
  ceilings["sgemm_gflops"] = report.ceilings.sgemm_gflops;
  ceilings["conv_f32_gflops"] = report.ceilings.conv_f32_gflops;
  ceilings["conv_bf16_gflops"] = nullptr;
  if (report.ceilings.conv_bf16_gflops) ceilings["conv_bf16_gflops"] = *report.ceilings.conv_bf16_gflops;
  ceilings["copy_gbps"] = report.ceilings.copy_gbps;
  json["results"] = Summary::array();
  for (const BenchResult& result : report.results) {
    Summary row;
    row["name"] = result.name;
    row["dtype"] = result.dtype;
    row["items_per_s"] = result.items_per_s;
    row["gflops"] = result.gflops;
    row["fraction_of_ceiling"] = result.fraction_of_ceiling;
    row["peak_memory_bytes"] = result.peak_memory_bytes;
    json["results"].push_back(std::move(row));
  }
  json["warnings"] = report.warnings;
  return json;
}

}  // namespace tweedie
