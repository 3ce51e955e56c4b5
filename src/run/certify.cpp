#include "run/certify.h"

#include "core/shape.h"
#include "io/atomic_file.h"
#include "io/run_folder.h"
#include "run/configs.h"
#include "run/grid_posterior.h"
#include "run/infer.h"
#include "run/ladder.h"
#include "run/method.h"
#include "tweedie/metrics.h"
#include "tweedie/whitening.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace tweedie {

namespace {

using Verdict = CertificateEntry::Verdict;

constexpr int64_t slice_rows = 128;  // analytic priors cost less than the calls around them

constexpr int64_t floor_pairs = 8;

// How near is near: distance over its floor, and the exact probability of the 90% intervals.
constexpr double exact_ratio = 1.5, close_ratio = 4;
constexpr std::array exact_coverage{0.86, 0.94}, close_coverage{0.75, 0.98};

struct Contestant {
  MethodConfig method;
  // What it is exact for in the limit of many steps, and of many particles where it has some: with the few
  // used here on small problems
  enum class Promise { none, small, always } promise = Promise::none;
  bool point = false;  // an estimate, not draws
};

std::vector<Contestant> contestants() {
  using enum Contestant::Promise;
  const auto of = [](auto options, Contestant::Promise promise, bool point = false) {
    Contestant c;
    c.method.rule = std::move(options);
    c.promise = promise;
    c.point = point;
    return c;
  };
  return {
      of(ExactOptions{}, always),      of(OracleOptions{}, always),    of(McgdiffOptions{}, small),
      of(TdsOptions{}, small),         of(FpsOptions{}, none),         of(MmpsOptions{}, none),
      of(DapsOptions{}, none),         of(PnpDmOptions{}, none),       of(TmpdOptions{}, none),
      of(PigdmOptions{}, none),        of(DpsOptions{}, none),         of(DdnmOptions{}, none),
      of(DdnmPlusOptions{}, none),     of(DdrmOptions{}, none),        of(DiffpirOptions{}, none),
      of(RepaintOptions{}, none),      of(ReplacementOptions{}, none), of(PosteriorLangevinOptions{}, none),
      of(RedDiffOptions{}, none, true)};
}

MethodConfig with_particles(MethodConfig method, int64_t particles) {
  std::visit(
      [&](auto& rule) {
        if constexpr (requires { rule.smc; }) {
          rule.smc.particles = particles;
          rule.smc.chains = 1;
        }
      },
      method.rule);
  return method;
}

double work_of(const RunRecord& run) {
  return run.network_evaluations + run.network_vjps;
}

// The posteriors of a problem's cases: in closed form where its noise is Gaussian, white or not, else on a
// grid.
struct Truth {
  Tensor log_evidence;                                                   // (cases)
  std::function<Tensor(int64_t c, int64_t draws, Noise& noise)> sample;  // (draws, *shape)

  Truth(const Rung& rung, const Problem& problem) {
    const Problem white = whitened(problem);
    if (const auto std = white.likelihood.noise().noise_std()) {
      const std::shared_ptr<const ExactPosterior> posterior =
          rung.prior->condition(white.likelihood.linear()->dense(), *std);
      const Whitening* whitening = problem.likelihood.noise().whitening();
      const Tensor y = white.y.flatten(1);
      log_evidence = posterior->log_evidence(y) - (whitening != nullptr ? whitening->log_scale() : 0);
      sample = [=](int64_t c, int64_t draws, Noise& noise) { return posterior->sample(y[c], draws, noise); };
      return;
    }
    std::vector<GridPosterior> grids;
    std::vector<double> evidence;
    for (int64_t c = 0; c < problem.cases(); ++c) {
      grids.emplace_back(*rung.prior, problem.likelihood, problem.y[c]);
      evidence.push_back(grids.back().log_evidence());
    }
    log_evidence = at::tensor(evidence, at::kDouble);
    sample = [grids = std::move(grids)](int64_t c, int64_t draws, Noise& noise) {
      return grids[static_cast<size_t>(c)].sample(draws, noise);
    };
  }
};

// A rung with its measurements, their exact posterior, and draws of it.
struct Exam {
  Rung rung;
  Problem problem;
  std::vector<Tensor> exact, again;  // (draws, d) for each case; two independent sets
  Tensor log_evidence;               // (cases)
  double floor;

