#include "run/mixture_benchmark.h"

#include "run/mixture_problems.h"
#include "tweedie/ddim.h"
#include "tweedie/ddrm.h"
#include "tweedie/guidance.h"
#include "tweedie/metrics.h"
#include "tweedie/operators.h"
#include "tweedie/particles.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

namespace tweedie {

namespace {

constexpr const char* methods[] = {"mcgdiff", "tds", "mmps", "pigdm", "ddrm", "dps"};

struct Cell {
  int64_t d, dy, steps;
  std::optional<double> mcgdiff, ddrm, dps,
      mmps;                     // of an independent reproduction with exact scores, same settings
  std::optional<double> slide;  // a single run of MCGdiff's authors' talk
  double eta() const { return steps <= 20 ? 0.6 : 0.85; }
};

std::vector<Cell> cells(bool large) {
  std::vector<Cell> result = {
      {8, 1, 20, 0.92, 4.91, 6.26, 2.98, {}},   {8, 1, 100, 0.56, 4.19, 4.20, 2.93, {}},
      {8, 2, 20, 0.87, 5.32, 5.84, 1.50, 1.59}, {8, 2, 100, 0.39, 4.65, 2.93, 1.47, {}},
      {8, 4, 20, 0.23, 1.83, 4.70, 0.29, 2.1},  {8, 4, 100, 0.12, 1.00, 1.09, 0.27, {}},
      {80, 1, 20, {}, {}, {}, {}, {}},          {80, 1, 100, {}, {}, {}, {}, {}},
      {80, 2, 20, {}, {}, {}, {}, 3.9},         {80, 2, 100, {}, {}, {}, {}, {}},
      {80, 4, 20, {}, {}, {}, {}, 2.3},         {80, 4, 100, {}, {}, {}, {}, 1.8},
  };
  if (large) {
    result.push_back({400, 2, 20, {}, {}, {}, {}, 1.7});
    for (const int64_t dy : {1, 2, 4}) result.push_back({800, dy, 20, {}, {}, {}, {}, {}});
    for (const int64_t dy : {1, 2, 4}) result.push_back({800, dy, 100, {}, {}, {}, {}, {}});
  }
  return result;
}

struct Mean {
  double value = 0, half_width = 0;  // of a 95% interval

  explicit Mean(const std::vector<double>& x) {
    const auto n = static_cast<double>(x.size());
    for (const double v : x) value += v / n;
    double square = 0;
    for (const double v : x) square += (v - value) * (v - value);
    if (n > 1) half_width = 1.96 * std::sqrt(square / (n - 1) / n);
  }
};

// A quarter of the problems where each is a hundred times as large.
int64_t problems_of(const Cell& cell, const MixtureBenchmarkOptions& o) {
  return cell.d > 80 ? std::max<int64_t>(1, o.problems / 4) : o.problems;
}

class Run {
 public:
  Run(const MixtureBenchmarkOptions& options, const RunContext& context) : o_(options), context_(context) {}

  // Draws of one method on one problem
  Draws draw(const std::string& method, const Cell& cell, const MixtureProblem& p, const Problem& problem,
             const Noise& noise) const {
    const NoiseSchedule schedule = make_schedule(VpLinear{}, cell.steps);
    const DrawOptions draw = context_.draw_options(at::kDouble, /*slice_rows=*/128);
    const ParticleOptions smc{.particles = o_.draws / 2, .chains = 2};
    const auto guided = [&](const Guidance& guidance) {
      return GuidedSampler(guidance, std::make_shared<Ddim>(DdimOptions{.eta = cell.eta()}), schedule, draw)
          .sample(problem, o_.draws, noise, {});
    };
    if (method == "mcgdiff")
      return posterior_sampler(McgdiffOptions{.eta = cell.eta(), .smc = smc}, schedule, draw)
          ->sample(problem, 2 * smc.particles, noise, {});
    if (method == "tds")
      return posterior_sampler(TdsOptions{.eta = cell.eta(), .smc = smc}, schedule, draw)
          ->sample(problem, 2 * smc.particles, noise, {});
    if (method == "mmps") return guided(MmpsOptions{.iterations = p.matrix.size(0) + 1, .tolerance = 1e-6});
    if (method == "pigdm") return guided(PigdmOptions{});
    if (method == "dps") return guided(DpsOptions{.step_size = 0.2});
    return DdrmSampler(DdrmOptions{}, schedule, draw).sample(problem, o_.draws, noise, {});
  }

  // Distances on one problem: floor and each method
  void examine(const Cell& cell, int64_t i, std::map<std::string, std::vector<double>>& distances) const {
    const Noise noise = Noise(o_.seed)
                            .stream(static_cast<uint64_t>(1000 * cell.d + cell.dy))
                            .stream(static_cast<uint64_t>(i));
    const MixtureProblem p = make_mixture_problem(cell.d, cell.dy, noise.stream(Stream::truth));
    const Problem problem{p.prior, GaussianLikelihood(make_matrix({cell.d}, p.matrix), p.noise_std),
                          p.y.unsqueeze(0)};
    const auto posterior = p.prior->condition(p.matrix, p.noise_std);
    Noise first = noise.stream(Stream::user), second = first.stream(Stream::user);
    const Tensor exact = posterior->sample(p.y, o_.draws, first);
    distances["floor"].push_back(sliced_wasserstein({exact}, {posterior->sample(p.y, o_.draws, second)}));
    for (const char* method : methods) {
      // The large dimensions are for the methods that claim them.
      if (cell.d > 80 && std::string(method) != "mcgdiff" && std::string(method) != "ddrm") continue;
      const Draws draws = draw(method, cell, p, problem, noise.stream(Stream::sampler));
      const Tensor x = draws.x.select(1, 0);
      const bool finite =
          x.isfinite().all().item<bool>() && draws.log_weight.gt(-INFINITY).any().item<bool>();
      distances[method].push_back(finite ? sliced_wasserstein({x, draws.log_weight.select(1, 0)}, {exact})
                                         : INFINITY);
    }
  }

