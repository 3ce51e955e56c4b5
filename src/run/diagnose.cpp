// tweedie diagnose: can the draws of a RUN of infer be trusted?

#include "core/shape.h"
#include "core/workers.h"
#include "io/array_file.h"
#include "io/config.h"
#include "prior/gaussian_posterior.h"
#include "run/findings.h"
#include "run/infer.h"
#include "run/services.h"
#include "tweedie/array_io.h"
#include "tweedie/chains.h"
#include "tweedie/typicality.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <fstream>
#include <numeric>

namespace tweedie {

namespace {

// Enough for a judgement on the number of steps, few enough to be quick.
constexpr int64_t step_draws = 8, step_cases = 8;
// Reference rows, shared out among the cases, or for a single one, which a small p takes more of; and levels
// over the standard deviation of their values
constexpr int64_t reference_rows = 400, rows_of_one_case = 1000, typical_cases = 8;
constexpr std::array relative_levels{0.25, 0.5, 1.0, 2.0, 4.0};

// Its summary.json
Summary require_infer(const std::filesystem::path& run) {
  std::ifstream file(run / "summary.json");
  if (!file) throw Error(run.string(), "no summary.json in it: a RUN folder of `tweedie infer` is meant");
  const Summary summary = Summary::parse(file, nullptr, /*allow_exceptions=*/false);
  const Summary command = summary.is_object() ? summary.value("command", Summary()) : summary;
  if (command != "infer") {
    throw Error((run / "summary.json").string(),
                fmt::format("command {}: a RUN of `tweedie infer` is meant", command.dump()));
  }
  return summary;
}

// A count in the summary, 1 without it
int64_t count_of(const Summary& summary, const char* key, const std::filesystem::path& run) {
  const Summary value = summary.value(key, Summary(1));
  if (!value.is_number_integer() || value.get<int64_t>() < 1) {
    throw Error((run / "summary.json").string(),
                fmt::format("{} = {}, but a whole number from 1 is meant", key, value.dump()));
  }
  return value.get<int64_t>();
}

// How the method itself fared: x (draws, cases, *shape), where draw d belongs to chain d / (draws / chains).
void judge_method(const std::filesystem::path& run, const Summary& summary, const Tensor& x,
                  std::vector<Finding>& findings) {
  const int64_t chains = count_of(summary, "chains", run);
  if (chains > 1 && summary.value("mcmc", Summary(false)) == true) {
    if (x.size(0) % chains != 0) {
      throw Error((run / "summary.json").string(),
                  fmt::format("{} chains do not divide {} draws", chains, x.size(0)));
    }
    const int64_t each = x.size(0) / chains;
    if (each >= 4) {
      const Tensor by_chain = x.view({chains, each, -1}).transpose(0, 1);
      findings.push_back(rhat(by_chain));
      findings.push_back(effective_draws(by_chain));
    } else {
      findings.push_back({"rhat", Finding::Status::skipped, NAN, std::nullopt,
                          fmt::format("{} draws of each chain tell nothing about mixing", each),
                          "take at least 4 draws a chain"});
    }
  }
  if (std::filesystem::exists(run / "ess.npy")) {
    ParticleRecord record;
    record.particles = count_of(summary, "particles", run);
    record.ess = read_array(run / "ess.npy");
    record.unique_ancestors = read_array(run / "unique_ancestors.npy");
    findings.push_back(particle_health(record));
  }
}

Tensor read_draws(const std::filesystem::path& path, const Inference& inference, int64_t draws) {
  const Shape shape = inference.measured.likelihood.forward().domain();
  const int64_t cases = inference.measured.y.size(0);
  Shape needed{draws};
  if (inference.measured.many) needed.push_back(cases);
  needed.insert(needed.end(), shape.begin(), shape.end());
  const Tensor x = read_array(path);
  if (x.sizes() != at::IntArrayRef(needed) || !x.is_floating_point()) {
    throw Error(path.string(),
                fmt::format("{} of shape {}, but floating point of shape {} is meant by run.toml",
                            toString(x.scalar_type()), to_string(x.sizes()), to_string(needed)));
  }
  return inference.measured.many ? x : x.unsqueeze(1);
}

// (draws, cases)
Tensor read_weights(const std::filesystem::path& path, const Inference& inference, int64_t draws) {
  const Tensor log_weight = read_array_file(path, /*finite=*/false).values;  // -infinity is a weight of 0
  Shape needed{draws};
  if (inference.measured.many) needed.push_back(inference.measured.y.size(0));
  if (log_weight.sizes() != at::IntArrayRef(needed) || !log_weight.is_floating_point()) {
    throw Error(path.string(), fmt::format("shape {}, but {} is meant by run.toml",
                                           to_string(log_weight.sizes()), to_string(needed)));
  }
  return log_weight.to(at::kDouble).reshape({draws, -1});
}

// The case whose weights are worth the fewest draws; log_weight: (draws, cases)
Finding worst_weights(const Tensor& log_weight) {
  Finding worst = weights(log_weight.select(1, 0).contiguous());
  for (int64_t c = 1; c < log_weight.size(1); ++c) {
    const Finding next = weights(log_weight.select(1, c).contiguous());
    if (next.value < worst.value) worst = next;
  }
  return worst;
}

// Variances along the measured directions that a Gaussian prior knows, under noise of one standard deviation
MeasuredVariance known_variance(const Inference& inference, const Likelihood& likelihood) {
  const auto& gaussian = inference.prior.gaussian;
  if (!gaussian || likelihood.linear() == nullptr) return {};
  const LinearOperator& a = *likelihood.linear();
  if (product(a.codomain()) * gaussian->dimension() > 64'000'000) return {};
  const Tensor matrix = a.dense();
  const GaussianPosterior posterior(*gaussian, matrix, likelihood.noise_std());
  return {.prior = (gaussian->covariance_times(matrix) * matrix).sum(1),
          .posterior = (matrix.mm(posterior.covariance()) * matrix).sum(1)};
}

// The level of each draw (draws, cases) where it was drawn with x, else undefined
Tensor read_noise(const std::filesystem::path& run, const Inference& inference, int64_t draws) {
  if (!inference.measured.gibbs) return {};
  const auto file = run / "noise_std.npy";
  const Tensor level = read_array(file);
  const int64_t cases = inference.measured.y.size(0);
  if (level.numel() != draws * cases || !level.is_floating_point() || !level.gt(0).all().item<bool>())
    throw Error(file.string(), fmt::format("{} positive numbers are meant by run.toml", draws * cases));
  return level.to(at::kDouble).reshape({draws, cases});
}

// Do the draws differ from y as much as the noise says, and no less? x: (draws, cases, *shape) float64
void check_against_noise(const Tensor& x, const Inference& inference, const Tensor& noise_std,
                         std::vector<Finding>& findings) {
  const Measured& measured = inference.measured;
  findings.push_back(data_consistency(residual_chi2(measured, x, noise_std),
                                      product(measured.likelihood.forward().codomain())));
  if (x.size(0) < 2) return;
  const Problem white = whitened({inference.prior.denoiser, measured.likelihood, measured.y});
  if (noise_std.defined() || !white.likelihood.noise().noise_std()) {
    findings.push_back({"variance-collapse", Finding::Status::skipped, NAN, std::nullopt,
                        "for Gaussian noise of a stated level only", ""});
    return;
  }
  std::vector<Tensor> ax;
  for (const Tensor& draw : x.unbind()) ax.push_back(white.likelihood.forward().apply(draw).flatten(1));
  findings.push_back(variance_collapse(at::stack(ax), white.y.flatten(1), white.likelihood.noise_std(),
                                       known_variance(inference, white.likelihood)));
}

// (B, levels), row i with noise i whatever is computed beside it
Tensor profiles(const Inference& inference, const Tensor& x, const std::vector<double>& levels,
                const Noise& noise, const RunContext& context) {
  const int64_t rows = x.size(0), together = inference.prior.slice_rows.value_or(
                                      rows_together(inference.prior.denoiser->shape(), context.device));
  std::vector<Tensor> parts((rows + together - 1) / together);
  Workers(context.device.is_cuda() ? 1 : context.threads)
      .for_each(static_cast<int64_t>(parts.size()), [&](int64_t i) {
        const int64_t begin = i * together, end = std::min(rows, begin + together);
        std::vector<uint64_t> indices(end - begin);
        std::iota(indices.begin(), indices.end(), static_cast<uint64_t>(begin));
        const Tensor part = x.slice(0, begin, end).to(context.device, inference.prior.dtype);
        parts[i] =
            denoising_profile(*inference.prior.denoiser, part, levels, noise.rows(std::move(indices))).cpu();
      });
  return at::cat(parts);
}

// Are the draws x (draws, cases, *shape) like the rows of the file? One of each case is asked, taken at
// random: where draws are of chains or were resampled, the first is not any.
Finding judge_typicality(const std::filesystem::path& file, const Inference& inference, const Tensor& x,
                         uint64_t seed, const RunContext& context) {
  if (!inference.prior.denoiser) throw Error("--reference", "the run has no prior for x to be typical of");
  const Tensor rows = read_rows(file, inference.prior.denoiser->shape());
  require_finite(rows, file.string());
  if (rows.size(0) == 0) throw Error(file.string(), "no rows");
  const int64_t cases =
      std::min({x.size(1), typical_cases, std::max<int64_t>(1, rows.size(0) / least_reference_rows)});
  const int64_t each = std::min(cases == 1 ? rows_of_one_case : reference_rows, rows.size(0)) / cases;
  const Noise noise = Noise(seed).stream(Stream::metric);
  Noise choice = Noise(seed).stream(Stream::order);
  const Tensor order = at::tensor(choice.permutation(rows.size(0))).slice(0, 0, each * cases);
  std::vector<Tensor> all;
  for (int64_t c = 0; c < cases; ++c) all.push_back(x[choice.permutation(x.size(0))[0]][c]);
  const Tensor chosen = rows.index_select(0, order).to(at::kDouble);
  const double scale = chosen.std(false).item<double>();
  if (!(scale > 0))
    throw Error(file.string(), "all values are equal: no row is like another by more than that");
  std::vector<double> levels;
  for (const double level : relative_levels) levels.push_back(level * scale);
  const Tensor profile = profiles(inference, at::cat({at::stack(all), chosen}), levels, noise, context);
  return typicality(profile.slice(0, 0, cases), profile.slice(0, cases).view({each, cases, -1}));
}

Finding without_noise(const char* name) {
  return {name, Finding::Status::skipped, NAN, std::nullopt, "the measurement has no noise to compare with",
          ""};
}

}  // namespace

Diagnosis diagnose(const std::filesystem::path& run, const std::optional<std::filesystem::path>& reference,
                   const RunContext& context) {
  const Stopwatch watch;
  const Summary of_run = require_infer(run);
  const InferConfig config = Config::read(run / "run.toml").as<InferConfig>();
  const Inference inference = set_up(config, context);
  const Measured& measured = inference.measured;
  const int64_t cases = measured.y.size(0), draws = config.method.draws;
  const Tensor x = read_draws(run / "samples.npy", inference, draws);

  Diagnosis result;
  std::vector<Finding>& findings = result.findings;
  findings.push_back(finite(x));
  for (const std::string& warning : inference.prior.warnings)
    findings.push_back({"prior", Finding::Status::warn, NAN, std::nullopt, warning,
                        "draw with a prior that is meant for it, without guidance"});
  const Tensor log_weight = read_weights(run / "log_weight.npy", inference, draws);
  const Tensor exact = equally_weighted(x.to(at::kDouble), log_weight, Noise(config.seed));
  if (is_point_estimate(config.method)) {
    findings.push_back(
        {"spread", Finding::Status::fail, 1, std::nullopt,
         fmt::format("{} gives one answer for each case, no draws: nothing says how sure it is",
                     of_run.value("method", "the method")),
         "draw from the posterior with another method, such as mmps"});
  } else if (measured.likelihood.has_density()) {
    check_against_noise(exact, inference, read_noise(run, inference, draws), findings);
  } else {
    for (const char* name : {"data-consistency", "variance-collapse"})
      findings.push_back(without_noise(name));
  }
  if (measured.truth.defined() && draws > 1) {
    CoverageOptions options;
    if (measured.unmeasured.defined() && measured.unmeasured.any().item<bool>())
      options.mask = measured.unmeasured;
    findings.push_back(coverage(exact, measured.truth, options));
  }
  if (inference.held_out && !is_point_estimate(config.method))
    findings.push_back(judge_held_out(*inference.held_out, exact, config.seed));
  if (reference && !is_point_estimate(config.method))
    findings.push_back(judge_typicality(*reference, inference, exact, config.seed, context));
  judge_method(run, of_run, exact, findings);
  if (!log_weight.eq(log_weight[0]).all().item<bool>()) findings.push_back(worst_weights(log_weight));
  if (std::filesystem::exists(run / "ess.npy")) {
    findings.push_back({"steps-enough", Finding::Status::skipped, NAN, std::nullopt,
                        "particles of walks with different steps are not pairs",
                        "compare this run with one of twice the steps: tweedie compare"});
  } else if (const auto* chain = std::get_if<PosteriorLangevinOptions>(&config.method.rule);
             chain != nullptr && chain->chains) {
    findings.push_back({"steps-enough", Finding::Status::skipped, NAN, std::nullopt,
                        "draws of one chain are no pairs with those of another walk",
                        "R-hat judges the chains"});
  } else if (measured.gibbs) {
    findings.push_back({"steps-enough", Finding::Status::skipped, NAN, std::nullopt,
                        "draws of chains are no pairs with those of another walk", ""});
  } else if (inference.steps > 1) {
    const int64_t d = std::min(draws, step_draws), c = std::min(cases, step_cases);
    const Draws half = run_inference(inference, config, context, (inference.steps + 1) / 2, d, c);
    findings.push_back(
        steps_enough(exact.slice(0, 0, d).slice(1, 0, c), half.x.to(at::kDouble), inference.steps));
  }
  result.verdict = verdict(findings);

  Summary& summary = result.summary = start_summary("diagnose", config.seed, context);
  summary["run"] = run.string();
  summary["findings"] = to_json(findings);
  summary["trusted"] = result.verdict.trusted;
  summary["verdict"] = result.verdict.sentence;
  finish_summary(summary, watch);
  return result;
}

}  // namespace tweedie
