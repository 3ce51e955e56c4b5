// tweedie infer: RUN/samples.npy, mean.npy, std.npy, log_weight.npy, figure.png, summary.json, run.toml.

#include "run/infer.h"

#include "core/shape.h"
#include "io/atomic_file.h"
#include "io/config.h"
#include "io/image.h"
#include "io/run_folder.h"
#include "run/complex_files.h"
#include "run/figures.h"
#include "run/method.h"
#include "run/result_files.h"
#include "run/services.h"
#include "run/tiled_prior.h"
#include "tweedie/array_io.h"
#include "tweedie/metrics.h"
#include "tweedie/particles.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

// How the figure and the summary score against the truth, per case.
struct Score {
  Tensor psnr, draw_psnr, ssim;  // (cases); of the mean, of a single draw, of the mean
  double coverage = 0;           // of the 90% intervals, over what was not measured
};

std::optional<Score> score(const Tensor& mean, const Tensor& draws, const Measured& measured, double range) {
  if (!measured.truth.defined()) return std::nullopt;
  Score result;
  const Tensor truth = measured.truth;
  result.psnr = psnr(mean, truth, range);
  Tensor total = at::zeros_like(result.psnr);
  for (int64_t d = 0; d < draws.size(0); ++d) total += psnr(draws[d], truth, range);
  result.draw_psnr = total / draws.size(0);
  if (truth.dim() == 4) result.ssim = ssim(mean, truth, range).mean(1);
  CoverageOptions options{.levels = {0.9}};
  if (measured.unmeasured.defined() && measured.unmeasured.any().item<bool>())
    options.mask = measured.unmeasured;
  if (draws.size(0) > 1) result.coverage = measure_coverage(draws, truth, options)[0].coverage;
  return result;
}

double range_of(const LoadedPrior& prior, const Tensor& truth) {
  if (prior.low && prior.high) return *prior.high - *prior.low;
  const double range = (truth.max() - truth.min()).item<double>();
  return range > 0 ? range : 1;
}

void describe_particles(const ParticleRecord& record, const Tensor& log_weight, Summary& summary) {
  summary["particles"] = record.particles;
  summary["chains"] = record.chains;
  double ess = INFINITY;  // of the draws, in the worst case
  for (int64_t c = 0; c < log_weight.size(1); ++c)
    ess = std::min(ess, effective_sample_size(log_weight.select(1, c)));
  summary["ess"] = ess;
  summary["ess_least"] = record.ess.min().item<double>();
  summary["unique_ancestors_least"] = record.unique_ancestors.min().item<int64_t>();
  if (record.log_evidence.defined() && record.chains > 1)
    summary["log_evidence_std"] = record.log_evidence.std(0).mean().item<double>();
}

// ess.npy (steps + 1, chains, cases), unique_ancestors.npy and log_evidence.npy (chains, cases),
// ancestors.npy
void write_particles(const ParticleRecord& record, const RunFolder& folder) {
  write_npy(folder.path("ess.npy"), record.ess);
  write_npy(folder.path("unique_ancestors.npy"), record.unique_ancestors);
  if (record.log_evidence.defined()) write_npy(folder.path("log_evidence.npy"), record.log_evidence);
  if (record.ancestors.defined()) write_npy(folder.path("ancestors.npy"), record.ancestors);
}

// iterations, objective, residual, converged and weight: the worst, or the mean, over the cases
void describe_point(const PointRecord& record, Summary& summary) {
  summary["iterations"] = record.iterations.max().item<int64_t>();
  summary["converged"] = record.converged.all().item<bool>();
  const auto number = [&](const char* name, const Tensor& value) {
    if (value.isfinite().all().item<bool>()) summary[name] = value.item<double>();
  };
  number("objective", record.objective.mean());
  number("iteration_residual", record.residual.max());
  if (record.weight.defined()) number("weight", record.weight.mean());
}

