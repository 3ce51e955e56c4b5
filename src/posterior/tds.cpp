// Twisted diffusion sampler. Wu, Trippe, Naesseth, Blei, Cunningham, "Practical and asymptotically exact
// conditional sampling in diffusion models", NeurIPS 2023, algorithm 1, with r = y - h(D):
//   twist      psi_t(x) = N(y; h(D(x; t)), S_t)^gamma
//   proposal   the prior's step with D moved by t^2 grad log psi_t
//   weight     psi_s(x') p(x' | x) / (q(x' | x) psi_t(x)),   psi_0(x) = p(y | x)^gamma, and p itself to s = 0
// For a linear A = U diag(s) V^T and twist = pigdm, S_t = noise_std^2 I + r_t^2 A A^T with r_t^2 = t^2 v /
// (t^2 + v).
// Other noise than Gaussian: psi_t = p(y | h(D))^gamma with log p continued where it falls to 0
// (noise_model.h), for twist = pigdm each entry's to the power 1 / (1 + k r_t^2), k = ||A||^2 times its
// information: what the widening of S_t does to Gaussian noise.

#include "posterior/guided_denoiser.h"
#include "posterior/particle_engine.h"
#include "posterior/prior_step.h"
#include "tweedie/guidance.h"

#include "core/rows.h"
#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

// What all cases share.
struct Setting {
  const TdsOptions& options;
  const Denoiser& prior;
  const Likelihood& likelihood;
  const NoiseSchedule& schedule;
  double data_variance;
  std::optional<Svd> svd;  // where the twist needs it
  double norm2;            // ||A||^2, where a twist under other than Gaussian noise needs it; else 0
  at::ScalarType dtype;
};

class Tds final : public ParticleModel {
 public:
  Tds(const Setting& setting, const Tensor& y) : s_(setting), y_(y.unsqueeze(0).to(at::kDouble)) {
    const double* sigma = s_.schedule.sigma.data_ptr<double>();
    for (int64_t k = 0; k < s_.schedule.steps(); ++k)
      steps_.emplace_back(sigma[k], sigma[k + 1], s_.options.eta);
  }

  Particles start(int64_t rows, Noise& noise) const override {
    return {noise.normal({rows, dimension()}, s_.dtype) * s_.schedule.initial_std, {}};
  }

  // carry: the mean of the prior's step, and what the twist adds to it
  Look look(const Tensor& x, int64_t k, const Tensor& carry) const override {
    const PriorStep& step = steps_[k];
    const Tensor rows = x.view(with_batch(x.size(0), s_.prior.shape()));
    if (s_.options.twist == TdsOptions::Twist::bootstrap) {
      mean_of(carry).copy_(step.mean(x, s_.prior.mean(rows, step.from).flatten(1)));
      shift_of(carry).zero_();
      return {};
    }
    const Linearised prior = linearise(s_.prior, rows, step.from);
    const auto [log_twist, gradient] = twist(prior, step.from);
    mean_of(carry).copy_(step.mean(x, prior.mean.flatten(1).clone()));
    shift_of(carry).copy_((1 - step.keep) * step.from * step.from * gradient);
    return {log_twist, log_twist};
  }

  Particles move(const Tensor& carry, const Tensor& parent, int64_t k, Noise& noise) const override {
    const PriorStep& step = steps_[k];
    const Tensor m = mean_of(carry).index_select(0, parent);
    if (step.std == 0) return {m, {}};
    const Tensor shift = shift_of(carry).index_select(0, parent);
    const Tensor z = noise.normal(m.sizes(), s_.dtype);
    // log p(x') / q(x') = -(|shift + c z|^2 - |c z|^2) / (2 c^2)
    const Tensor u = shift.to(at::kDouble) / step.std;
    return {m + shift + step.std * z, -(u * (0.5 * u + z)).sum(1)};
  }

  Tensor finish(const Tensor& x) const override {
    const Tensor rows = x.view(with_batch(x.size(0), s_.prior.shape()));
    const Tensor h = s_.likelihood.forward().apply(rows).to(at::kDouble);
    return s_.options.gamma * s_.likelihood.log_prob(y_.expand_as(h), rows.to(at::kDouble));
  }

  int64_t carried() const override { return 2 * dimension(); }
  bool twisted() const override { return s_.options.twist != TdsOptions::Twist::bootstrap; }
  double log_constant() const override { return 0; }

 private:
  int64_t dimension() const { return product(s_.prior.shape()); }
  Tensor mean_of(const Tensor& carry) const { return carry.narrow(1, 0, dimension()); }
  Tensor shift_of(const Tensor& carry) const { return carry.narrow(1, dimension(), dimension()); }

