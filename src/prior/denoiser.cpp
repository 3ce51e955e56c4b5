#include "tweedie/denoiser.h"

#include "core/shape.h"
#include "tweedie/analytic_prior.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

namespace tweedie {

namespace {

// sigma of x's dtype and device as () or (B, 1, ..., 1)
Tensor broadcastable(const Denoiser& denoiser, const Tensor& x, const Tensor& sigma) {
  require_real(x, "denoiser.x");
  require_batch_of(x, denoiser.shape(), "denoiser.x");
  require_real(sigma, "denoiser.sigma");
  if (sigma.dim() != 0 && (sigma.dim() != 1 || sigma.size(0) != x.size(0))) {
    throw Error("denoiser.sigma",
                fmt::format("shape {}, but () or one value for each of the {} rows of x is needed",
                            to_string(sigma.sizes()), x.size(0)));
  }
  const Tensor values = sigma.to(x.options());
  if (sigma.dim() == 0) {
    // As it comes: on a GPU, reading what has been sent there would wait for all before it.
    const double value = sigma.to(x.scalar_type()).item<double>();
    if (!(value > 0 && std::isfinite(value)))
      throw Error("denoiser.sigma", fmt::format("{}, but a finite noise level above 0 is needed", value));
    return values;
  }
  const Tensor good = values.gt(0).logical_and(values.isfinite());
  if (!good.all().item<bool>()) {
    const double value = values.masked_select(good.logical_not())[0].item<double>();
    throw Error("denoiser.sigma", fmt::format("{}, but a finite noise level above 0 is needed", value));
  }
  Shape shape(x.dim(), 1);
  shape[0] = x.size(0);
  return values.reshape(shape);
}

Tensor scalar(double sigma) {
  return at::scalar_tensor(sigma, at::kDouble);
}

}  // namespace

int64_t AnalyticPrior::dimension() const {
  return product(shape());
}

Tensor Denoiser::mean(const Tensor& x, const Tensor& sigma) const {
  const at::NoGradGuard no_grad;
  return do_mean(x, broadcastable(*this, x, sigma));
}

Tensor Denoiser::mean(const Tensor& x, double sigma) const {
  return mean(x, scalar(sigma));
}

MeanAndRange Denoiser::mean_and_range(const Tensor& x, double sigma) const {
  const at::NoGradGuard no_grad;
  return do_mean_and_range(x, broadcastable(*this, x, scalar(sigma)));
}

MeanAndRange Denoiser::do_mean_and_range(const Tensor&, const Tensor&) const {
  throw Error("sampler.variance",
              "learned, but this model has not learned it: train with train.learn_variance = true, and draw "
              "without guidance");
}

Linearised linearise(const Denoiser& denoiser, const Tensor& x, const Tensor& sigma) {
  const at::NoGradGuard no_grad;
  Linearised result = denoiser.do_linearise(x, broadcastable(denoiser, x, sigma));
  result.vjp = [vjp = std::move(result.vjp), shape = result.mean.sizes().vec()](const Tensor& v) {
    if (v.sizes() != at::IntArrayRef(shape)) {
      throw Error("vjp.v", fmt::format("shape {}, but {} is needed", to_string(v.sizes()), to_string(shape)));
    }
    const at::NoGradGuard no_grad;
    return vjp(v);
  };
  return result;
}

Linearised linearise(const Denoiser& denoiser, const Tensor& x, double sigma) {
  return linearise(denoiser, x, scalar(sigma));
}

Linearised Denoiser::do_linearise(const Tensor& x, const Tensor& sigma) const {
  const at::AutoGradMode grad(true);
  const Tensor input = x.detach().requires_grad_();
  const Tensor output = do_mean(input, sigma);
  if (!output.requires_grad()) {
    throw Error("denoiser",
                "its mean is cut off from autograd, so it has no vjp; a differentiable one is needed");
  }
  return {output.detach(), [input, output](const Tensor& v) {
            return torch::autograd::grad({output}, {input}, {v.to(output.options())},
                                         /*retain_graph=*/true)[0];
          }};
}

}  // namespace tweedie