  Exam(Rung r, const CertifyOptions& o)
      : rung(std::move(r)), problem{rung.prior, Likelihood(rung.forward, rung.noise), {}} {
    const Noise noise = Noise(o.seed);
    Noise truth = noise.stream(Stream::truth), measured = noise.stream(Stream::measurement);
    problem.y = problem.likelihood.simulate(rung.prior->sample(o.cases, truth), measured);
    const Truth posterior(rung, problem);
    log_evidence = posterior.log_evidence;
    Noise first = noise.stream(Stream::user), second = first.stream(Stream::user);
    double total = 0;
    for (int64_t c = 0; c < o.cases; ++c) {
      exact.push_back(posterior.sample(c, o.draws, first).flatten(1));
      for (int64_t pair = 0; pair < floor_pairs; ++pair) {
        const Tensor other = posterior.sample(c, o.draws, second).flatten(1);
        total += sliced_wasserstein({exact[c]}, {other});
        if (pair == 0) again.push_back(other);
      }
    }
    floor = total / static_cast<double>(o.cases * floor_pairs);
  }
};

// Exact probability of the central 90% intervals of equally weighted draws (n, d), mean over the coordinates
// that y leaves uncertain.
double coverage_of(const Tensor& draws, const Tensor& exact) {
  const Tensor uncertain = exact.std(0).gt(1e-6 * exact.abs().max()).nonzero().flatten();
  const Tensor x = draws.index_select(1, uncertain), truth = exact.index_select(1, uncertain);
  const Tensor ends = at::quantile(x, at::tensor({0.05, 0.95}, at::kDouble), 0);
  return truth.ge(ends[0]).logical_and(truth.le(ends[1])).to(at::kDouble).mean().item<double>();
}

Verdict judge(const CertificateEntry& e, bool point) {
  if (!(e.ratio() < 1000)) return Verdict::diverged;
  if (point) return Verdict::point;
  const auto within = [&](const std::array<double, 2>& band) {
    return e.coverage >= band[0] && e.coverage <= band[1];
  };
  if (e.ratio() <= exact_ratio && within(exact_coverage)) return Verdict::exact;
  if (e.ratio() <= close_ratio && within(close_coverage)) return Verdict::close;
  return Verdict::biased;
}

// As many steps as the evaluations pay for, from the cost of two short walks.
int64_t affordable_steps(const MethodConfig& method, const Exam& exam, const CertifyOptions& o,
                         const RunContext& context) {
  const auto cost = [&](int64_t steps) {
    const auto sampler = make_method(with_particles(method, 1), SamplerConfig{}, exam.rung.schedule, steps,
                                     context.draw_options(at::kDouble, slice_rows));
    const Problem one{exam.problem.prior, exam.problem.likelihood, exam.problem.y.slice(0, 0, 1)};
    return work_of(sampler->sample(one, 1, Noise(o.seed), {}).run);
  };
  const double few = cost(4), more = cost(8), each = (more - few) / 4;
  if (!(each > 0)) return 1;
  const double steps = (static_cast<double>(o.evaluations) - (few - 4 * each)) / each;
  return std::max<int64_t>(2, static_cast<int64_t>(steps));
}

CertificateEntry examine(const Contestant& contestant, const Exam& exam, const CertifyOptions& o,
                         const RunContext& context) {
  CertificateEntry entry;
  entry.rung = exam.rung.name;
  entry.method = name_of(contestant.method);
  entry.floor = exam.floor;
  entry.promised = contestant.promise == Contestant::Promise::always ||
                   (contestant.promise == Contestant::Promise::small &&
                    product(exam.rung.forward->codomain()) <= 6 && exam.rung.prior->dimension() <= 16);
  try {
    const bool walks = !std::holds_alternative<ExactOptions>(contestant.method.rule);
    entry.steps = walks ? affordable_steps(contestant.method, exam, o, context) : 0;
    const auto method =
        make_method(with_particles(contestant.method, o.draws), SamplerConfig{}, exam.rung.schedule,
                    entry.steps, context.draw_options(at::kDouble, slice_rows));
    const Draws draws = method->sample(exam.problem, o.draws, Noise(o.seed).stream(Stream::sampler), {});
    entry.evaluations = work_of(draws.run);
    entry.seconds = draws.run.seconds;
    if (!draws.x.isfinite().all().item<bool>() || draws.log_weight.eq(-INFINITY).all(0).any().item<bool>()) {
      entry.verdict = Verdict::diverged;
      return entry;
    }
    const Tensor equal = equally_weighted(draws.x, draws.log_weight, Noise(o.seed));
    for (int64_t c = 0; c < o.cases; ++c) {
      const Tensor x = draws.x.select(1, c).flatten(1), log_weight = draws.log_weight.select(1, c);
      entry.distance += sliced_wasserstein({x, log_weight}, {exam.exact[c]}) / static_cast<double>(o.cases);
      entry.coverage +=
          coverage_of(equal.select(1, c).flatten(1), exam.again[c]) / static_cast<double>(o.cases);
    }
    if (draws.log_evidence)
      entry.evidence_error = (*draws.log_evidence - exam.log_evidence).mean().item<double>();
    entry.verdict = judge(entry, contestant.point);
  } catch (const Error& error) {
    entry.refused = error.what();
  }
  return entry;
}

std::string cell(const CertificateEntry& e) {
  if (e.verdict == Verdict::refused) return "-";
  if (e.verdict == Verdict::diverged) return "diverged";
  const std::string ratio = fmt::format("{:.{}f}", e.ratio(), e.ratio() < 10 ? 1 : 0);
  return e.verdict == Verdict::exact ? "**" + ratio + "**" : ratio;
}

// Of rungs first .. last - 1, without the methods that none of them is for
std::string table_of(const std::vector<CertificateEntry>& entries, const std::vector<Exam>& exams,
                     size_t first, size_t last) {
  if (first == last) return "";
  std::string text = "| method |";
  for (size_t r = first; r < last; ++r) text += fmt::format(" {} |", exams[r].rung.name);
  text += "\n|---|";
  for (size_t r = first; r < last; ++r) text += "---:|";
  text += "\n";
  const size_t methods = entries.size() / exams.size();
  for (size_t m = 0; m < methods; ++m) {
    std::string row = fmt::format("| {} |", entries[m].method);
    bool applies = false;
    for (size_t r = first; r < last; ++r) {
      const CertificateEntry& entry = entries[r * methods + m];
      applies = applies || entry.verdict != Verdict::refused;
      row += fmt::format(" {} |", cell(entry));
    }
    if (applies) text += row + "\n";
  }
  return text;
}

std::string overview(const std::vector<CertificateEntry>& entries, const std::vector<Exam>& exams) {
  const auto white = [](const Exam& exam) { return exam.rung.noise->noise_std().has_value(); };
  const auto split = static_cast<size_t>(std::find_if_not(exams.begin(), exams.end(), white) - exams.begin());
  const std::string first = table_of(entries, exams, 0, split),
                    second = table_of(entries, exams, split, exams.size());
  return first + (first.empty() || second.empty() ? "" : "\n") + second;
}

std::string details(const std::vector<CertificateEntry>& entries, const std::vector<Exam>& exams) {
  std::string text;
  for (const Exam& exam : exams) {
    text +=
        fmt::format("\n### {}\n\n{}. Floor {:.3g}.\n\n", exam.rung.name, exam.rung.description, exam.floor);
    text +=
        "| method | steps | evaluations | distance | over floor | 90% covers | evidence error | seconds | "
        "verdict |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|---|\n";
    for (const CertificateEntry& e : entries) {
      if (e.rung != exam.rung.name) continue;
      if (e.verdict == Verdict::refused) {
        text += fmt::format("| {} | | | | | | | | refused: {} |\n", e.method, e.refused);
        continue;
      }
      if (e.verdict == Verdict::diverged) {
        text += fmt::format("| {} | {} | {:.0f} | | | | | {:.1f} | diverged |\n", e.method, e.steps,
                            e.evaluations, e.seconds);
        continue;
      }
      text += fmt::format("| {} | {} | {:.0f} | {:.3g} | {:.2f} | {:.1f}% | {} | {:.1f} | {}{} |\n", e.method,
                          e.steps, e.evaluations, e.distance, e.ratio(), 100 * e.coverage,
                          e.evidence_error ? fmt::format("{:+.2f}", *e.evidence_error) : "", e.seconds,
                          to_string(e.verdict),
                          e.promised && e.verdict == Verdict::biased ? " (promised exact)" : "");
    }
  }
  return text;
}

template <class Items, class Name>
void require_known(const std::vector<std::string>& asked, const Items& items, Name name_of_item,
                   const char* place) {
  for (const std::string& name : asked) {
    std::string all;
    bool known = false;
    for (const auto& item : items) {
      known = known || name_of_item(item) == name;
      all += (all.empty() ? "" : ", ") + name_of_item(item);
    }
    if (!known) throw Error(place, fmt::format("'{}': one of {} is meant", name, all));
  }
}

bool asked_for(const std::vector<std::string>& names, const std::string& name) {
  return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

std::string heading(const CertifyOptions& o) {
  return fmt::format(
      "# Certificate\n\n"
      "{} draws for each of {} measurements on every rung, {} network evaluations (values and derivatives) "
      "a\n"
      "draw, seed {}. Each cell: sliced Wasserstein distance to the exact posterior over that of two sets "
      "of\n"
      "exact draws; 1 is as good as exact. Bold: at most {} with 90% intervals that cover {:.0f} to "
      "{:.0f}%.\n"
      "-: the method does not apply.\n\n",
      o.draws, o.cases, o.evaluations, o.seed, exact_ratio, 100 * exact_coverage[0], 100 * exact_coverage[1]);
}

}  // namespace

const char* to_string(Verdict verdict) {
  constexpr std::array names{"exact", "close", "biased", "a point", "diverged", "refused"};
  return names[static_cast<size_t>(verdict)];
}

Certificate certify(const CertifyOptions& o, const RunContext& context) {
  const Stopwatch watch;
  if (o.draws < 20)
    throw Error("--draws", fmt::format("{}: at least 20 are needed for 90% intervals", o.draws));
  if (o.cases < 1) throw Error("--cases", fmt::format("{}: at least 1 is needed", o.cases));
  if (o.evaluations < 8)
    throw Error("--evaluations", fmt::format("{}: at least 8 are needed", o.evaluations));
  std::vector<Contestant> all_methods = contestants(), methods;
  std::vector<Rung> all_rungs = ladder();
  require_known(
      o.methods, all_methods, [](const Contestant& c) { return name_of(c.method); }, "--method");
  require_known(
      o.rungs, all_rungs, [](const Rung& r) { return r.name; }, "--rung");
  for (Contestant& c : all_methods)
    if (asked_for(o.methods, name_of(c.method))) methods.push_back(std::move(c));
  RunFolder folder(context.out, context.force);
  std::vector<Exam> exams;
  for (Rung& rung : all_rungs)
    if (o.ladder && asked_for(o.rungs, rung.name)) exams.emplace_back(std::move(rung), o);

  Certificate result{{}, true, {}, start_summary("certify", o.seed, context)};
  const auto total = static_cast<int64_t>(exams.size() * methods.size());
  for (const Exam& exam : exams) {
    for (const Contestant& contestant : methods) {
      result.entries.push_back(examine(contestant, exam, o, context));
      const CertificateEntry& e = result.entries.back();
      if (e.promised && (e.verdict == Verdict::biased || e.verdict == Verdict::diverged)) result.kept = false;
      const auto done = static_cast<int64_t>(result.entries.size());
      if (context.observer && context.observer({.done = done, .total = total}) == Control::stop)
        throw Interrupted{};
    }
  }
  if (o.ladder) {
    result.text = heading(o) + overview(result.entries, exams) + details(result.entries, exams);
  }
  Summary& summary = result.summary;
  summary["draws"] = o.draws;
  summary["cases"] = o.cases;
  summary["evaluations"] = o.evaluations;
  for (const CertificateEntry& e : result.entries) {
    Summary entry{
        {"rung", e.rung}, {"method", e.method}, {"verdict", to_string(e.verdict)}, {"promised", e.promised}};
    if (e.verdict == Verdict::refused) {
      entry["reason"] = e.refused;
    } else {
      entry["steps"] = e.steps;
      entry["network_evaluations"] = e.evaluations;
      entry["seconds"] = e.seconds;
    }
    if (e.verdict < Verdict::diverged) {
      entry["sliced_wasserstein"] = e.distance;
      entry["floor"] = e.floor;
      entry["coverage_90"] = e.coverage;
      if (e.evidence_error) entry["log_evidence_error"] = *e.evidence_error;
    }
    summary["entries"].push_back(entry);
  }
  summary["kept"] = result.kept;
  if (o.mixture) {
    MixtureBenchmark benchmark = mixture_benchmark(*o.mixture, context);
    result.text += (o.ladder ? "\n" : "") + benchmark.text;
    summary["mixture"] = std::move(benchmark.summary);
  }
  finish_summary(summary, watch);
  write_atomically(folder.path("certificate.md"), result.text);
  write_atomically(folder.path("summary.json"), summary.dump(2) + "\n");
  folder.commit();
  return result;
}

}  // namespace tweedie
