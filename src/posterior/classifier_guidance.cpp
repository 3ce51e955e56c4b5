// Classifier-free guidance: Ho and Salimans, "Classifier-free diffusion guidance", 2022, eq. 6 with w = gamma
// - 1. Classifier guidance: Dhariwal and Nichol, "Diffusion models beat GANs on image synthesis", NeurIPS
// 2021, section 4.2.
//
//   D_gamma = D + gamma (D_c - D)
//   D_gamma = D + gamma sigma^2 grad_x log p(c | x_sigma)      (D_c - D = sigma^2 grad log p(c | x_sigma))

#include "tweedie/classifier_guidance.h"

#include "core/shape.h"
#include "posterior/oracle.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

namespace tweedie {

namespace {

void require_scale(double scale) {
  if (!(scale >= 0 && std::isfinite(scale))) {
    throw Error("method.scale", fmt::format("{}: a finite number of at least 0 is needed", scale));
  }
}

class ClassifierFree final : public Denoiser {
 public:
  ClassifierFree(double scale, DenoiserPtr unconditional, DenoiserPtr conditional)
      : scale_(scale), unconditional_(std::move(unconditional)), conditional_(std::move(conditional)) {}
  Shape shape() const override { return unconditional_->shape(); }

 protected:
  Tensor do_mean(const Tensor& x, const Tensor& sigma) const override {
    const Tensor d = unconditional_->mean(x, flat_sigma(sigma));
    return d + scale_ * (conditional_->mean(x, flat_sigma(sigma)) - d);
  }
  Linearised do_linearise(const Tensor& x, const Tensor& sigma) const override {
    const Linearised d = linearise(*unconditional_, x, flat_sigma(sigma)),
                     c = linearise(*conditional_, x, flat_sigma(sigma));
    return {d.mean + scale_ * (c.mean - d.mean), [scale = scale_, d, c](const Tensor& v) {
              const Tensor of_d = d.vjp(v);
              return of_d + scale * (c.vjp(v) - of_d);
            }};
  }

 private:
  double scale_;
  DenoiserPtr unconditional_, conditional_;
};

class ClassifierGuided final : public Denoiser {
 public:
  ClassifierGuided(double scale, DenoiserPtr prior, std::shared_ptr<const Classifier> classifier)
      : scale_(scale), prior_(std::move(prior)), classifier_(std::move(classifier)) {}
  Shape shape() const override { return prior_->shape(); }

 protected:
  Tensor do_mean(const Tensor& x, const Tensor& sigma) const override {
    const Tensor flat = flat_sigma(sigma);
    return prior_->mean(x, flat) + scale_ * sigma.square() * classifier_->gradient(x, flat);
  }

 private:
  double scale_;
  DenoiserPtr prior_;
  std::shared_ptr<const Classifier> classifier_;
};

void check_output(const Tensor& value, const Shape& shape) {
  if (value.sizes() == at::IntArrayRef(shape)) return;
  throw Error("classifier",
              fmt::format("gave shape {}, but {} is needed", to_string(value.sizes()), to_string(shape)));
}

}  // namespace

DenoiserPtr classifier_free(double scale, DenoiserPtr unconditional, DenoiserPtr conditional) {
  require_scale(scale);
  if (unconditional->shape() != conditional->shape()) {
    throw Error("classifier_free",
                fmt::format("denoisers of shapes {} and {}, but one shape is needed",
                            to_string(unconditional->shape()), to_string(conditional->shape())));
  }
  return std::make_shared<ClassifierFree>(scale, std::move(unconditional), std::move(conditional));
}

DenoiserPtr classifier_guided(double scale, DenoiserPtr prior, std::shared_ptr<const Classifier> classifier) {
  require_scale(scale);
  return std::make_shared<ClassifierGuided>(scale, std::move(prior), std::move(classifier));
}

void Classifier::check_input(const Tensor& x, const Tensor& sigma) {
  require_real(x, "classifier.x");
  require_real(sigma, "classifier.sigma");
  if (x.dim() == 0 || (sigma.dim() != 0 && (sigma.dim() != 1 || sigma.size(0) != x.size(0)))) {
    throw Error("classifier.sigma",
                fmt::format("shape {} for x of {}, but () or one value for each row is needed",
                            to_string(sigma.sizes()), to_string(x.sizes())));
  }
  if (!sigma.gt(0).all().item<bool>())
    throw Error("classifier.sigma", fmt::format("{}: above 0 is meant", sigma.min().item<double>()));
}

Tensor Classifier::log_prob(const Tensor& x, const Tensor& sigma) const {
  check_input(x, sigma);
  const at::NoGradGuard no_grad;
  const Tensor value = do_log_prob(x, sigma.to(x.options()));
  check_output(value, {x.size(0)});
  return value;
}

Tensor Classifier::gradient(const Tensor& x, const Tensor& sigma) const {
  check_input(x, sigma);
  const at::NoGradGuard no_grad;
  const Tensor value = do_gradient(x, sigma.to(x.options()));
  check_output(value, x.sizes().vec());
  return value;
}

// Rows do not depend on each other, so the gradient of the sum holds that of each.
Tensor Classifier::do_gradient(const Tensor& x, const Tensor& sigma) const {
  const at::AutoGradMode grad(true);
  const Tensor input = x.detach().requires_grad_();
  const Tensor value = do_log_prob(input, sigma);
  if (!value.requires_grad()) {
    throw Error("classifier", "its log_prob is cut off from autograd; a differentiable one is needed");
  }
  return torch::autograd::grad({value.sum()}, {input})[0];
}

DenoiserPtr guide(const CfgOptions& options, DenoiserPtr prior, const Likelihood& likelihood, Tensor y,
                  Tally* tally) {
  return classifier_free(options.scale, counted(prior, tally),
                         guide(OracleOptions{}, prior, likelihood, std::move(y), tally));
}

}  // namespace tweedie
