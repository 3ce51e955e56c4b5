#include "tweedie/predictor.h"

#include "core/shape.h"
#include "prior/scaling.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

template <class... F>
struct Overload : F... {
  using F::operator()...;
};
template <class... F>
Overload(F...) -> Overload<F...>;

// A path at one noise ratio, each of sigma's shape. On all three paths the Wronskian
// alpha d(sigma) - sigma d(alpha) is 1, in VP with the angle as time.
struct Point {
  Tensor alpha, sigma, d_alpha, d_sigma;
  Tensor t;
};

// The real t at which `table` (ascending) has the value, held at its ends.
Tensor invert(const Tensor& table, const Tensor& value) {
  const int64_t last = table.numel() - 1;
  if (last == 0) return at::zeros_like(value);
  const Tensor right = at::searchsorted(table, value.contiguous()).clamp(1, last);
  const Tensor low = table.take(right - 1), high = table.take(right);
  return (right - 1 + (value - low) / (high - low)).clamp(0, static_cast<double>(last));
}

Point locate(const Path& path, const Tensor& ratio, const Tensor& log_sigma) {
  return std::visit(
      Overload{[&](const VariancePreserving auto&) -> Point {
                 const Tensor alpha = (1 + ratio * ratio).rsqrt(), sigma = ratio * alpha;
                 const Tensor t = invert(log_sigma.to(ratio.device()), ratio.to(at::kDouble).log());
                 return {alpha, sigma, -sigma, alpha, t.to(ratio.scalar_type())};
               },
               [&](const Ve&) -> Point {
                 return {at::ones_like(ratio), ratio, at::zeros_like(ratio), at::ones_like(ratio), ratio};
               },
               [&](const Flow&) -> Point {
                 const Tensor alpha = 1 / (1 + ratio), sigma = ratio * alpha;
                 return {alpha, sigma, -at::ones_like(ratio), at::ones_like(ratio), sigma};
               }},
      path);
}

// D from what the network says at x_t = alpha x
Tensor data_from(Prediction prediction, const Point& p, const Tensor& x, const Tensor& ratio,
                 const Tensor& output) {
  switch (prediction) {
    case Prediction::noise:
      return x - ratio * output;
    case Prediction::data:
      return output;
    case Prediction::score:
      return x + ratio * p.sigma * output;  // (x_t + sigma_t^2 score) / alpha
    case Prediction::velocity:
      return p.d_sigma * (p.alpha * x) - p.sigma * output;
  }
  throw Error("prediction", "not one of noise, data, score, velocity");
}

// t of shape (B) for a network, from () or (B, 1, ..., 1); of stride 0 from ()
Tensor per_row(const Tensor& t, const Tensor& x) {
  return t.reshape({-1}).expand({x.size(0)});
}

Tensor checked(const Tensor& output, const Tensor& input) {
  if (output.sizes() != input.sizes() || output.scalar_type() != input.scalar_type()) {
    throw Error("network", fmt::format("gives {} {} for an input of {} {}, but the same is needed",
                                       toString(output.scalar_type()), to_string(output.sizes()),
                                       toString(input.scalar_type()), to_string(input.sizes())));
  }
  return output;
}

}  // namespace

PredictorDenoiser::PredictorDenoiser(std::shared_ptr<const Predictor> network, Path path,
                                     Prediction prediction, Shape shape)
    : network_(std::move(network)), path_(path), prediction_(prediction), shape_(std::move(shape)) {
  const auto set_table = [&](const VariancePreserving auto& vp) {
    const Tensor a = alpha_bar(vp).slice(0, 1);
    log_sigma_ = 0.5 * ((1 - a) / a).log();
  };
  std::visit(Overload{set_table, [](const Ve&) {}, [](const Flow&) {}}, path_);
}

Tensor PredictorDenoiser::do_mean(const Tensor& x, const Tensor& ratio) const {
  const Point p = locate(path_, ratio, log_sigma_);
  const Tensor x_t = p.alpha * x;
  const Tensor output = checked(network_->predict(x_t, per_row(p.t, x)), x_t);
  return data_from(prediction_, p, x, ratio, output);
}

namespace {

// Without what a network computes beside its prediction
Tensor first_output(const Tensor& output, const Tensor& input) {
  const bool more = output.dim() == input.dim() && output.size(1) > input.size(1);
  return more ? output.slice(1, 0, input.size(1)) : output;
}

double rsqrt(double x) {
  return 1 / std::sqrt(x);
}
double constant(double value, double /*like*/) {
  return value;
}
Tensor constant(double value, const Tensor& like) {
  return at::full_like(like, value);
}

// Scaling: NetworkScaling of a Tensor, LevelScaling of a number
template <class Scaling, class Sigma>
Scaling scaling_of(NetworkOutput output, const Sigma& sigma, double sigma_data) {
  using std::log;
  const double data = sigma_data * sigma_data;
  const Sigma total = sigma * sigma + data, c_in = rsqrt(total), c_noise = log(sigma) / 4;
  switch (output) {
    case NetworkOutput::edm:
      return {data / total, sigma * sigma_data * c_in, c_in, c_noise};
    case NetworkOutput::noise:
      return {constant(1, sigma), -sigma, c_in, c_noise};
    case NetworkOutput::data:
      return {constant(0, sigma), constant(sigma_data, sigma), c_in, c_noise};
    case NetworkOutput::velocity:
      return {data / total, -sigma * sigma_data * c_in, c_in, c_noise};
    case NetworkOutput::flow: {
      const Sigma sum = sigma + sigma_data;
      return {sigma_data / sum, -sigma * sigma_data / sum, 1 / sum, c_noise};
    }
  }
  throw Error("output", "not one of edm, noise, data, velocity, flow");
}

}  // namespace

NetworkScaling network_scaling(NetworkOutput output, const Tensor& sigma, double sigma_data) {
  return scaling_of<NetworkScaling>(output, sigma, sigma_data);
}

LevelScaling network_scaling(NetworkOutput output, double sigma, double sigma_data) {
  return scaling_of<LevelScaling>(output, sigma, sigma_data);
}

NetworkDenoiser::NetworkDenoiser(std::shared_ptr<const Predictor> network, double sigma_data, Shape shape,
                                 NetworkOutput output)
    : network_(std::move(network)), sigma_data_(sigma_data), shape_(std::move(shape)), output_(output) {
  if (!(sigma_data > 0 && std::isfinite(sigma_data))) {
    throw Error("sigma_data", fmt::format("{}, but a finite value above 0 is needed", sigma_data));
  }
}

Tensor NetworkDenoiser::do_mean(const Tensor& x, const Tensor& sigma) const {
  const auto [c_skip, c_out, c_in, c_noise] = network_scaling(output_, sigma, sigma_data_);
  const Tensor input = c_in * x;
  return c_skip * x +
         c_out * checked(first_output(network_->predict(input, per_row(c_noise, x)), input), input);
}

MeanAndRange NetworkDenoiser::do_mean_and_range(const Tensor& x, const Tensor& sigma) const {
  const auto [c_skip, c_out, c_in, c_noise] = network_scaling(output_, sigma, sigma_data_);
  const Tensor input = c_in * x, both = network_->predict(input, per_row(c_noise, x));
  if (both.size(1) != 2 * input.size(1)) return Denoiser::do_mean_and_range(x, sigma);
  const auto parts = both.chunk(2, 1);
  return {c_skip * x + c_out * checked(parts[0].contiguous(), input), (parts[1] + 1) / 2, sigma_data_};
}

}  // namespace tweedie