// weight.json: for each case the weight, and what the rule saw of the others
void write_weights(const PointRecord& record, const RunFolder& folder) {
  Summary all = Summary::array();
  for (size_t i = 0; i < record.trials.size(); ++i) {
    Summary trials = Summary::array();
    for (const WeightTrial& t : record.trials[i]) {
      Summary trial{{"weight", t.weight}, {"residual2", t.residual2}, {"penalty", t.penalty}};
      trial["score"] = std::isfinite(t.score) ? Summary(t.score) : Summary();
      trials.push_back(std::move(trial));
    }
    all.push_back({{"weight", record.weight[static_cast<int64_t>(i)].item<double>()}, {"trials", trials}});
  }
  write_atomically(folder.path("weight.json"), all.dump(1) + "\n");
}

}  // namespace

Tensor equally_weighted(const Tensor& x, const Tensor& log_weight, const Noise& noise) {
  if (log_weight.eq(log_weight[0]).all().item<bool>()) return x;
  Tensor result = at::empty_like(x);
  for (int64_t c = 0; c < x.size(1); ++c) {
    Noise choice = noise.rows({static_cast<uint64_t>(c)}).stream(Stream::order);
    const Tensor index = resample(log_weight.select(1, c).contiguous(), Resampling::systematic, choice);
    result.select(1, c).copy_(x.select(1, c).index_select(0, index));
  }
  return result;
}

std::pair<Tensor, Tensor> weighted_moments(const Tensor& x, const Tensor& log_weight) {
  Shape shape(x.dim(), 1);
  shape[0] = x.size(0);
  shape[1] = x.size(1);
  const Tensor w = at::softmax(log_weight, 0).view(shape), mean = (w * x).sum(0);
  const Tensor share = 1 - w.square().sum(0);  // what the mean's own error takes away
  const Tensor variance = (w * (x - mean).square()).sum(0) / share;
  return {mean, at::where(share.gt(1e-12), variance, at::zeros({}, x.options())).sqrt()};
}

Tensor residual_chi2(const Measured& measured, const Tensor& x, const Tensor& noise_std) {
  std::vector<Tensor> rows;
  for (int64_t d = 0; d < x.size(0); ++d) {
    const Tensor chi2 = measured.likelihood.residual_chi2(measured.y, x[d], Noise(static_cast<uint64_t>(d)));
    rows.push_back(noise_std.defined() ? chi2 * (measured.likelihood.noise_std() / noise_std[d]).square()
                                       : chi2);
  }
  return at::stack(rows);
}

namespace {

// The second measurement of the same x; what is wrong with it is reported as of [held_out].
std::optional<Measured> load_held_out(const InferConfig& config, const Measured& measured) {
  if (!config.held_out) return std::nullopt;
  try {
    Measured held =
        load_measurement(*config.held_out, measured.likelihood.forward().domain(), measured.range);
    if (held.y.size(0) != measured.y.size(0)) {
      throw Error("held_out", fmt::format("{} cases, but the measurement has {}: of each x both are meant",
                                          held.y.size(0), measured.y.size(0)));
    }
    return held;
  } catch (const Error& error) {
    constexpr std::string_view table = "measurement";
    if (!error.place().starts_with(table)) throw;
    throw Error("held_out" + error.place().substr(table.size()),
                std::string(error.what()).substr(error.place().size() + 2), error.kind());
  }
}

}  // namespace

Finding judge_held_out(const Measured& held, const Tensor& x, uint64_t seed) {
  std::vector<Tensor> predicted;
  const Noise noise = Noise(seed).stream(Stream::metric);
  for (int64_t d = 0; d < x.size(0); ++d) {
    Noise of_draw = noise.stream(static_cast<uint64_t>(d));
    predicted.push_back(held.likelihood.simulate(x[d], of_draw));
  }
  return held_out(held.y, at::stack(predicted));
}

Inference set_up(const InferConfig& config, const RunContext& context) {
  const int64_t steps = steps_of(config.method, config.sampler);
  if (!config.prior) {
    if (needs_prior(config.method)) throw Error("prior", fmt::format("{} needs one", name_of(config.method)));
    Measured measured = load_measurement(config.measurement);
    LoadedPrior none;
    none.dtype = measured.dtype;
    auto held = load_held_out(config, measured);
    return {std::move(none), std::move(measured), steps, std::move(held)};
  }
  LoadedPrior prior = load_prior(with_size_of_x(*config.prior, config.measurement), context);
  const auto range =
      prior.low && prior.high ? std::optional(PixelRange{*prior.low, *prior.high}) : std::nullopt;
  Measured measured = load_measurement(config.measurement, prior.denoiser->shape(), range);
  auto held = load_held_out(config, measured);
  return {std::move(prior), std::move(measured), steps, std::move(held)};
}

