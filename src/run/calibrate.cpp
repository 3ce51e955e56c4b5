// tweedie calibrate: RUN/ranks.npy, coverage.npy, figure.png, summary.json, run.toml.

#include "tweedie/calibration.h"

#include "core/shape.h"
#include "io/atomic_file.h"
#include "io/config.h"
#include "io/image.h"
#include "io/run_folder.h"
#include "run/figures.h"
#include "run/findings.h"
#include "run/forward.h"
#include "run/measured_file.h"
#include "run/method.h"
#include "run/prior.h"
#include "run/services.h"
#include "tweedie/array_io.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr int64_t block_values = 1 << 23;  // of draws in memory at once
constexpr int64_t coverage_levels = 101;
constexpr double largest = 1e30;  // of a draw's coordinate, in float32 too

// What is kept of the problems whose draws are finite, and what all cost.
struct Tested {
  Tensor positions;  // (problems, statistics)
  Tensor distances;  // (problems), of TARP
  SquaredErrors errors;
  int64_t bad_problems = 0, bad_draws = 0;
  RunRecord run;  // work per draw, mean over problems
};

void add(RunRecord& all, const RunRecord& block, double share) {
  const auto mix = [&](double& mean, double value) { mean += share * (value - mean); };
  mix(all.network_evaluations, block.network_evaluations);
  mix(all.network_vjps, block.network_vjps);
  mix(all.operator_applications, block.operator_applications);
  all.steps = block.steps;
  all.seconds += block.seconds;
  for (const std::string& warning : block.warnings) {
    if (std::find(all.warnings.begin(), all.warnings.end(), warning) == all.warnings.end())
      all.warnings.push_back(warning);
  }
}

// Of one part of the work, as part of the whole, in draws.
Observer part(const Observer& whole, int64_t before, int64_t size, int64_t total) {
  if (!whole) return {};
  return [=](Progress p) {
    const double done =
        static_cast<double>(size) * static_cast<double>(p.done) / static_cast<double>(p.total);
    p.done = before + (p.done == p.total ? size : std::min(static_cast<int64_t>(done), size - 1));
    p.total = total;
    return whole(p);
  };
}

// (draws, cases) bool: not a number, so large that powers of it overflow, or of a case whose weights vanish
Tensor bad_draws(const Draws& draws) {
  const Tensor weightless = draws.log_weight.amax(0).isfinite().logical_not();
  const Tensor number = draws.x.flatten(2).abs().amax(2) <= largest;  // NaN wins a maximum
  return number.logical_not().logical_or(weightless);
}

// The problems drawn from the prior, and the method's answers to them, block by block.
Tested test(const CalibrateConfig& config, const LoadedPrior& prior, const Likelihood& likelihood,
            const PosteriorSampler& method, const RankStatistics& statistics, const RunContext& context) {
  const int64_t n = config.calibrate.simulations, draws = config.calibrate.draws;
  const Noise noise(config.seed);
  // One truth more than there are problems: the reference point of each is the truth of the next.
  const int64_t total = n + 1 + n * draws;
  RunContext of_truths = context;
  of_truths.observer = part(context.observer, 0, n + 1, total);
  const Tensor x =
      sample_prior(prior, config.sampler, config.schedule, n + 1, noise.stream(Stream::truth), of_truths)
          .to(at::kDouble);
  require_finite(x, "the prior's draws");
  Noise of_measurements = noise.stream(Stream::measurement);
  const Tensor y = likelihood.simulate(x.slice(0, 0, n), of_measurements);

  Tested result;
  std::vector<Tensor> positions, distances, draw_errors, mean_errors;
  const int64_t block = std::clamp<int64_t>(block_values / (draws * statistics.directions.size(0)), 1, n);
  for (int64_t first = 0; first < n; first += block) {
    const int64_t cases = std::min(block, n - first);
    // A method numbers the cases of a block from 0, so every block has its own noise.
    const Noise of_block = noise.stream(Stream::sampler).stream(static_cast<uint64_t>(first));
    const Draws found =
        method.sample({prior.denoiser, likelihood, y.slice(0, first, first + cases)}, draws, of_block,
                      part(context.observer, n + 1 + first * draws, cases * draws, total));
    add(result.run, found.run, static_cast<double>(cases) / static_cast<double>(first + cases));
    const Tensor bad = bad_draws(found), good = bad.any(0).logical_not().nonzero().squeeze(1);
    result.bad_draws += bad.sum().item<int64_t>();
    result.bad_problems += cases - good.size(0);
    if (good.size(0) == 0) continue;
    const Tensor problem = good + first;
    const bool weighted = (found.log_weight != found.log_weight[0]).any().item<bool>();
    const Simulations s{x.index_select(0, problem), y.index_select(0, problem),
                        found.x.index_select(1, good).to(at::kDouble),
                        weighted ? found.log_weight.index_select(1, good) : Tensor()};
    const auto* ids = problem.data_ptr<int64_t>();
    Noise of_ranks = noise.stream(Stream::order).rows({ids, ids + problem.size(0)});
    positions.push_back(rank_positions(s, statistics, likelihood, of_ranks));
    distances.push_back(distance_positions(s, x.index_select(0, problem + 1), of_ranks));
    const SquaredErrors errors = squared_errors(s);
    draw_errors.push_back(errors.draw);
    mean_errors.push_back(errors.mean);
  }
  if (positions.empty()) return result;
  result.positions = at::cat(positions);
  result.distances = at::cat(distances);
  result.errors = {at::cat(draw_errors), at::cat(mean_errors)};
  return result;
}

