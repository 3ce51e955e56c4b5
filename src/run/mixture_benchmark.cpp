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

namespace tweedie {

namespace {

struct Setting {
  int64_t dy;
  double eta;
  NoiseSchedule schedule;
  DrawOptions draw;
  ParticleOptions smc;
};

GuidedSampler guided(const Guidance& guidance, const Setting& s) {
  return {guidance, std::make_shared<Ddim>(DdimOptions{.eta = s.eta}), s.schedule, s.draw};
}

using Method = std::unique_ptr<const PosteriorSampler>;
Method mcgdiff(const Setting& s) {
  return posterior_sampler(McgdiffOptions{.eta = s.eta, .smc = s.smc}, s.schedule, s.draw);
}
Method tds(const Setting& s) {
  return posterior_sampler(TdsOptions{.eta = s.eta, .smc = s.smc}, s.schedule, s.draw);
}
Method mmps(const Setting& s) {
  return std::make_unique<GuidedSampler>(guided(MmpsOptions{.iterations = s.dy + 1, .tolerance = 1e-6}, s));
}
Method pigdm(const Setting& s) {
  return std::make_unique<GuidedSampler>(guided(PigdmOptions{}, s));
}
Method ddrm(const Setting& s) {
  return std::make_unique<DdrmSampler>(DdrmOptions{}, s.schedule, s.draw);
}
Method dps(const Setting& s) {
  return std::make_unique<GuidedSampler>(guided(DpsOptions{.step_size = 0.2}, s));
}

struct Contestant {
  const char* name;
  Method (*make)(const Setting&);
  bool large;     // in more than 80 dimensions too, which are for the methods that claim them
  bool evidence;  // does it estimate one?
};
constexpr Contestant contestants[] = {{"mcgdiff", mcgdiff, true, true}, {"tds", tds, false, true},
                                      {"mmps", mmps, false, false},     {"pigdm", pigdm, false, false},
                                      {"ddrm", ddrm, true, false},      {"dps", dps, false, false}};

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
int64_t problems_of(const MixtureCell& cell, const MixtureBenchmarkOptions& o) {
  return cell.d > 80 ? std::max<int64_t>(1, o.problems / 4) : o.problems;
}

Noise noise_of(const MixtureBenchmarkOptions& o, int64_t d, int64_t dy, int64_t problem) {
  return Noise(o.seed).stream(static_cast<uint64_t>(1000 * d + dy)).stream(static_cast<uint64_t>(problem));
}

Problem problem_of(const MixtureProblem& p) {
  return {p.prior, GaussianLikelihood(make_matrix({p.matrix.size(1)}, p.matrix), p.noise_std),
          p.y.unsqueeze(0)};
}

std::string number(const std::optional<double>& value) {
  return value ? fmt::format("{:.2f}", *value) : "";
}

// Z-hat / Z over independent chains, on one problem
void evidence(const MixtureBenchmarkOptions& o, const RunContext& context, MixtureBenchmark& result) {
  result.text +=
      "\n## Evidence\n\n"
      "Z-hat / Z over 200 independent chains, first problem with d = 8, dy = 2, 100 steps, eta = 1.\n"
      "Z is that of the continuous prior, Z-hat estimates that of the discretised walk without bias.\n\n"
      "| method | particles | mean of Z-hat / Z | standard error | mean of log | spread of log |\n"
      "|---|---:|---:|---:|---:|---:|\n";
  constexpr int64_t d = 8, dy = 2, steps = 100, chains = 200;
  const Noise noise = noise_of(o, d, dy, 0);
  const MixtureProblem p = make_mixture_problem(d, dy, noise.stream(Stream::truth));
  const Problem problem = problem_of(p);
  const double exact = p.prior->condition(p.matrix, p.noise_std)->log_evidence(problem.y)[0].item<double>();
  for (const Contestant& contestant : contestants) {
    if (!contestant.evidence) continue;
    for (const int64_t particles : {64, 256, 1024}) {
      const Setting setting{dy,
                            1,
                            make_schedule(VpLinear{}, steps),
                            context.draw_options(at::kDouble),
                            {.particles = particles, .chains = chains}};
      const Draws draws =
          contestant.make(setting)->sample(problem, chains * particles, noise.stream(Stream::sampler), {});
      const Tensor log_ratio = draws.run.particles->log_evidence.flatten() - exact, ratio = log_ratio.exp();
      const double mean = ratio.mean().item<double>();
      const double error = ratio.std().item<double>() / std::sqrt(static_cast<double>(chains));
      const double log_mean = log_ratio.mean().item<double>(), spread = log_ratio.std().item<double>();
      result.text += fmt::format("| {} | {} | {:.3f} | {:.3f} | {:+.3f} | {:.3f} |\n", contestant.name,
                                 particles, mean, error, log_mean, spread);
      result.summary["evidence"].push_back({{"method", contestant.name},
                                            {"particles", particles},
                                            {"mean_ratio", mean},
                                            {"standard_error", error},
                                            {"log_mean", log_mean},
                                            {"log_std", spread}});
    }
  }
}

std::string heading(const MixtureBenchmarkOptions& o) {
  std::string text = fmt::format(
      "# 25-component mixture\n\n"
      "{} random problems a cell ({} above 80 dimensions), {} draws; mean and 95% interval of the sliced\n"
      "Wasserstein distance (mean over 100 directions of W_1) to exact draws.\n"
      "Reference: an independent reproduction with exact scores and the same settings, on other random\n"
      "problems. Slide: single runs of MCGdiff shown by its authors.\n\n| d | dy | steps | floor |",
      o.problems, std::max<int64_t>(1, o.problems / 4), o.draws);
  for (const Contestant& contestant : contestants) text += fmt::format(" {} |", contestant.name);
  text += " reference mcgdiff | mmps | ddrm | dps | slide mcgdiff |\n|---:|---:|---:|---:|";
  for (size_t i = 0; i < std::size(contestants) + 5; ++i) text += "---:|";
  return text + "\n";
}

void add_cell(const MixtureCell& cell, const MixtureDistances& distances, MixtureBenchmark& result) {
  Summary entry{{"d", cell.d}, {"dy", cell.dy}, {"steps", cell.steps}};
  const double floor = Mean(distances.at("floor")).value;
  entry["floor"] = floor;
  result.text += fmt::format("| {} | {} | {} | {:.2f} |", cell.d, cell.dy, cell.steps, floor);
  for (const Contestant& contestant : contestants) {
    const auto found = distances.find(contestant.name);
    if (found == distances.end()) {
      result.text += " |";
      continue;
    }
    const Mean mean(found->second);
    const bool finite = std::isfinite(mean.value);
    result.text += finite ? fmt::format(" {:.2f} ± {:.2f} |", mean.value, mean.half_width) : " diverged |";
    if (finite)
      entry["methods"][contestant.name] = {{"mean", mean.value}, {"half_width_95", mean.half_width}};
  }
  result.text += fmt::format(" {} | {} | {} | {} | {} |\n", number(cell.mcgdiff), number(cell.mmps),
                             number(cell.ddrm), number(cell.dps), number(cell.slide));
  result.summary["cells"].push_back(entry);
}

}  // namespace

MixtureDistances mixture_distances(const MixtureCell& cell, const MixtureBenchmarkOptions& o,
                                   const RunContext& context, const std::function<void()>& problem_done) {
  const Setting setting{cell.dy,
                        cell.eta(),
                        make_schedule(VpLinear{}, cell.steps),
                        context.draw_options(at::kDouble, /*slice_rows=*/128),
                        {.particles = o.draws / 2, .chains = 2}};
  MixtureDistances result;
  for (int64_t i = 0; i < problems_of(cell, o); ++i) {
    const Noise noise = noise_of(o, cell.d, cell.dy, i);
    const MixtureProblem p = make_mixture_problem(cell.d, cell.dy, noise.stream(Stream::truth));
    const Problem problem = problem_of(p);
    const auto posterior = p.prior->condition(p.matrix, p.noise_std);
    Noise first = noise.stream(Stream::user), second = first.stream(Stream::user);
    const Tensor exact = posterior->sample(p.y, o.draws, first);
    result["floor"].push_back(sliced_wasserstein({exact}, {posterior->sample(p.y, o.draws, second)}));
    for (const Contestant& contestant : contestants) {
      if (cell.d > 80 && !contestant.large) continue;
      const Draws draws =
          contestant.make(setting)->sample(problem, o.draws, noise.stream(Stream::sampler), {});
      const Tensor x = draws.x.select(1, 0);
      const bool finite =
          x.isfinite().all().item<bool>() && draws.log_weight.gt(-INFINITY).any().item<bool>();
      result[contestant.name].push_back(
          finite ? sliced_wasserstein({x, draws.log_weight.select(1, 0)}, {exact}) : INFINITY);
    }
    problem_done();
  }
  return result;
}

MixtureBenchmark mixture_benchmark(const MixtureBenchmarkOptions& o, const RunContext& context) {
  MixtureBenchmark result;
  result.text = heading(o);
  Progress progress;
  for (const MixtureCell& cell : o.cells) progress.total += problems_of(cell, o);
  const auto report = [&] {
    ++progress.done;
    if (context.observer && context.observer(progress) == Control::stop) throw Interrupted{};
  };
  for (const MixtureCell& cell : o.cells) add_cell(cell, mixture_distances(cell, o, context, report), result);
  evidence(o, context, result);
  return result;
}

}  // namespace tweedie
