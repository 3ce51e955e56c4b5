#pragma once
// The adapter: the only place that knows alpha_t and what a network predicts. A network lives at
//   x_t = alpha_t x_0 + sigma_t eps,  so x = x_t / alpha_t is in the one coordinate at sigma = sigma_t /
//   alpha_t.

#include "tweedie/denoiser.h"
#include "tweedie/schedule.h"

#include <array>
#include <memory>
#include <variant>

namespace tweedie {

// What a network computes from its own input.
class Predictor {
 public:
  virtual ~Predictor() = default;
  // x_t: (B, *shape); t: (B), of x_t's dtype and device. Returns (B, *shape) of that dtype, or more outputs
  // along its first axis of which the first is the prediction; differentiable in x_t. Called from several
  // threads at once.
  virtual Tensor predict(const Tensor& x_t, const Tensor& t) const = 0;
};

enum class Prediction {
  noise,     // eps
  data,      // D = E[x_0 | x_t]
  score,     // grad log p_t(x_t) = (alpha_t D - x_t) / sigma_t^2
  velocity,  // E[d(alpha) x_0 + d(sigma) eps | x_t]; on the VP path alpha eps - sigma x_0 (Salimans and Ho
             // 2022)
};

// Where a network lives. VP (schedule.h): alpha^2 = alpha-bar of step t + 1, t from 0 to train_steps - 1 and
// real, log(alpha / sigma) linear between steps; outside the trained levels t stays at its end.
struct Ve {  // alpha = 1, sigma_t = t
  static constexpr const char* kind = "ve";
};
struct Flow {  // alpha = 1 - t, sigma_t = t
  static constexpr const char* kind = "flow";
};
using Path = std::variant<VpLinear, VpScaledLinear, Cosine, Ve, Flow>;

class PredictorDenoiser final : public Denoiser {
 public:
  PredictorDenoiser(std::shared_ptr<const Predictor> network, Path path, Prediction prediction, Shape shape);
  Shape shape() const override { return shape_; }

 protected:
  Tensor do_mean(const Tensor& x, const Tensor& sigma) const override;

 private:
  std::shared_ptr<const Predictor> network_;
  Path path_;
  Prediction prediction_;
  Shape shape_;
  Tensor log_sigma_;  // VP: log(sigma / alpha) at t = 0 .. train_steps - 1, float64
};

// What a network F of ours computes, for data of standard deviation sigma_data. All of them are one formula,
//   D(x; sigma) = c_skip x + c_out F(c_in x, c_noise),   c_noise = ln(sigma) / 4,   s = sigma / sigma_data:
//
// clang-format off
//             c_skip       c_out                 c_in                           what F is trained towards
//   edm       1/(1+s^2)    sigma/sqrt(1+s^2)     1/(sigma_data sqrt(1+s^2))     Karras et al. 2022, table 1
//   noise     1           -sigma                 as edm                         n (Ho et al. 2020)
//   data      0            sigma_data            as edm                         x_0/sigma_data
//   velocity  1/(1+s^2)   -sigma/sqrt(1+s^2)     as edm                         minus that of edm (Salimans, Ho 2022)
//   flow      1/(1+s)     -sigma/(1+s)           1/(sigma_data (1+s))           n - x_0/sigma_data (Lipman et al. 2023)
// clang-format on
// noise, data and velocity are those of the VP path with alpha = 1 / sqrt(1 + s^2) on x / sigma_data.
enum class NetworkOutput { edm, noise, data, velocity, flow };
constexpr auto names(NetworkOutput) {
  return std::array{"edm", "noise", "data", "velocity", "flow"};
}
struct NetworkScaling {
  Tensor c_skip, c_out, c_in, c_noise;  // each of sigma's shape
};
NetworkScaling network_scaling(NetworkOutput output, const Tensor& sigma, double sigma_data);

// A raw network F as a denoiser; F is given t = c_noise. A second output, where there is one, is the range of
// the variance, 2 range - 1.
class NetworkDenoiser final : public Denoiser {
 public:
  NetworkDenoiser(std::shared_ptr<const Predictor> network, double sigma_data, Shape shape,
                  NetworkOutput output = NetworkOutput::edm);
  Shape shape() const override { return shape_; }
  double sigma_data() const { return sigma_data_; }

 protected:
  Tensor do_mean(const Tensor& x, const Tensor& sigma) const override;
  MeanAndRange do_mean_and_range(const Tensor& x, const Tensor& sigma) const override;

 private:
  std::shared_ptr<const Predictor> network_;
  double sigma_data_;
  Shape shape_;
  NetworkOutput output_;
};

}  // namespace tweedie
