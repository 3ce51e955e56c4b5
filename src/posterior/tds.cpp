// Twisted diffusion sampler. Wu, Trippe, Naesseth, Blei, Cunningham, "Practical and asymptotically exact
// conditional sampling in diffusion models", NeurIPS 2023, algorithm 1, with r = y - h(D):
//   twist      psi_t(x) = N(y; h(D(x; t)), S_t)^gamma
//   proposal   the prior's step with D moved by t^2 grad log psi_t
//   weight     psi_s(x') p(x' | x) / (q(x' | x) psi_t(x)),   psi_0(x) = p(y | x)^gamma, and p itself to s = 0
// For a linear A = U diag(s) V^T and twist = pigdm, S_t = noise_std^2 I + r_t^2 A A^T with r_t^2 = t^2 v /
// (t^2 + v).

#include "posterior/particle_engine.h"
#include "posterior/prior_step.h"
#include "tweedie/guidance.h"

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
  const GaussianLikelihood& likelihood;
  const NoiseSchedule& schedule;
  double data_variance;
  std::optional<Svd> svd;  // where the twist needs it
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
  Look look(const Tensor& x, int64_t k) const override {
    const PriorStep& step = steps_[k];
    const Tensor rows = x.view(with_batch(x.size(0), s_.prior.shape()));
    if (s_.options.twist == TdsOptions::Twist::bootstrap) {
      const Tensor m = step.mean(x, s_.prior.mean(rows, step.from).flatten(1));
      return {{}, at::cat({m, at::zeros_like(m)}, 1), {}};
    }
    const Linearised prior = linearise(s_.prior, rows, step.from);
    const auto [log_twist, gradient] = twist(prior, step.from);
    const Tensor m = step.mean(x, prior.mean.flatten(1).clone());
    const Tensor shift = (1 - step.keep) * step.from * step.from * gradient;
    return {log_twist, at::cat({m, shift}, 1), log_twist};
  }

  Particles move(const Tensor& carry, int64_t k, Noise& noise) const override {
    const PriorStep& step = steps_[k];
    const Tensor m = carry.narrow(1, 0, dimension());
    if (step.std == 0) return {m.contiguous(), {}};
    const Tensor shift = carry.narrow(1, dimension(), dimension());
    const Tensor z = noise.normal({carry.size(0), dimension()}, s_.dtype);
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

  // log psi (B) and its gradient in x, (B, d)
  std::pair<Tensor, Tensor> twist(const Linearised& prior, double t) const {
    const ForwardOperator& h = s_.likelihood.forward();
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

  const Setting& s_;
  Tensor y_;  // (1, *codomain)
  std::vector<PriorStep> steps_;
};

class TdsSampler final : public PosteriorSampler {
 public:
  TdsSampler(TdsOptions options, NoiseSchedule schedule, DrawOptions draw)
      : options_(std::move(options)), schedule_(std::move(schedule)), draw_(draw) {
    if (!(options_.eta > 0 && options_.eta <= 1))
      throw Error("method.eta", fmt::format("{}: above 0, at most 1 is meant", options_.eta));
    if (!(options_.gamma > 0 && std::isfinite(options_.gamma)))
      throw Error("method.gamma", fmt::format("{}: a finite number above 0 is meant", options_.gamma));
    if (options_.data_variance && !(*options_.data_variance > 0 && std::isfinite(*options_.data_variance)))
      throw Error("method.data_variance",
                  fmt::format("{}: a finite number above 0 is meant", *options_.data_variance));
  }

  Draws sample(const Problem& problem, int64_t draws, const Noise& noise,
               const Observer& observer) const override {
    require_batch_of(problem.y, problem.likelihood.forward().codomain(), "measurement.y");
    require_finite(problem.y, "measurement.y");
    if (problem.likelihood.noise_std() == 0) {
      throw Error("measurement.noise.std", "0, but tds divides by it; mcgdiff takes a noiseless measurement");
    }
    const bool linear = problem.likelihood.linear() != nullptr;
    const bool moments = options_.twist == TdsOptions::Twist::pigdm;
    if (moments && !linear)
      throw Error("method.twist", "pigdm needs a linear operator; dps and bootstrap take any");
    const bool estimate = moments && !options_.data_variance;
    const double variance =
        estimate ? estimate_data_variance(*problem.prior) : options_.data_variance.value_or(1);
    const Setting setting{
        options_,           *problem.prior,
        problem.likelihood, schedule_,
        variance,           moments ? std::optional(svd_of(*problem.likelihood.linear())) : std::nullopt,
        draw_.dtype};
    const ParticleRun run{problem.prior->shape(), schedule_.steps(), true, [&](int64_t c, const Noise&) {
                            return std::make_unique<Tds>(setting, problem.y[c]);
                          }};
    Draws result = run_particles(run, options_.smc, "tds", draws, problem.cases(), noise, observer, draw_);
    count_work(result, draws, 1, options_.twist == TdsOptions::Twist::bootstrap ? 0 : 1);
    result.run.operator_applications = 2 * result.run.network_vjps;
    return result;
  }

 private:
  TdsOptions options_;
  NoiseSchedule schedule_;
  DrawOptions draw_;
};

}  // namespace

std::unique_ptr<const PosteriorSampler> posterior_sampler(const TdsOptions& options, NoiseSchedule schedule,
                                                          DrawOptions draw) {
  return std::make_unique<TdsSampler>(options, std::move(schedule), draw);
}

}  // namespace tweedie
