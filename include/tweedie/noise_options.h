#pragma once
// The noise models there are, as options; noise_model.h has their maths.

#include "tweedie/noise_model.h"
#include "tweedie/operator_options.h"

#include <filesystem>
#include <variant>

namespace tweedie {

// Real noise of standard deviation std, or of std_file's for each entry, or of a full covariance: one of them
struct GaussianNoiseOptions {
  static constexpr const char* kind = "gaussian";
  // Where the level is unknown (`infer` only; unknown_noise.h)
  enum class Estimate {
    none,   // it is stated
    data,   // one level, from y before anything else
    gibbs,  // drawn together with x
  };
  Estimate estimate = Estimate::none;
  double std = 0.1;                    // >= 0, in the units of y
  std::filesystem::path std_file{};    // (*codomain), > 0
  std::filesystem::path covariance{};  // (m, m) over the flattened codomain
  // gibbs: the law of noise_std^2 before y, inverse gamma of density ~ v^(-shape - 1) exp(-scale / v). -0.5
  // and 0 are flat in noise_std; 0 and 0 (Jeffreys) have no posterior where A Cov[x] A^T is regular.
  int64_t sweeps = 50;  // before each draw
  double prior_shape = -0.5, prior_scale = 0;
};

// Complex y (*S, 2) with E|w|^2 = std^2, so std / sqrt(2) for the real and for the imaginary part
struct ComplexGaussianNoiseOptions {
  static constexpr const char* kind = "complex-gaussian";
  double std = 0.1;                  // >= 0
  std::filesystem::path std_file{};  // (*S), > 0; instead of std
};

struct CountingOptions {
  double gain = 1;                          // > 0, counts for one unit of h(x)
  double background = 0;                    // >= 0, counts
  std::filesystem::path background_file{};  // (*codomain), >= 0; instead of background
  bool scaled = false;                      // y is counts / gain
};
struct PoissonNoiseOptions : CountingOptions {
  static constexpr const char* kind = "poisson";
};
struct PoissonGaussianNoiseOptions : CountingOptions {
  static constexpr const char* kind = "poisson-gaussian";
  enum class Density { exact, gaussian };
  double std = 1;                    // > 0, of reading, in counts
  Density density = Density::exact;  // gaussian: N(rate, rate + std^2)
};

struct LaplaceNoiseOptions {
  static constexpr const char* kind = "laplace";
  double scale = 0.1;  // > 0; the standard deviation is sqrt(2) scale
};
struct StudentNoiseOptions {
  static constexpr const char* kind = "student";
  double freedom = 4;  // > 0
  double scale = 0.1;  // > 0
};
struct BernoulliNoiseOptions {
  static constexpr const char* kind = "bernoulli";
  Link link = Link::logit;
  double scale = 1;      // > 0, of the noise before the threshold
  double threshold = 0;  // in units of h(x)
};

using NoiseOptions = std::variant<GaussianNoiseOptions, ComplexGaussianNoiseOptions, PoissonNoiseOptions,
                                  PoissonGaussianNoiseOptions, LaplaceNoiseOptions, StudentNoiseOptions,
                                  BernoulliNoiseOptions>;

// The noise that the options describe, on y of shape `codomain`. Wrong options are an Error that names the
// field
// ("measurement.noise.std_file"), its value and what was meant. An unknown level has to be known first.
NoiseModelPtr make_noise(const NoiseOptions& options, const Shape& codomain, const ReadArray& read_array);

}  // namespace tweedie