Draws run_inference(const Inference& inference, const InferConfig& config, const RunContext& context,
                    int64_t steps, int64_t draws, int64_t cases) {
  DrawOptions options = context.draw_options(inference.prior.dtype, inference.prior.slice_rows);
  const Problem problem{inference.prior.denoiser, inference.measured.likelihood,
                        inference.measured.y.slice(0, 0, cases)};
  const auto& gibbs = inference.measured.gibbs;
  if (gibbs) {  // a draw at a time, the chains beside each other
    options.threads = 1;
    options.slice_rows = 1;
  }
  const auto method =
      make_method(config.method, config.sampler.value_or(SamplerConfig{}), config.schedule, steps, options);
  if (!gibbs) return method->sample(problem, draws, Noise(config.seed), context.observer);
  return sample_with_noise(*gibbs, *method, problem, draws, Noise(config.seed), context.observer,
                           context.threads);
}

Summary infer(const InferConfig& config, const RunContext& context) {
  const Stopwatch watch;
  const Inference inference = set_up(config, context);
  const Measured& measured = inference.measured;
  check_output(config.output, measured, measured.likelihood.forward().domain());
  RunFolder folder(context.out, context.force);
  const int64_t cases = measured.y.size(0), draws = config.method.draws;
  const Draws result = run_inference(inference, config, context, inference.steps, draws, cases);
  const int64_t bad = result.x.isfinite().logical_not().sum().item<int64_t>();
  if (bad > 0) {
    throw Error(
        "infer",
        fmt::format(
            "{} of {} values of the draws are not finite: the method diverged{}; use more steps, "
            "mmps instead of dps, or dtype f32",
            bad, result.x.numel(),
            result.run.non_finite_step ? fmt::format(" at step {}", *result.run.non_finite_step) : ""));
  }
  if (result.log_weight.eq(-INFINITY).all(0).any().item<bool>())
    throw Error("infer", result.run.warnings.at(0));
  // Of draws with weights: all of them for the moments, as many equally weighted ones for everything else.
  const Tensor all = result.x.to(at::kDouble),
               x = equally_weighted(all, result.log_weight, Noise(config.seed));
  const auto [weighted_mean, weighted_std] = weighted_moments(all, result.log_weight);
  const Tensor mean = result.mean ? result.mean->to(at::kDouble) : weighted_mean;
  // One answer has no spread, unless the method knows that of the posterior.
  const Tensor std = result.std ? result.std->to(at::kDouble) : result.run.point ? Tensor() : weighted_std;

  Summary summary = start_summary("infer", config.seed, context);
  add_warnings(summary, inference.prior.warnings);
  add_warnings(summary, result.run.warnings);
  summary["method"] = name_of(config.method);
  summary["prior"] = config.prior ? inference.prior.description : "none";
  if (config.prior && config.prior->tile) summary["shape"] = inference.prior.denoiser->shape();
  summary["draws"] = draws;
  summary["cases"] = cases;
  summary["steps"] = result.run.steps;
  summary["network_evaluations"] = result.run.network_evaluations;
  summary["network_vjps"] = result.run.network_vjps;
  summary["operator_applications"] = result.run.operator_applications;
  summary["seconds_sampling"] = result.run.seconds;
  if (result.run.chains > 0) {
    summary["chains"] = result.run.chains;
    summary["mcmc"] = true;
  }
  if (result.run.acceptance_rate) summary["acceptance_rate"] = *result.run.acceptance_rate;
  if (result.run.point) describe_point(*result.run.point, summary);
  summary["residual_chi2"] = nullptr;
  if (measured.likelihood.has_density()) {
    const Tensor chi2 = residual_chi2(measured, x, result.noise_std.value_or(Tensor()));
    const Finding consistency = data_consistency(chi2, product(measured.likelihood.forward().codomain()));
    summary["residual_chi2"] = consistency.value;
    if (consistency.p_value) summary["residual_p_value"] = *consistency.p_value;
  }
  if (inference.held_out && !result.run.point) {
    const Finding held = judge_held_out(*inference.held_out, x, config.seed);
    if (held.p_value) {
      summary["held_out_error"] = held.value;
      summary["held_out_p_value"] = *held.p_value;
    }
  }
  if (result.noise_std) {
    summary["noise_std"] = result.noise_std->mean().item<double>();
    if (draws > 1) summary["noise_std_spread"] = result.noise_std->std(0).mean().item<double>();
  } else if (measured.estimated) {
    summary["noise_std"] = measured.likelihood.noise_std();
  }
  if (result.log_evidence) summary["log_evidence"] = result.log_evidence->sum().item<double>();
  if (result.run.particles) describe_particles(*result.run.particles, result.log_weight, summary);
  InferPictures pictures{.draws = x,
                         .mean = mean,
                         .std = std,
                         .truth = measured.truth,
                         .measurement = picture_of(measured, measured.likelihood.forward().domain()),
                         .low = inference.prior.low,
                         .high = inference.prior.high,
                         .title = "",
                         .captions = std::vector<std::string>(cases),
                         .point = result.run.point.has_value()};
  pictures.title =
      result.run.point
          ? fmt::format("{}, {} iterations", summary["method"].get<std::string>(), result.run.steps)
          : fmt::format("{}, {} draws, {} steps", summary["method"].get<std::string>(), draws,
                        inference.steps);
  if (measured.likelihood.forward().takes_complex()) {
    for (Tensor* image : {&pictures.draws, &pictures.mean, &pictures.std, &pictures.truth}) {
      if (image->defined()) *image = image->square().sum(-3, /*keepdim=*/true).sqrt();  // the magnitude
    }
  }
  const double range = range_of(inference.prior, measured.truth.defined() ? measured.truth : mean);
  if (const auto scored = score(mean, x, measured, range)) {
    summary["psnr"] = scored->psnr.mean().item<double>();
    summary["psnr_single_draw"] = scored->draw_psnr.mean().item<double>();
    if (scored->ssim.defined()) summary["ssim"] = scored->ssim.mean().item<double>();
    if (draws > 1) summary["coverage_90"] = scored->coverage;
    pictures.title +=
        result.run.point
            ? fmt::format(": PSNR {:.2f} dB", scored->psnr.mean().item<double>())
            : fmt::format(": PSNR of the mean {:.2f} dB, of a draw {:.2f} dB, 90% intervals cover {:.0f}%",
                          scored->psnr.mean().item<double>(), scored->draw_psnr.mean().item<double>(),
                          100 * scored->coverage);
    for (int64_t c = 0; c < cases; ++c)
      pictures.captions[c] = fmt::format("PSNR {:.1f} dB", scored->psnr[c].item<double>());
  }

  write_npy(folder.path("samples.npy"), measured.many ? result.x : result.x.squeeze(1));
  write_npy(folder.path("mean.npy"), measured.many ? mean : mean[0]);
  if (std.defined()) write_npy(folder.path("std.npy"), measured.many ? std : std[0]);
  write_npy(folder.path("log_weight.npy"), measured.many ? result.log_weight : result.log_weight.squeeze(1));
  if (result.noise_std)
    write_npy(folder.path("noise_std.npy"), measured.many ? *result.noise_std : result.noise_std->squeeze(1));
  if (result.run.particles) write_particles(*result.run.particles, folder);
  if (result.run.point && !result.run.point->trials.empty()) write_weights(*result.run.point, folder);
  const ResultFiles files = write_results(config.output, measured, {all, mean, std}, folder);
  if (!files.names.empty()) summary["files"] = files.names;
  add_warnings(summary, files.warnings);
  const Figure figure = infer_figure(pictures);
  if (!figure.has_words) summary["warnings"].push_back("no font was found: the figure has no words");
  write_png(folder.path("figure.png"), figure.image);
  write_atomically(folder.path("run.toml"), provenance("infer") + write_fields(config));
  finish_summary(summary, watch);
  write_atomically(folder.path("summary.json"), summary.dump(2) + "\n");
  folder.commit();
  return summary;
}

}  // namespace tweedie
