// Frechet distance of random features. The weights follow He et al. 2015, N(0, 2 / fan-in), so that the
// features keep their scale from layer to layer; inputs are in units of the standard deviation of both sets
// together.

#include "core/shape.h"
#include "core/workers.h"
#include "diagnostic/samples.h"
#include "tweedie/frechet.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr const char* place = "rf_fd";

// Weights of a random layer, from a stream of their own
Tensor layer(Noise& noise, at::IntArrayRef shape) {
  const double fan_in = static_cast<double>(product(shape.slice(1)));
  return noise.normal(shape, at::kDouble) * std::sqrt(2 / fan_in);
}

// x (n, d) -> (n, features)
Tensor dense_features(const Tensor& x, int64_t features, Noise noise) {
  const Tensor weight = layer(noise, {features, x.size(1)});
  const Tensor bias = noise.normal({features}, at::kDouble);
  return at::relu(at::linear(x, weight, bias));
}

// x (n, C, H, W) -> (n, features). The layers are in float32, whose rounding is far below what few draws do.
Tensor image_features(const Tensor& x, int64_t features, Noise noise) {
  constexpr int64_t block_rows = 64;
  const int64_t narrow = std::max<int64_t>(1, features / 2);
  const Tensor first = layer(noise, {narrow, x.size(1), 3, 3}).to(at::kFloat);
  const Tensor second = layer(noise, {narrow, narrow, 3, 3}).to(at::kFloat);
  const Tensor third = layer(noise, {features, narrow, 3, 3}).to(at::kFloat);
  const std::vector<Tensor> blocks = x.split(block_rows);
  std::vector<Tensor> parts(blocks.size());
  Workers workers;
  workers.for_each(static_cast<int64_t>(blocks.size()), [&](int64_t i) {
    Tensor h = at::avg_pool2d(at::relu(at::conv2d(blocks[i].to(at::kFloat), first, {}, 1, 1)), 2);
    h = at::avg_pool2d(at::relu(at::conv2d(h, second, {}, 1, 1)), 2);
    parts[i] = at::relu(at::conv2d(h, third, {}, 1, 1)).mean({2, 3}).to(at::kDouble);
  });
  return at::cat(parts);
}

double frechet(const Tensor& features, int64_t n) {
  const double w2 = gaussian_w2(features.slice(0, 0, n), features.slice(0, n));
  return w2 * w2;
}

// Of both sets, as many rows of each, (2 n, features) float64
Tensor features_of(const SampleSet& a, const SampleSet& b, const RandomFeatureOptions& options) {
  if (options.features < 1) {
    throw Error("rf_fd.features", fmt::format("{}, but at least 1 is needed", options.features));
  }
  const auto [x, y] = rows_of(a, b, place, 2);
  const Noise noise = Noise(options.seed).stream(Stream::metric);
  Noise order = noise.stream(Stream::order);
  Tensor first = equal_weight_rows(x, order), second = equal_weight_rows(y, order);
  const int64_t n = std::min(first.size(0), second.size(0));
  if (n < 2) throw Error(place, "an effective size below 2");
  first = thinned(first, n, order);
  second = thinned(second, n, order);

  Tensor pool = at::cat({first, second});
  pool = pool - pool.mean(0);
  const double scale = pool.square().mean().sqrt().item<double>();
  if (scale > 0) pool = pool / scale;
  const bool images = a.x.dim() == 4 && !a.x.is_complex() && std::min(a.x.size(2), a.x.size(3)) >= 8;
  return images ? image_features(pool.reshape(with_batch(2 * n, a.x.sizes().slice(1))), options.features,
                                 noise.stream(Stream::weights))
                : dense_features(pool, options.features, noise.stream(Stream::weights));
}

}  // namespace

double rf_fd(const SampleSet& a, const SampleSet& b, const RandomFeatureOptions& options) {
  const Tensor features = features_of(a, b, options);
  return frechet(features, features.size(0) / 2);
}

FrechetWithFloor rf_fd_with_floor(const SampleSet& a, const SampleSet& b, const RandomFeatureOptions& options,
                                  int64_t splits) {
  const Tensor features = features_of(a, b, options);
  const auto between = [](const SampleSet& x, const SampleSet& y) {
    return frechet(at::cat({x.x, y.x}), x.x.size(0));
  };
  const int64_t n = features.size(0) / 2;
  const SampleSet first(features.slice(0, 0, n)), second(features.slice(0, n));
  return {between(first, second), distance_floor(between, first, second, {splits, options.seed})};
}

}  // namespace tweedie