  // log psi (B) and its gradient in x, (B, d)
  std::pair<Tensor, Tensor> twist(const Linearised& prior, double t) const {
    const ForwardOperator& h = s_.likelihood.forward();
    if (!s_.likelihood.noise().noise_std()) return flat_twist(prior, t);
    const Tensor r = (y_ - h.apply(prior.mean).to(at::kDouble)).flatten(1);
    const double noise = s_.likelihood.noise_std() * s_.likelihood.noise_std(),
                 m = static_cast<double>(r.size(1));
    Tensor solved = r / noise;  // S^{-1} r
    double log_det = m * std::log(noise);
    if (s_.svd) {
      // On U the variance is noise + r_t^2 s^2, elsewhere noise.
      const Tensor s2 = s_.svd->s.square(),
                   variance = noise + s2 * (t * t * s_.data_variance / (t * t + s_.data_variance));
      const Tensor along = at::matmul(r, s_.svd->u);
      solved = solved + at::matmul(along * (variance.reciprocal() - 1 / noise), s_.svd->u.t());
      log_det += (variance / noise).log().sum().item<double>();
    }
    const Tensor log_psi = -0.5 * ((r * solved).sum(1) + log_det + m * std::log(2 * std::numbers::pi));
    const Tensor v =
        h.vjp(prior.mean, solved.reshape(with_batch(r.size(0), h.codomain())).to(prior.mean.scalar_type()));
    return {s_.options.gamma * log_psi, s_.options.gamma * prior.vjp(v).flatten(1)};
  }

  std::pair<Tensor, Tensor> flat_twist(const Linearised& prior, double t) const {
    const ForwardOperator& h = s_.likelihood.forward();
    const auto [value, derivative, information] = s_.likelihood.noise().slope(y_, h.apply(prior.mean));
    const double r2 = t * t * s_.data_variance / (t * t + s_.data_variance);
    const Tensor power = s_.options.gamma / (1 + information * (s_.norm2 * r2));
    const Tensor v = h.vjp(prior.mean, (power * derivative).to(prior.mean.scalar_type()));
    return {row_dot(power.flatten(1), value.flatten(1)), prior.vjp(v).flatten(1)};
  }

  const Setting& s_;
  Tensor y_;  // (1, *codomain)
  std::vector<PriorStep> steps_;
};

Draws run_tds(const TdsOptions& options, const ParticleTask& task) {
  const Problem& problem = task.problem;
  require_density(problem.likelihood, TdsOptions::kind);
  const bool moments = options.twist == TdsOptions::Twist::pigdm;
  if (moments && problem.likelihood.linear() == nullptr)
    throw Error("method.twist", "pigdm needs a linear operator; dps and bootstrap take any");
  const bool gaussian = problem.likelihood.noise().noise_std().has_value();
  const bool estimate = moments && !options.data_variance;
  const double variance =
      estimate ? estimate_data_variance(*problem.prior) : options.data_variance.value_or(1);
  const Setting setting{
      options,
      *problem.prior,
      problem.likelihood,
      task.schedule,
      variance,
      moments && gaussian ? std::optional(svd_of(*problem.likelihood.linear())) : std::nullopt,
      moments && !gaussian ? std::pow(problem.likelihood.linear()->norm(), 2) : 0,
      task.draw.dtype};
  const int64_t vjps = options.twist == TdsOptions::Twist::bootstrap ? 0 : 1;
  const ParticleRun run{
      .method = TdsOptions::kind,
      .steps = task.schedule.steps(),
      .evidence = true,
      .vjps = vjps,
      .operator_applications = 2 * vjps,
      .model = [&](int64_t c, const Noise&) { return std::make_unique<Tds>(setting, problem.y[c]); }};
  return run_particles(run, options.smc, task);
}

}  // namespace

std::unique_ptr<const PosteriorSampler> posterior_sampler(const TdsOptions& options, NoiseSchedule schedule,
                                                          DrawOptions draw) {
  require_eta(options.eta);
  if (!(options.gamma > 0 && std::isfinite(options.gamma)))
    throw Error("method.gamma", fmt::format("{}: a finite number above 0 is meant", options.gamma));
  if (options.data_variance && !(*options.data_variance > 0 && std::isfinite(*options.data_variance))) {
    throw Error("method.data_variance",
                fmt::format("{}: a finite number above 0 is meant", *options.data_variance));
  }
  return std::make_unique<ParticleSampler<TdsOptions>>(run_tds, options, std::move(schedule), draw);
}

}  // namespace tweedie
