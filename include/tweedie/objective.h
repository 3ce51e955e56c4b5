#pragma once
// What score-based training minimises, each a choice of what the network computes (NetworkOutput,
// predictor.h), of noise levels and of a weight. All but implicit and sliced score matching regress:
//   E w(sigma) |D(x + sigma n; sigma) - x|^2,  whose minimiser is E[x | x + sigma n] whatever the weight.

#include "tweedie/predictor.h"

#include <cstdint>
#include <optional>
#include <variant>

namespace tweedie {

// w(sigma), with s = sigma / sigma_data. natural: |F - its target|^2 has weight 1, the paper's own choice.
enum class Weighting {
  natural,
  data,     // 1: |D - x|^2 in units of sigma_data
  noise,    // 1 / s^2: the noise's squared error
  edm,      // (1 + s^2) / s^2
  min_snr,  // min(1 / s^2, 5): Hang et al. 2023
};
constexpr auto names(Weighting) {
  return std::array{"natural", "data", "noise", "edm", "min-snr"};
}

// Karras et al. 2022 (EDM), table 1: ln sigma ~ N(p_mean, p_std^2), F's natural weight is (sigma^2 +
// sigma_data^2) / (sigma sigma_data)^2; the loss is 1 per dimension at a zero network when std(x) =
// sigma_data.
struct EdmObjective {
  static constexpr const char* kind = "edm";
  double p_mean = -1.2;
  double p_std = 1.2;
  Weighting weighting = Weighting::natural;
};

// Ho et al. 2020 (DDPM): t uniform along a VP path's steps on x / sigma_data, all as likely; the network
// predicts the noise, or the data, or Salimans and Ho's velocity.
struct DdpmObjective {
  static constexpr const char* kind = "ddpm";
  enum class Prediction { noise, data, velocity };
  Prediction prediction = Prediction::noise;
  std::variant<VpLinear, VpScaledLinear, Cosine> path;
  bool learn_variance = false;  // of the ancestral step: Nichol and Dhariwal 2021, 0.001 of their L_vlb
  Weighting weighting = Weighting::natural;
};
constexpr auto names(DdpmObjective::Prediction) {
  return std::array{"noise", "data", "velocity"};
}

// Song and Ermon 2019, 2020 (NCSN): the score times sigma at levels geometric from sigma_max to sigma_min,
// weight sigma^2 on the score's error; input scaled to unit variance.
struct NcsnObjective {
  static constexpr const char* kind = "ncsn";
  double sigma_min = 0.002;
  double sigma_max = 80;
  std::optional<int64_t> levels;  // ln sigma uniform without it
  Weighting weighting = Weighting::natural;
};

// Lipman et al. 2023, Liu et al. 2023 (rectified flow): x_t = (1 - t) x / sigma_data + t n, the network
// predicts n - x / sigma_data.
struct FlowMatchingObjective {
  static constexpr const char* kind = "flow-matching";
  enum class Times { uniform, logit_normal };  // Esser et al. 2024: logit(t) ~ N(0, 1)
  Times times = Times::uniform;
  // Tong et al. 2024, Pooladian et al. 2023: noise and data of the rows that are worked on together are
  // paired by the assignment of least squared distance
  // (16 to 256 of them). The flow is then straighter and still one to the data, for ODE samplers; but D is no
  // longer E[x_0 | x_sigma].
  bool optimal_transport = false;
  Weighting weighting = Weighting::natural;
};
constexpr auto names(FlowMatchingObjective::Times) {
  return std::array{"uniform", "logit-normal"};
}

// Vincent 2011: denoising score matching at one level. What it learns is p_sigma alone, for Langevin samplers
// there.
struct DsmObjective {
  static constexpr const char* kind = "dsm";
  double sigma = 0.1;  // > 0
};

// Hyvarinen 2005: E sigma^2 (|s|^2 + 2 tr ds/dx), s = (D - x) / sigma^2, at x + sigma n with ln sigma ~
// N(p_mean, p_std^2). Its minimiser is the score of p_sigma; the noise is not regressed on. The trace is
// exact: d derivatives.
struct IsmObjective {
  static constexpr const char* kind = "ism";
  double p_mean = -1.2;
  double p_std = 1.2;
};

// Song et al. 2019: the trace from random directions v, E v v^T = I: sigma^2 (|s|^2 + 2 v^T ds/dx v), or with
// (v^T s)^2 in place of |s|^2, which has the same mean and more variance.
struct SsmObjective {
  static constexpr const char* kind = "ssm";
  enum class Direction { rademacher, gaussian, sphere };
  Direction direction = Direction::rademacher;
  int64_t projections = 1;       // >= 1
  bool variance_reduced = true;  // |s|^2 in place of (v^T s)^2
  double p_mean = -1.2;
  double p_std = 1.2;
};
constexpr auto names(SsmObjective::Direction) {
  return std::array{"rademacher", "gaussian", "sphere"};
}

using Objective = std::variant<EdmObjective, DdpmObjective, NcsnObjective, FlowMatchingObjective,
                               DsmObjective, IsmObjective, SsmObjective>;

// How many outputs the network has: 2 with a variance
int64_t network_outputs(const Objective& objective);
// What a network trained with it computes
NetworkOutput network_output(const Objective& objective);

}  // namespace tweedie
