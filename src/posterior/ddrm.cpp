// Denoising diffusion restoration models. Kawar, Elad, Ermon, Song, "Denoising diffusion restoration models",
// NeurIPS 2022, eq. 7 and 8, and DDNM+ of Wang, Yu, Zhang, "Zero-shot image restoration using denoising
// diffusion null-space model", ICLR 2023, section 3.3, in singular coordinates.
//
// DDNM+ replaces a fraction l_i of what y says, Dbar_i + l_i (ybar_i - Dbar_i), whose noise of standard
// deviation l_i noise_std / s_i is made up to the level's own s. Its l_i = 1 where s allows it is DDRM's last
// line with eta_b = 1; its l_i = sqrt(1 - eta^2) s / (noise_std / s_i) elsewhere is DDRM's second line.
//
// What is not measured has no basis of its own: the first line is applied to the whole of x, with z in d
// coordinates, and then the measured part of the result, V V^T, is replaced. V^T z is normal again.

#include "tweedie/ddrm.h"

#include "core/rows.h"
#include "core/shape.h"
#include "posterior/loop.h"
#include "posterior/singular.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

void require_fraction(double value, const char* field) {
  if (!(value >= 0 && value <= 1)) {
    throw Error(std::string("method.") + field, fmt::format("{}, but 0 to 1 is meant", value));
  }
}

DdrmOptions checked(const DdrmOptions& options) {
  require_fraction(options.eta, "eta");
  require_fraction(options.eta_b, "eta_b");
  return options;
}

}  // namespace

DdrmStep::DdrmStep(const DdrmOptions& options, const Svd& svd, const Tensor& y, double noise_std,
                   const at::TensorOptions& state)
    : options_(checked(options)) {
  const auto keep = [&](const Tensor& t) { return t.to(state).contiguous(); };
  v_ = keep(svd.v);
  vt_ = keep(svd.v.t());
  y_ = keep(singular_target(svd, y));
  noise_std_ = keep(noise_std / svd.s);
}

Tensor DdrmStep::start(const Tensor& z, double t, double initial_std) const {
  const Tensor flat = z.flatten(1), z_bar = row_matmul(flat, v_);
  const Tensor rest = t * t - noise_std_.square();
  const Tensor prior = initial_std * z_bar;
  const Tensor measured = at::where(rest.ge(0), y_ + rest.clamp_min(0).sqrt() * z_bar, prior);
  return (initial_std * flat + row_matmul(measured - prior, vt_)).view_as(z);
}

Tensor DdrmStep::do_step(const Denoiser& prior, const Tensor& x, double t, double s, Noise& noise,
                         StepMemory&) const {
  const double eta = options_.eta, eta_b = options_.eta_b, kept = std::sqrt(1 - eta * eta);
  const Tensor d = prior.mean(x, t);
  const Tensor z = s > 0 ? noise.normal_like(x) : at::zeros_like(x);
  const Tensor unmeasured = (d + kept * (s / t) * (x - d) + eta * s * z).flatten(1);

  const Tensor d_bar = row_matmul(d.flatten(1), v_), z_bar = row_matmul(z.flatten(1), v_);
  const Tensor rest = s * s - eta_b * eta_b * noise_std_.square();
  const Tensor precise = (1 - eta_b) * d_bar + eta_b * y_ + rest.clamp_min(0).sqrt() * z_bar;
  const Tensor noisy = d_bar + kept * s / noise_std_ * (y_ - d_bar) + eta * s * z_bar;
  const Tensor measured = at::where(noise_std_.le(s), precise, noisy);
  return (unmeasured + row_matmul(measured - row_matmul(unmeasured, v_), vt_)).view_as(x);
}

DdrmSampler::DdrmSampler(const DdrmOptions& options, NoiseSchedule schedule, DrawOptions draw)
    : options_(checked(options)), start_at_y_(true), schedule_(std::move(schedule)), draw_(draw) {}

DdrmSampler::DdrmSampler(const DdnmPlusOptions& options, NoiseSchedule schedule, DrawOptions draw)
    : options_(checked({.eta = options.eta, .eta_b = 1})),
      start_at_y_(false),
      schedule_(std::move(schedule)),
      draw_(draw) {}

Draws DdrmSampler::sample(const Problem& problem, int64_t draws, const Noise& noise,
                          const Observer& observer) const {
  const LinearOperator& a = require_linear(problem.likelihood, start_at_y_ ? "ddrm" : "ddnm-plus");
  const Svd svd = svd_of(a);
  const auto* sigma = schedule_.sigma.data_ptr<double>();
  const auto walk = [&](const LoopRows& rows) {
    const DdrmStep sampler(options_, svd, rows.slice.rows_of(problem.y), problem.likelihood.noise_std(),
                           rows.y.options());
    Noise moves = rows.moves();
    const Tensor z = rows.start(1);
    Tensor x = start_at_y_ ? sampler.start(z, sigma[0], schedule_.initial_std) : z * schedule_.initial_std;
    for (int64_t k = 0; k < schedule_.steps(); ++k) {
      x = sampler.step(rows.prior, x, sigma[k], sigma[k + 1], moves);
      rows.applied(2);  // V and V^T
      rows.slice.step_done(x);
    }
    return x;
  };
  return run_loop({problem, draws, noise, observer, draw_, schedule_.steps()}, walk);
}

}  // namespace tweedie
