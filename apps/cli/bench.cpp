#include "cli.h"

namespace tweedie::cli {

namespace {

std::vector<std::string> table(const BenchReport& report) {
  std::vector<std::string> lines;
  const auto line = [&](const char* name, const std::string& value) {
    lines.push_back(fmt::format("{:<10}  {}", name, value));
  };
  const Ceilings& c = report.ceilings;
  line("cpu", report.machine["cpu"].get<std::string>());
  line("threads", report.machine["threads"].dump());
  line("device", report.machine["device"].get<std::string>());
  line("libtorch", report.machine["libtorch"].get<std::string>());
  line("blas", report.machine["blas"].get<std::string>());
  line("sgemm", fmt::format("{:.0f} GFLOP/s", c.sgemm_gflops));
  line("conv f32", fmt::format("{:.0f} GFLOP/s", c.conv_f32_gflops));
  if (c.conv_bf16_gflops) line("conv bf16", fmt::format("{:.0f} GFLOP/s", *c.conv_bf16_gflops));
  line("copy", fmt::format("{:.1f} GB/s", c.copy_gbps));
  lines.push_back("");
  lines.push_back(fmt::format("{:<18}  {:<5}  {:>10}  {:>8}  {:>10}  {:>8}", "name", "dtype", "items/s",
                              "GFLOP/s", "of ceiling", "peak MB"));
  for (const BenchResult& r : report.results) {
    lines.push_back(fmt::format("{:<18}  {:<5}  {:>10.1f}  {:>8.0f}  {:>9.0f}%  {:>8.0f}", r.name, r.dtype,
                                r.items_per_s, r.gflops, 100 * r.fraction_of_ceiling,
                                1e-6 * static_cast<double>(r.peak_memory_bytes)));
  }
  return lines;
}

}  // namespace

void add_bench(CLI::App& app, Shared& shared, Action& action) {
  CLI::App* command =
      app.add_subcommand("bench", "how fast the work is on this machine, beside what the machine can do");
  const auto options = std::make_shared<BenchOptions>();
  command
      ->add_option(
          "--only", options->only,
          "unet, demo, mlp, mixture, mcgdiff or one of their unet.sample, mixture.score, ...; repeatable")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command->add_option("--seconds", options->seconds, "to measure each for, at least (2)")->type_name("S");
  command->callback([=, &shared, &action] {
    action = [=, &shared] {
      const BenchReport report = shared.services().bench(*options, shared.context(""));
      print(shared, shared.services().bench_json(report), table(report));
      return 0;
    };
  });
}

}  // namespace tweedie::cli
