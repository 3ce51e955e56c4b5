#include "tweedie/noise_options.h"

#include "core/shape.h"
#include "operator/entrywise_noise.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

struct Builder {
  const Shape& codomain;
  const ReadArray& read_array;

  // A real array of one of these shapes
  Tensor read(const std::filesystem::path& path, const Shape& shape) const {
    const Tensor array = read_array(path);
    if (array.is_complex()) throw Error(path.string(), "complex numbers, but real ones are needed");
    if (array.sizes() != at::IntArrayRef(shape)) {
      throw Error(path.string(), fmt::format("shape {}, but {} is needed, that of y",
                                             to_string(array.sizes()), to_string(shape)));
    }
    return array.to(at::kDouble);
  }
  // What is wrong with a file's values is an error of the file.
  template <class Make>
  static NoiseModelPtr from(const std::filesystem::path& path, Make make) {
    try {
      return make();
    } catch (const Error& e) {
      throw Error(path.string(), std::string(e.what()).substr(e.place().size() + 2));
    }
  }
  // At "noise.std" it is one of "measurement.noise.std".
  template <class Make>
  static NoiseModelPtr in_config(Make make) {
    try {
      return make();
    } catch (const Error& e) {
      throw Error("measurement.noise." + e.place().substr(e.place().find('.') + 1),
                  std::string(e.what()).substr(e.place().size() + 2));
    }
  }

  NoiseModelPtr operator()(const GaussianNoiseOptions& o) const {
    if (o.estimate != GaussianNoiseOptions::Estimate::none) {
      throw Error("measurement.noise.estimate",
                  "only infer estimates a noise level; here std, std_file or covariance is needed");
    }
    if (!o.std_file.empty() && !o.covariance.empty())
      throw Error("measurement.noise", "std_file and covariance are both given; one of them is meant");
    if (!o.std_file.empty())
      return from(o.std_file, [&] { return make_gaussian_noise(read(o.std_file, codomain)); });
    if (!o.covariance.empty())
      return from(o.covariance, [&] { return make_correlated_noise(array(o.covariance), codomain); });
    return in_config([&] { return make_gaussian_noise(o.std); });
  }
  NoiseModelPtr operator()(const ComplexGaussianNoiseOptions& o) const {
    if (codomain.empty() || codomain.back() != 2) {
      throw Error("measurement.noise.kind",
                  fmt::format("complex-gaussian, but y is real, of shape {}; gaussian is meant",
                              to_string(codomain)));
    }
    if (o.std_file.empty()) return in_config([&] { return make_gaussian_noise(o.std / std::sqrt(2)); });
    const Shape one(codomain.begin(), codomain.end() - 1);
    return from(o.std_file, [&] {
      const Tensor std = read(o.std_file, one) / std::sqrt(2);
      return make_gaussian_noise(std.unsqueeze(-1).expand(codomain).contiguous());
    });
  }
  NoiseModelPtr operator()(const PoissonNoiseOptions& o) const {
    return counting(o, [](const Counting& c) { return make_poisson_noise(c); });
  }
  NoiseModelPtr operator()(const PoissonGaussianNoiseOptions& o) const {
    const bool gaussian = o.density == PoissonGaussianNoiseOptions::Density::gaussian;
    return counting(o, [&](const Counting& c) { return make_poisson_gaussian_noise(c, o.std, gaussian); });
  }
  NoiseModelPtr operator()(const LaplaceNoiseOptions& o) const {
    return in_config([&] { return make_laplace_noise(o.scale); });
  }
  NoiseModelPtr operator()(const StudentNoiseOptions& o) const {
    return in_config([&] { return make_student_noise(o.freedom, o.scale); });
  }
  NoiseModelPtr operator()(const BernoulliNoiseOptions& o) const {
    return in_config([&] { return make_bernoulli_noise({o.link, o.scale, o.threshold}); });
  }

  Tensor array(const std::filesystem::path& path) const {
    const Tensor values = read_array(path);
    if (values.is_complex()) throw Error("covariance", "complex numbers, but real ones are needed");
    return values.to(at::kDouble);
  }
  template <class Make>
  NoiseModelPtr counting(const CountingOptions& o, Make make) const {
    Counting c{.gain = o.gain, .background = {}, .scaled = o.scaled};
    if (!o.background_file.empty()) {
      c.background = read(o.background_file, codomain);
      return from(o.background_file, [&] { return make(c); });
    }
    c.background = at::scalar_tensor(o.background, at::kDouble);
    return in_config([&] { return make(c); });
  }
};

}  // namespace

NoiseModelPtr make_noise(const NoiseOptions& options, const Shape& codomain, const ReadArray& read_array) {
  return std::visit(Builder{codomain, read_array}, options);
}

}  // namespace tweedie
