#include "tweedie/ppca.h"

#include "core/shape.h"
#include "prior/sample_spectrum.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace tweedie {

Ppca fit_ppca(const Tensor& data, int64_t latent) {
  const auto [mean, value, basis] = sample_spectrum(data);
  const int64_t d = mean.numel();
  if (latent < 0 || latent >= d)
    throw Error("latent", fmt::format("{}: 0 to {} is meant for rows of {} numbers", latent, d - 1, d));
  const double noise = value.slice(0, 0, d - latent).mean().item<double>();
  const Tensor kept = value.slice(0, d - latent).flip(0);
  if (!(noise > 1e-12 * value[d - 1].item<double>())) {
    throw Error("data",
                fmt::format("lie in a subspace of {} dimensions: the likelihood has no maximum", latent));
  }
  const double log_determinant =
      kept.log().sum().item<double>() + static_cast<double>(d - latent) * std::log(noise);
  return {.mean = mean.reshape(data.sizes().slice(1)),
          .factor = basis.slice(1, d - latent).flip(1) * (kept - noise).sqrt(),
          .noise_variance = noise,
          .log_likelihood =
              -0.5 * (static_cast<double>(d) * (std::log(2 * std::numbers::pi) + 1) + log_determinant)};
}

GaussianPrior Ppca::prior() const {
  return GaussianPrior::low_rank(mean, factor, at::ones({factor.size(1)}, at::kDouble), noise_variance);
}

}  // namespace tweedie
