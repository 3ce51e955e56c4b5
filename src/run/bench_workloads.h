#pragma once
// The pieces of work that tweedie bench measures, each done as the program does it.

#include "tweedie/network.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tweedie {

class Workers;

// One call does the work for so many rows.
struct Workload {
  int64_t rows;
  double flops_per_row;
  std::function<void()> call;
};

struct BenchSettings {
  at::Device device;
  at::ScalarType dtype;  // what the network computes in
  std::shared_ptr<Workers> workers;
};

// A network and the size of the batches it is fed.
struct BenchNetwork {
  std::string name;
  NetworkOptions options;
  Shape shape;
  int64_t batch;             // of training
  bool guided;               // whether it is measured under guidance too
  bool whole_draws = false;  // whether whole walks are, not their steps alone
};

// D(x; sigma) in slices, two for each worker where they are many
Workload sampling(const BenchNetwork& network, const BenchSettings& settings);
// One step of the Trainer
Workload training(const BenchNetwork& network, const BenchSettings& settings);
// D_y(x; sigma) on 25% of the pixels, in slices like sampling: of mmps with three iterations, and of dps
Workload guiding(const BenchNetwork& network, const BenchSettings& settings);
Workload guiding_once(const BenchNetwork& network, const BenchSettings& settings);
// 4,096 draws of 50 steps of Heun's sampler
Workload drawing(const BenchNetwork& network, const BenchSettings& settings);

// The 25-component mixture in 80 dimensions: D(x; sigma), with covariances I or full ones, in slices of 256
// rows; and mcgdiff over 100 steps, of which one row is a particle's step, with 1,000 particles in one chain
// or 128 in each of 1,000 chains.
Workload score_isotropic(const BenchSettings& settings);
Workload score_full(const BenchSettings& settings);
Workload particles(const BenchSettings& settings);
Workload chains(const BenchSettings& settings);

// 256 x 256 pixels, 8 coils: iterations of CG-SENSE on a quarter of the lines; transforms of coil images to
// and from 256 spokes of 512 samples.
Workload sense_iterations(const BenchSettings& settings);
Workload nufft_forward(const BenchSettings& settings);
Workload nufft_adjoint(const BenchSettings& settings);

// "unet": the yardstick of all comparisons. "demo": the network of the prior that the demo ships
// (examples/demo/train.toml). "unet64": coloured images of four times the pixels.
// "mlp": vectors. "mlp2d": points of the plane.
const std::vector<BenchNetwork>& bench_networks();

struct NamedWorkload {
  std::string name;  // "unet.sample"
  std::function<Workload(const BenchSettings&)> make;
  bool network = true;  // else: work of the CPU in float32, held against its matrix product
};
std::vector<NamedWorkload> bench_workloads();

}  // namespace tweedie