Finding finite_draws(const Tested& tested, int64_t simulations, int64_t draws) {
  Finding f{"finite",
            Finding::Status::pass,
            static_cast<double>(tested.bad_draws),
            std::nullopt,
            fmt::format("all draws of {} problems are finite", simulations),
            ""};
  if (tested.bad_draws == 0) return f;
  f.status = Finding::Status::fail;
  f.message =
      fmt::format("{} of {} draws are NaN, beyond 1e30 or of no weight; their {} of {} problems are left out",
                  tested.bad_draws, simulations * draws, tested.bad_problems, simulations);
  f.remedy = "take more steps, lower the step size, or use mmps";
  return f;
}

std::string verdict_of(const std::vector<Finding>& findings) {
  std::vector<std::string> failed, warned;
  for (const Finding& f : findings) {
    if (f.status == Finding::Status::fail) failed.push_back(f.name);
    if (f.status == Finding::Status::warn) warned.push_back(f.name);
  }
  if (!failed.empty())
    return fmt::format("The method is not calibrated: {} failed.", fmt::join(failed, ", "));
  if (!warned.empty()) {
    return fmt::format("The method is calibrated as far as can be told: {} warned.", fmt::join(warned, ", "));
  }
  return "The method is calibrated: every check passed.";
}

// Judges the ranks: findings, their numbers in the summary, ranks.npy, coverage.npy and figure.png.
std::vector<Finding> judge(const Tested& tested, const CalibrateOptions& o, const std::string& title,
                           const std::vector<std::string>& names, const RunFolder& folder, Summary& summary) {
  const Tensor& positions = tested.positions;
  const ExpectedCoverage expected = expected_coverage(tested.distances, coverage_levels);
  CalibrationPictures pictures{.title = title,
                               .level = expected.level,
                               .expected = expected.coverage,
                               .band = expected.band,
                               .names = names};
  std::vector<Tensor> counts;
  for (size_t s = 0; s < names.size(); ++s) {
    const Tensor column = positions.select(1, static_cast<int64_t>(s));
    const RankHistogram h = rank_histogram(column, o.draws, o.bins);
    counts.push_back(h.counts);
    const IntervalCoverage at_90 = interval_coverage(column, {0.9})[0];
    summary["statistics"].push_back({{"name", names[s]},
                                     {"chi2", h.chi2},
                                     {"p_value", h.p_value},
                                     {"coverage_90", at_90.coverage},
                                     {"coverage_90_p_value", at_90.p_value}});
  }
  pictures.counts = at::stack(counts);
  // The share of truths in the central interval of each level
  const Tensor distance = 2 * (positions - 0.5).abs();
  pictures.central =
      (distance.unsqueeze(0) <= expected.level.view({-1, 1, 1})).to(at::kDouble).mean(1);  // (levels, k)

  const MeanIdentity identity = mean_identity(tested.errors);
  summary["tarp"] = {{"deviation", expected.deviation}, {"p_value", expected.p_value}};
  summary["draw_against_mean"] = {{"decibels", identity.decibels},
                                  {"standard_error", identity.standard_error},
                                  {"z", identity.z},
                                  {"p_value", identity.p_value}};
  std::vector<std::string> columns = names;
  columns.push_back("tarp");
  summary["ranks_columns"] = columns;
  columns.insert(columns.begin(), "level");
  summary["coverage_columns"] = columns;
  write_npy(folder.path("ranks.npy"),
            ranks_of(at::cat({positions, tested.distances.unsqueeze(1)}, 1), o.draws));
  write_npy(folder.path("coverage.npy"),
            at::cat({expected.level.unsqueeze(1), pictures.central, expected.coverage.unsqueeze(1)}, 1));
  const Figure figure = calibration_figure(pictures);
  if (!figure.has_words) summary["warnings"].push_back("no font was found: the figure has no words");
  write_png(folder.path("figure.png"), figure.image);
  return {rank_uniformity(positions, o.draws, o.bins, names), central_coverage(positions, names),
          tarp(tested.distances), draw_against_mean(tested.errors)};
}

}  // namespace

