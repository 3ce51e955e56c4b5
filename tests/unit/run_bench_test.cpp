// What tweedie bench says, in the form that other programs read. How fast things are is not tested.
#include "core/shape.h"
#include "core/workers.h"
#include "run/bench.h"
#include "run/bench_meter.h"
#include "run/bench_workloads.h"

#include "check_tensor.h"

#include <gmock/gmock.h>

#include <set>

namespace tweedie {
namespace {

using ::testing::ElementsAre;
using ::testing::IsSupersetOf;

std::vector<std::string> keys(const Summary& object) {
  std::vector<std::string> result;
  for (const auto& [key, value] : object.items()) result.push_back(key);
  return result;
}

BenchReport report_of_an_old_cpu() {
  BenchReport report;
  report.machine["cpu"] = "486";
  report.ceilings = {.sgemm_gflops = 300, .conv_f32_gflops = 200, .conv_bf16_gflops = {}, .copy_gbps = 10};
  report.results.push_back({.name = "unet.sample",
                            .dtype = "f32",
                            .items_per_s = 7,
                            .gflops = 20,
                            .fraction_of_ceiling = 0.1,
                            .peak_memory_bytes = 1000});
  return report;
}

TEST(Bench, JsonHasTheFieldsOfTheContract) {
  const Summary json = to_json(report_of_an_old_cpu());
  EXPECT_THAT(keys(json), ElementsAre("machine", "ceilings", "results", "warnings"));
  EXPECT_THAT(keys(json["ceilings"]),
              ElementsAre("sgemm_gflops", "conv_f32_gflops", "conv_bf16_gflops", "copy_gbps"));
  ASSERT_EQ(json["results"].size(), 1u);
  EXPECT_THAT(keys(json["results"][0]), ElementsAre("name", "dtype", "items_per_s", "gflops",
                                                    "fraction_of_ceiling", "peak_memory_bytes"));
  EXPECT_TRUE(json["ceilings"]["conv_bf16_gflops"].is_null());
  EXPECT_EQ(json["results"][0]["fraction_of_ceiling"], 0.1);
}

TEST(Bench, NamesAreThoseOfTheContract) {
  std::vector<std::string> names;
  for (const NamedWorkload& workload : bench_workloads()) names.push_back(workload.name);
  EXPECT_THAT(names, IsSupersetOf({"unet.sample", "unet.train", "unet.guided", "demo.sample", "demo.train",
                                   "demo.guided", "unet64.sample", "unet64.dps", "mlp.sample", "mlp.train",
                                   "mlp2d.train", "mlp2d.draw", "mixture.score", "mixture.score_full",
                                   "mcgdiff.run", "mcgdiff.chains"}));
  EXPECT_EQ(std::set(names.begin(), names.end()).size(), names.size());
}

// Layer by layer, by hand: what the benches divide by.
TEST(Bench, NetworksHaveTheSizeOfTheirPeers) {
  std::vector<double> flops;
  for (const BenchNetwork& bench : bench_networks())
    flops.push_back(make_network(bench.options, bench.shape)->flops());
  EXPECT_THAT(flops, ElementsAre(1956544512, 38976225280, 228643328, 1245184, 246784));
}

TEST(Bench, RefusesWhatItCantMeasure) {
  expect_error([] { bench({.only = {"unet.sampel"}}, {}); }, {"--only", "unet.sampel", "unet.sample"});
  expect_error([] { bench({.only = {"une"}}, {}); }, {"--only", "une"});
  expect_error([] { bench({.seconds = 0}, {}); }, {"--seconds", "0"});
  expect_error([] { bench({.seconds = std::nan("")}, {}); }, {"--seconds", "nan"});
}

BenchSettings two_workers() {
  return {.device = at::kCPU, .dtype = at::kFloat, .workers = std::make_shared<Workers>(2)};
}

// A guided row is a value and three derivatives, none of which is left out because a solve stops early.
TEST(Bench, GuidingCountsThePassesThatItMakes) {
  const BenchNetwork tiny{.name = "tiny",
                          .options = UNetOptions{.channels = 4, .multipliers = {1}, .blocks = 1},
                          .shape = {1, 8, 8},
                          .batch = 32,
                          .guided = true};
  const double forward = make_network(tiny.options, tiny.shape)->flops();
  const Workload guided = guiding(tiny, two_workers());
  EXPECT_EQ(guided.flops_per_row, 4 * forward);
  EXPECT_EQ(guided.rows, 4 * rows_together(tiny.shape));
  guided.call();
}

TEST(Bench, WorkloadsRun) {
  const BenchNetwork tiny{.name = "tiny",
                          .options = MlpOptions{.width = 8, .depth = 1},
                          .shape = {4},
                          .batch = 32,
                          .guided = false};
  const double forward = make_network(tiny.options, tiny.shape)->flops();
  const Workload sample = sampling(tiny, two_workers()), train = training(tiny, two_workers());
  EXPECT_EQ(sample.flops_per_row, forward);
  EXPECT_EQ(train.flops_per_row, 3 * forward);
  EXPECT_EQ(train.rows, 32);
  sample.call();
  train.call();
}

TEST(BenchMeter, WarmsUpAndTakesFiveIntervals) {
  int calls = 0;
  std::vector<int64_t> done;
  Meter meter(
      1e-9,
      [&](const Progress& progress) {
        EXPECT_EQ(progress.total, 6);
        done.push_back(progress.done);
        return Control::proceed;
      },
      1);
  EXPECT_GT(meter.rate([&] { ++calls; }), 0);
  EXPECT_EQ(calls, 6);
  EXPECT_THAT(done, ElementsAre(0, 1, 2, 3, 4, 5, 6));
}

TEST(BenchMeter, StopsWhenTold) {
  int calls = 0;
  Meter meter(
      1e-9, [&](const Progress&) { return calls == 3 ? Control::stop : Control::proceed; }, 2);
  EXPECT_THROW(meter.rate([&] { ++calls; }), Interrupted);
  EXPECT_EQ(calls, 3);
}

// Where the kernel does not let it count anew, both are the peak of the process.
TEST(BenchMeter, PeakMemoryIsOfItsTime) {
  const int64_t bytes = 64 << 20;
  int64_t with = 0;
  {
    const PeakMemory memory;
    EXPECT_EQ(at::ones({bytes / 4}).min().item<double>(), 1);
    with = memory.bytes();
  }
  EXPECT_GT(with, bytes);
  EXPECT_LE(PeakMemory().bytes(), with);
}

}  // namespace
}  // namespace tweedie
