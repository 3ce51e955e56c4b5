// DiffPIR. Zhu, Zhang, Liang, Cao, Wen, Timofte, Van Gool, "Denoising diffusion models for plug-and-play
// image restoration", CVPR workshops 2023, algorithm 1. In the coordinate x_sigma = x_t / alpha_t, from level
// t to s:
//   z   = argmin ||y - A z||^2 + lambda noise_std^2 / t^2 ||z - D(x; t)||^2
//         (without noise, what is nearest to D among the z with A z = y)
//   eps = (x - z) / t
//   x_s = z + s (sqrt(1 - zeta) eps + sqrt(zeta) n)

#include "core/rows.h"
#include "posterior/local_posterior.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

class Diffpir final : public PosteriorSampler {
 public:
  Diffpir(const DiffpirOptions& options, NoiseSchedule schedule, DrawOptions draw_options)
      : options_(options), schedule_(std::move(schedule)), draw_options_(draw_options) {}

  Draws sample(const Problem& problem, int64_t draws, const Noise& noise,
               const Observer& observer) const override {
    const LinearOperator& a = require_linear(problem.likelihood, "diffpir");
    const double noise_variance = std::pow(problem.likelihood.noise_std(), 2);
    const LoopRun run{problem, draws, noise, observer, draw_options_, schedule_.steps()};
    return run_loop(run, [&](const LoopRows& rows) {
      const double* level = schedule_.sigma.data_ptr<double>();
      Noise moves = rows.moves();
      Tensor x = rows.start(schedule_.initial_std);
      for (int64_t k = 0; k < schedule_.steps(); ++k) {
        const double t = level[k], s = level[k + 1];
        const Tensor weight = rows.each(options_.lambda * noise_variance / (t * t));
        const Tensor z = nearest_to_data(rows, a, rows.y, rows.prior.mean(x, t), weight);
        x = z + (s / t * std::sqrt(1 - options_.zeta)) * (x - z);
        if (s > 0) x = x + s * std::sqrt(options_.zeta) * moves.normal_like(x);
        rows.slice.step_done(x);
      }
      return x;
    });
  }

 private:
  DiffpirOptions options_;
  NoiseSchedule schedule_;
  DrawOptions draw_options_;
};

}  // namespace

std::unique_ptr<const PosteriorSampler> posterior_sampler(const DiffpirOptions& options,
                                                          NoiseSchedule schedule, DrawOptions draw_options) {
  require_positive(options.lambda, "method.lambda");
  if (!(options.zeta >= 0 && options.zeta <= 1))
    throw Error("method.zeta", fmt::format("{}, but 0 to 1 is meant", options.zeta));
  return std::make_unique<Diffpir>(options, std::move(schedule), draw_options);
}

}  // namespace tweedie