Calibration calibrate(const CalibrateConfig& config, const RunContext& context) {
  const Stopwatch watch;
  const CalibrateOptions& o = config.calibrate;
  require_bins(o.simulations, o.draws, o.bins);
  const int64_t steps =
      takes_sampler(config.method) ? steps_of(config.method, config.sampler) : steps_of(config.method, {});
  const LoadedPrior prior = load_prior(config.prior, context);
  const Shape shape = prior.denoiser->shape();
  const Noise noise(config.seed);
  const auto forward = load_operator(config.measurement.forward, shape, noise.stream(Stream::user));
  const Likelihood likelihood(forward,
                              make_noise(config.measurement.noise, forward->codomain(), read_for_operator));
  const DrawOptions options = context.draw_options(prior.dtype);
  const auto method = make_method(config.method, config.sampler, config.schedule, steps, options);
  Noise of_directions = noise.stream(Stream::metric);
  RankStatistics statistics = RankStatistics::random(product(shape), o.directions, of_directions);
  statistics.log_likelihood = likelihood.has_density();
  RunFolder folder(context.out, context.force);
  const Tested tested = test(config, prior, likelihood, *method, statistics, context);

  Calibration result{{finite_draws(tested, o.simulations, o.draws)},
                     false,
                     start_summary("calibrate", config.seed, context)};
  Summary& summary = result.summary;
  add_warnings(summary, prior.warnings);
  add_warnings(summary, tested.run.warnings);
  summary["method"] = name_of(config.method);
  summary["prior"] = prior.description;
  summary["simulations"] = o.simulations;
  summary["draws"] = o.draws;
  summary["bins"] = o.bins;
  summary["steps"] = tested.run.steps;
  summary["network_evaluations"] = tested.run.network_evaluations;
  summary["network_vjps"] = tested.run.network_vjps;
  summary["operator_applications"] = tested.run.operator_applications;
  summary["seconds_sampling"] = tested.run.seconds;
  summary["non_finite_draws"] = tested.bad_draws;
  summary["non_finite_simulations"] = tested.bad_problems;
  if (enough_for_bins(o.simulations - tested.bad_problems, o.bins)) {
    const std::string title =
        fmt::format("{}: {} problems, {} draws each", name_of(config.method), o.simulations, o.draws);
    const auto judged = judge(tested, o, title, statistics.names(), folder, summary);
    result.findings.insert(result.findings.end(), judged.begin(), judged.end());
  } else {
    summary["warnings"].push_back("too few problems are left for ranks, coverage and a figure");
  }
  result.calibrated = std::none_of(result.findings.begin(), result.findings.end(),
                                   [](const Finding& f) { return f.status == Finding::Status::fail; });
  summary["findings"] = to_json(result.findings);
  summary["calibrated"] = result.calibrated;
  summary["verdict"] = verdict_of(result.findings);
  write_atomically(folder.path("run.toml"), provenance("calibrate") + write_fields(config));
  finish_summary(summary, watch);
  write_atomically(folder.path("summary.json"), summary.dump(2) + "\n");
  folder.commit();
  return result;
}

}  // namespace tweedie