 private:
  const MixtureBenchmarkOptions& o_;
  const RunContext& context_;
};

std::string number(const std::optional<double>& value) {
  return value ? fmt::format("{:.2f}", *value) : "";
}

// Z-hat / Z over independent chains, on one problem
void evidence(const MixtureBenchmarkOptions& o, const RunContext& context, MixtureBenchmark& result) {
  result.text +=
      "\n## Evidence\n\nZ-hat / Z over 200 independent chains, first problem with d = 8, dy = 2, 100 steps, "
      "eta = 1. "
      "Z is that of the continuous prior, Z-hat\nestimates that of the discretised walk without bias.\n\n"
      "| method | particles | mean of Z-hat / Z | standard error | mean of log | spread of log |\n"
      "|---|---:|---:|---:|---:|---:|\n";
  const Noise noise = Noise(o.seed).stream(8002).stream(0);
  const MixtureProblem p = make_mixture_problem(8, 2, noise.stream(Stream::truth));
  const Problem problem{p.prior, GaussianLikelihood(make_matrix({8}, p.matrix), p.noise_std),
                        p.y.unsqueeze(0)};
  const double exact = p.prior->condition(p.matrix, p.noise_std)->log_evidence(problem.y)[0].item<double>();
  const NoiseSchedule schedule = make_schedule(VpLinear{}, 100);
  constexpr int64_t chains = 200;
  for (const auto* method : {"mcgdiff", "tds"}) {
    for (const int64_t particles : {64, 256, 1024}) {
      const ParticleOptions smc{.particles = particles, .chains = chains};
      const auto sampler =
          std::string(method) == "mcgdiff"
              ? posterior_sampler(McgdiffOptions{.smc = smc}, schedule, context.draw_options(at::kDouble))
              : posterior_sampler(TdsOptions{.smc = smc}, schedule, context.draw_options(at::kDouble));
      const Draws draws = sampler->sample(problem, chains * particles, noise.stream(Stream::sampler), {});
      const Tensor log_ratio = draws.run.particles->log_evidence.flatten() - exact, ratio = log_ratio.exp();
      const double mean = ratio.mean().item<double>();
      const double error = ratio.std().item<double>() / std::sqrt(static_cast<double>(chains));
      const double log_mean = log_ratio.mean().item<double>(), spread = log_ratio.std().item<double>();
      result.text += fmt::format("| {} | {} | {:.3f} | {:.3f} | {:+.3f} | {:.3f} |\n", method, particles,
                                 mean, error, log_mean, spread);
      result.summary["evidence"].push_back({{"method", method},
                                            {"particles", particles},
                                            {"mean_ratio", mean},
                                            {"standard_error", error},
                                            {"log_mean", log_mean},
                                            {"log_std", spread}});
    }
  }
}

}  // namespace

MixtureBenchmark mixture_benchmark(const MixtureBenchmarkOptions& o, const RunContext& context) {
  MixtureBenchmark result;
  const Run run(o, context);
  const std::vector<Cell> all = cells(o.large);
  result.text = fmt::format(
      "# 25-component mixture\n\n{} random problems a cell ({} above 80 dimensions), {} draws; mean and 95% "
      "interval of the sliced "
      "Wasserstein distance "
      "(mean over 100 directions of W_1) to exact draws.\nReference: an independent reproduction with exact "
      "scores and the "
      "same settings. Slide: single runs of MCGdiff shown by its authors.\n\n| d | dy | steps | floor |",
      o.problems, std::max<int64_t>(1, o.problems / 4), o.draws);
  for (const char* method : methods) result.text += fmt::format(" {} |", method);
  result.text += " reference mcgdiff | mmps | ddrm | dps | slide mcgdiff |\n|---:|---:|---:|---:|";
  for (size_t i = 0; i < std::size(methods) + 5; ++i) result.text += "---:|";
  result.text += "\n";
  int64_t total = 0;
  for (const Cell& cell : all) total += problems_of(cell, o);
  int64_t done = 0;
  for (const Cell& cell : all) {
    std::map<std::string, std::vector<double>> distances;
    for (int64_t i = 0; i < problems_of(cell, o); ++i) {
      run.examine(cell, i, distances);
      if (context.observer && context.observer({.done = ++done, .total = total}) == Control::stop)
        throw Interrupted{};
    }
    Summary entry{{"d", cell.d}, {"dy", cell.dy}, {"steps", cell.steps}};
    const double floor = Mean(distances["floor"]).value;
    entry["floor"] = floor;
    result.text += fmt::format("| {} | {} | {} | {:.2f} |", cell.d, cell.dy, cell.steps, floor);
    for (const char* method : methods) {
      if (!distances.contains(method)) {
        result.text += " |";
        continue;
      }
      const Mean mean(distances[method]);
      const bool finite = std::isfinite(mean.value);
      result.text += finite ? fmt::format(" {:.2f} ± {:.2f} |", mean.value, mean.half_width) : " diverged |";
      if (finite) entry["methods"][method] = {{"mean", mean.value}, {"half_width_95", mean.half_width}};
    }
    result.text += fmt::format(" {} | {} | {} | {} | {} |\n", number(cell.mcgdiff), number(cell.mmps),
                               number(cell.ddrm), number(cell.dps), number(cell.slide));
    result.summary["cells"].push_back(entry);
  }
  evidence(o, context, result);
  return result;
}

}  // namespace tweedie
