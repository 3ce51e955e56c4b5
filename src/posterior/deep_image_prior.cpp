// Deep image prior. Ulyanov, Vedaldi, Lempitsky, CVPR 2018: x = f_theta(z) with a convolutional network f and
// a fixed random z ~ U(0, 0.1); theta minimises ||h(f_theta(z)) - y||^2 by Adam (Kingma and Ba 2015). The
// network takes long to fit noise, so stopping early regularises: here where ||h(x) - y||^2 = m noise_std^2,
// the discrepancy principle. z is perturbed anew in each iteration, and the answer an average over the last
// ones, as they do.

#include "core/rows.h"
#include "core/shape.h"
#include "posterior/point_estimate.h"
#include "tweedie/classical.h"
#include "tweedie/network.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr double input_width = 0.1;

class Adam {
 public:
  Adam(std::vector<Tensor> weights, double rate) : weights_(std::move(weights)), rate_(rate) {
    for (const Tensor& w : weights_) {
      mean_.push_back(at::zeros_like(w));
      square_.push_back(at::zeros_like(w));
    }
  }
  void step(const std::vector<Tensor>& gradients) {
    constexpr double keep = 0.9, keep_square = 0.999, tiny = 1e-8;
    const at::NoGradGuard no_gradients;
    ++steps_;
    const double rate = rate_ / (1 - std::pow(keep, steps_));
    const double second = 1 - std::pow(keep_square, steps_);
    for (size_t i = 0; i < weights_.size(); ++i) {
      if (!gradients[i].defined()) continue;
      mean_[i].mul_(keep).add_(gradients[i], 1 - keep);
      square_[i].mul_(keep_square).addcmul_(gradients[i], gradients[i], 1 - keep_square);
      weights_[i].addcdiv_(mean_[i], (square_[i] / second).sqrt() + tiny, -rate);
    }
  }

 private:
  std::vector<Tensor> weights_, mean_, square_;
  double rate_;
  int64_t steps_ = 0;
};

class DeepImagePrior final : public PointEstimate {
 public:
  DeepImagePrior(DeepImagePriorOptions options, DrawOptions draw)
      : PointEstimate(draw), options_(std::move(options)) {}

  Draws sample(const Problem& problem, int64_t draws, const Noise& noise,
               const Observer& observer) const override {
    const Shape domain = problem.likelihood.forward().domain();
    if (domain.size() < 2 || domain.size() > 3)
      throw Error("method.kind",
                  fmt::format("deep-image-prior is for images, not shape {}", to_string(domain)));
    const PointRun run{.method = DeepImagePriorOptions::kind,
                       .problem = problem,
                       .draws = draws,
                       .noise = noise,
                       .observer = observer,
                       .options = draw_options_,
                       .iterations = options_.iterations};
    return run_point_estimate(run, [&](const PointCase& c) { return solve(c); });
  }

 private:
  PointAnswer solve(const PointCase& c) const {
    const Shape domain = c.forward.domain();
    const int64_t image_channels = domain.size() == 3 ? domain[0] : 1;
    const int64_t inputs = std::max(options_.channels, image_channels);
    const Shape input{inputs, domain[domain.size() - 2], domain.back()};
    const auto network = make_network(
        UNetOptions{.channels = options_.channels, .multipliers = options_.multipliers, .blocks = 1}, input);
    Noise of_case = c.noise.stream(Stream::weights);  // for one row; weights have more
    const Weights start = network->initialise(Noise(of_case.bits(1)[0])).to(c.y.device(), at::kFloat);
    std::vector<Tensor> tensors;
    for (const Tensor& w : start.tensors()) tensors.push_back(w.clone().requires_grad_(true));
    const Weights weights = start.with(tensors);
    Adam adam(tensors, options_.learning_rate);
    Noise of_input = c.noise.stream(Stream::initial), shakes = c.noise.stream(Stream::sampler);
    const Tensor z = input_width * of_input.uniform(with_batch(1, input), at::kFloat).to(c.y.device());
    const Tensor level = at::zeros({1}, z.options());
    const auto m = static_cast<double>(c.y.numel());
    const double target = m * c.noise_std * c.noise_std;

    PointAnswer answer{.x = {}, .converged = false};
    for (int64_t k = 0; k < options_.iterations; ++k) {
      std::vector<Tensor> gradients;
      Tensor x;
      {
        const at::AutoGradMode gradients_on(true);
        const Tensor noisy = z + options_.perturbation * shakes.normal_like(z);
        const Tensor out = network->forward(weights, noisy, level)
                               .narrow(1, 0, image_channels)
                               .reshape(with_batch(1, domain));
        x = out.detach().to(c.y.scalar_type());
        // of ||h(x) - y||^2 / m, so that the rate means the same for any size
        const Tensor slope = (-2 / m) * c.data_gradient(x);
        gradients = torch::autograd::grad({out}, tensors, {slope.to(at::kFloat)}, {}, false, true);
      }
      adam.step(gradients);
      const double keep = std::min(options_.average, static_cast<double>(k) / static_cast<double>(k + 1));
      answer.x = k == 0 ? x : keep * answer.x + (1 - keep) * x;
      answer.objective = residual2(c, answer.x);
      answer.residual = target > 0 ? answer.objective / target : answer.objective / m;
      ++answer.iterations;
      c.step_done();
      answer.converged = answer.objective <= target;
      if (answer.converged) break;
    }
    return answer;
  }

  DeepImagePriorOptions options_;
};

}  // namespace

std::unique_ptr<const PosteriorSampler> point_estimate(const DeepImagePriorOptions& options,
                                                       DrawOptions draw) {
  require_at_least(options.iterations, 1, "method.iterations");
  require_positive(options.learning_rate, "method.learning_rate");
  if (!(options.perturbation >= 0 && std::isfinite(options.perturbation)))
    throw Error("method.perturbation", fmt::format("{}: at least 0 is needed", options.perturbation));
  if (!(options.average >= 0 && options.average < 1))
    throw Error("method.average", fmt::format("{}: at least 0 and below 1 is needed", options.average));
  return std::make_unique<DeepImagePrior>(options, draw);
}

}  // namespace tweedie
