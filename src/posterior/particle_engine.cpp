#include "posterior/particle_engine.h"

#include "core/shape.h"
#include "core/workers.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>

namespace tweedie {

namespace {

// Rows of a slice: few enough for its arrays to stay in a core's cache, and the slices of a chain alike.
constexpr int64_t slice_numbers = 1 << 16;
int64_t rows_per_slice(int64_t particles, int64_t dimension) {
  const int64_t most = std::clamp<int64_t>(slice_numbers / dimension, 16, 1024);
  const int64_t slices = (particles + most - 1) / most;
  return ((particles + slices - 1) / slices + 15) / 16 * 16;
}

constexpr double minus_infinity = -std::numeric_limits<double>::infinity();

// log of the mean of exp
double log_mean_exp(const Tensor& log_w) {
  return at::logsumexp(log_w, 0).item<double>() - std::log(static_cast<double>(log_w.numel()));
}

// The particles of one case and chain.
struct Chain {
  int64_t c, chain;  // case, and which of its chains
  std::unique_ptr<ParticleModel> model;
  std::vector<Noise> moves;  // of each slice
  Noise choices;             // of the resampling
  Tensor carry, next_carry;  // (N, c)
  Tensor twist, next_twist;  // (N) float64; undefined where there is none
  Tensor x;                  // (N, d), at the end
  Tensor log_weight;         // (N) float64, since the last resampling
  Tensor ancestor;           // (N): of each particle, one step back
  Tensor first;              // (N): at the first level
  double log_evidence = 0;
  std::optional<int64_t> dead;  // the step at which every weight was zero or not a number
};

class Engine {
 public:
  Engine(const ParticleRun& run, const ParticleOptions& options, int64_t chains, const ParticleTask& task)
      : run_(run),
        options_(options),
        noise_(task.noise),
        observer_(task.observer),
        draw_(task.draw),
        workers_(task.draw.device.is_cuda() ? 1 : task.draw.threads),
        chains_(chains),
        cases_(task.problem.cases()),
        dimension_(product(task.problem.prior->shape())),
        slice_rows_(rows_per_slice(options.particles, dimension_)),
        slices_((options.particles + slice_rows_ - 1) / slice_rows_),
        total_(chains * cases_ * slices_ * (run.steps + 1)) {
    record_.particles = options.particles;
    record_.chains = chains;
    record_.ess = at::zeros({run.steps + 1, chains, cases_}, at::kDouble);
    record_.unique_ancestors = at::zeros({chains, cases_}, at::kLong);
    record_.log_evidence = at::zeros({chains, cases_}, at::kDouble);
    if (options.ancestors)
      record_.ancestors = at::empty({run.steps + 1, chains, cases_, options.particles}, at::kInt);
    const int64_t n = options.particles;
    x = at::empty({chains, n, cases_, dimension_}, at::TensorOptions().dtype(draw_.dtype));
    log_weight = at::empty({chains, n, cases_}, at::kDouble);
  }

  // As many chains at a time as the memory allows.
  void go() {
    const int64_t all = chains_ * cases_;
    std::unique_ptr<ParticleModel> probe = run_.model(0, chain_noise(0, 0));
    const int64_t size = draw_.dtype == at::kDouble ? 8 : 4, n = options_.particles;
    const int64_t bytes = n * (size * (2 * probe->carried() + dimension_) + 8 * 6);
    const int64_t results = x.nbytes() + log_weight.nbytes();
    if (draw_.memory > 0 && results + bytes > draw_.memory) {
      throw Error("--memory",
                  fmt::format("{} bytes, but one chain of {} particles takes {}, and all results {}",
                              draw_.memory, n, bytes, results),
                  ErrorKind::resources);
    }
    int64_t together = std::max<int64_t>(1, std::min<int64_t>(all, 4 * workers_.threads()));
    if (draw_.memory > 0) together = std::min(together, (draw_.memory - results) / bytes);
    for (int64_t begin = 0; begin < all; begin += together) {
      std::vector<Chain> group;
      for (int64_t i = begin; i < std::min(all, begin + together); ++i) group.push_back(begin_chain(i));
      walk(group);
    }
  }

  Tensor x, log_weight;  // (chains, N, cases, d) and (chains, N, cases)
  ParticleRecord& record() { return record_; }
  std::optional<int64_t> first_dead;

 private:
  uint64_t id(int64_t c, int64_t chain) const {
    return static_cast<uint64_t>(c) << 44 | static_cast<uint64_t>(chain) << 24;
  }
  Noise chain_noise(int64_t c, int64_t chain) const { return noise_.rows({id(c, chain)}); }

  Chain begin_chain(int64_t i) {
    const int64_t n = options_.particles;
    Chain chain{.c = i % cases_,
                .chain = i / cases_,
                .model = {},
                .moves = {},
                .choices = chain_noise(i % cases_, i / cases_).stream(Stream::resampling),
                .carry = {},
                .next_carry = {},
                .twist = {},
                .next_twist = {},
                .x = {},
                .log_weight = at::zeros({n}, at::kDouble),
                .ancestor = at::arange(n, at::kLong),
                .first = at::arange(n, at::kLong),
                .dead = {}};
    chain.model = run_.model(chain.c, chain_noise(chain.c, chain.chain));
    chain.carry = at::empty({n, chain.model->carried()}, at::TensorOptions().dtype(draw_.dtype));
    chain.next_carry = at::empty_like(chain.carry);
    if (chain.model->twisted()) {
      chain.twist = at::zeros({n}, at::kDouble);
      chain.next_twist = at::zeros({n}, at::kDouble);
    }
    chain.x = at::empty({n, dimension_}, at::TensorOptions().dtype(draw_.dtype));
    const Noise of_moves = noise_.stream(Stream::sampler);
    for (int64_t s = 0; s < slices_; ++s) {
      std::vector<uint64_t> rows(rows_of(s));
      std::iota(rows.begin(), rows.end(), id(chain.c, chain.chain) + static_cast<uint64_t>(s * slice_rows_));
      chain.moves.push_back(of_moves.rows(std::move(rows)));
    }
    return chain;
  }

  int64_t rows_of(int64_t slice) const {
    return std::min(slice_rows_, options_.particles - slice * slice_rows_);
  }

  // A chain to a thread while there are enough of them; else all threads share each chain's slices.
  void walk(std::vector<Chain>& group) {
    const auto count = static_cast<int64_t>(group.size());
    if (count >= workers_.threads()) {
      workers_.for_each(count, [&](int64_t i) {
        for (int64_t k = -1; k < run_.steps; ++k) {
          for (int64_t s = 0; s < slices_; ++s) advance(group[i], s, k);
          settle(group[i], k + 1);
        }
      });
      return;
    }
    for (int64_t k = -1; k < run_.steps; ++k) {
      std::vector<std::atomic<int64_t>> done(count);
      workers_.for_each(count * slices_, [&](int64_t i) {
        Chain& chain = group[i / slices_];
        advance(chain, i % slices_, k);
        if (++done[i / slices_] == slices_) settle(chain, k + 1);
      });
    }
  }

  void add(Chain& chain, int64_t s, const Tensor& log_factor) const {
    if (log_factor.defined()) chain.log_weight.narrow(0, s * slice_rows_, rows_of(s)).add_(log_factor);
  }

  // At level k, once all slices are there: how the weights are, and who has offspring.
  void settle(Chain& chain, int64_t k) {
    if (k == run_.steps) return finish(chain);
    if (chain.dead || !judge(chain, k)) return;
    const double n = static_cast<double>(options_.particles);
    if (options_.ess_threshold >= 1 || ess(chain, k) < options_.ess_threshold * n) {
      chain.log_evidence += log_mean_exp(chain.log_weight);
      chain.ancestor = resample(chain.log_weight, options_.resampling, chain.choices);
      chain.log_weight.zero_();
    } else {
      chain.ancestor = at::arange(options_.particles, at::kLong);
    }
    chain.first = chain.first.index_select(0, chain.ancestor);
    keep_ancestors(chain, k);
    std::swap(chain.carry, chain.next_carry);
    std::swap(chain.twist, chain.next_twist);
  }

  double ess(const Chain& chain, int64_t k) const {
    return record_.ess[k][chain.chain][chain.c].item<double>();
  }

  void keep_ancestors(const Chain& chain, int64_t k) {
    if (record_.ancestors.defined()) record_.ancestors[k][chain.chain][chain.c].copy_(chain.ancestor);
  }

  // Records the effective sample size; a chain without a usable weight ends here.
  bool judge(Chain& chain, int64_t k) {
    const double top = chain.log_weight.max().item<double>();
    if (!std::isfinite(top)) {
      chain.dead = k;
      chain.log_evidence = minus_infinity;
      const std::lock_guard lock(mutex_);
      first_dead = std::min(first_dead.value_or(k), k);
      return false;
    }
    record_.ess[k][chain.chain][chain.c] = effective_sample_size(chain.log_weight);
    return true;
  }

  // The particles of a slice from level k to k + 1; k = -1: to the first level
  void advance(Chain& chain, int64_t s, int64_t k) {
    if (!chain.dead) {
      if (k < 0) {
        Noise noise = chain.moves[s].stream(Stream::initial);
        arrive(chain, s, chain.model->start(rows_of(s), noise), 0);
      } else {
        const Tensor parents = chain.ancestor.narrow(0, s * slice_rows_, rows_of(s));
        const auto moved = chain.model->move(chain.carry, parents, k, chain.moves[s]);
        if (chain.twist.defined()) add(chain, s, -chain.twist.index_select(0, parents));
        arrive(chain, s, moved, k + 1);
      }
    }
    report();
  }

  // carry and twist are read while the next ones are written: arrive() writes to what move() does not read.
  void arrive(Chain& chain, int64_t s, const ParticleModel::Particles& particles, int64_t k) {
    const int64_t begin = s * slice_rows_, rows = rows_of(s);
    add(chain, s, particles.log_factor);
    if (k == run_.steps) {
      add(chain, s, chain.model->finish(particles.x));
      chain.x.narrow(0, begin, rows).copy_(particles.x);
      return;
    }
    const auto seen = chain.model->look(particles.x, k, chain.next_carry.narrow(0, begin, rows));
    add(chain, s, seen.log_factor);
    if (seen.log_twist.defined()) chain.next_twist.narrow(0, begin, rows).copy_(seen.log_twist);
  }

  void finish(Chain& chain) {
    Tensor target = x[chain.chain].select(1, chain.c), weight = log_weight[chain.chain].select(1, chain.c);
    if (chain.dead || !judge(chain, run_.steps)) {
      target.zero_();
      weight.fill_(minus_infinity);
      record_.log_evidence[chain.chain][chain.c] = minus_infinity;
      return;
    }
    const double constant = chain.model->log_constant();
    target.copy_(chain.x);
    weight.copy_(chain.log_weight + (chain.log_evidence + constant));
    record_.log_evidence[chain.chain][chain.c] =
        chain.log_evidence + log_mean_exp(chain.log_weight) + constant;
    record_.unique_ancestors[chain.chain][chain.c] = std::get<0>(at::_unique(chain.first)).numel();
    chain.ancestor = at::arange(options_.particles, at::kLong);
    keep_ancestors(chain, run_.steps);
  }

  void report() {
    const std::lock_guard lock(mutex_);
    ++done_;
    if (observer_ && observer_({.done = done_, .total = total_}) == Control::stop) throw Interrupted{};
  }

  const ParticleRun& run_;
  const ParticleOptions& options_;
  const Noise& noise_;
  const Observer& observer_;
  const DrawOptions& draw_;
  Workers workers_;
  int64_t chains_, cases_, dimension_, slice_rows_, slices_, total_, done_ = 0;
  ParticleRecord record_;
  std::mutex mutex_;
};

}  // namespace

std::pair<Tensor, Tensor> thin(const Tensor& log_weight, int64_t keep, Noise& noise) {
  const int64_t n = log_weight.size(0);
  const double log_total = at::logsumexp(log_weight, 0).item<double>();
  if (keep >= n || !std::isfinite(log_total))
    return {at::arange(keep, at::kLong), log_weight.slice(0, 0, keep)};
  const Tensor weight = (log_weight - log_total).exp();
  const double* w = weight.data_ptr<double>();
  // The threshold c: sum_i min(w_i / c, 1) = keep
  std::vector<double> sorted(w, w + n);
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  double light = 1, threshold = 0;  // light: weight of those not yet found heavy
  for (int64_t heavy = 0; heavy < keep; ++heavy) {
    threshold = light / static_cast<double>(keep - heavy);
    if (sorted[heavy] <= threshold) break;
    light -= sorted[heavy];
  }
  const Tensor index = at::empty({keep}, at::kLong), kept = at::empty({keep}, at::kDouble);
  const double offset = noise.uniform({1}, at::kDouble).item<double>();
  double passed = 0;  // weight over threshold of the light ones so far
  int64_t k = 0;
  for (int64_t i = 0; i < n && k < keep; ++i) {
    double value = w[i];
    if (w[i] <= threshold) {
      const double before = std::floor(passed + offset);
      passed += w[i] / threshold;
      if (std::floor(passed + offset) == before && n - i > keep - k) continue;
      value = threshold;
    }
    index[k] = i;
    kept[k++] = std::log(value) + log_total;
  }
  return {index.slice(0, 0, k), kept.slice(0, 0, k)};
}

void require_eta(double eta) {
  if (!(eta > 0 && eta <= 1)) throw Error("method.eta", fmt::format("{}: above 0, at most 1 is meant", eta));
}

Draws run_particles(const ParticleRun& run, const ParticleOptions& options, const ParticleTask& task) {
  const int64_t draws = task.draws, cases = task.problem.cases();
  if (draws < 1) throw Error("method.draws", fmt::format("{}: at least 1 is needed", draws));
  if (options.particles < 1 || options.particles > (int64_t{1} << 24)) {
    throw Error("method.particles", fmt::format("{}: 1 to {} is meant", options.particles, int64_t{1} << 24));
  }
  if (!(options.ess_threshold >= 0 && options.ess_threshold <= 1))
    throw Error("method.ess_threshold", fmt::format("{}: 0 to 1 is meant", options.ess_threshold));
  const int64_t chains = options.chains.value_or((draws + options.particles - 1) / options.particles);
  const int64_t all = chains * options.particles;
  if (chains < 1) throw Error("method.chains", fmt::format("{}: at least 1 is needed", chains));
  if (all < draws) {
    throw Error("method.draws", fmt::format("{}, but {} chains of {} particles have no more than {}", draws,
                                            chains, options.particles, all));
  }
  const auto begin = std::chrono::steady_clock::now();
  Engine engine(run, options, chains, task);
  engine.go();

  Draws result;
  const Tensor x = engine.x.flatten(0, 1), log_weight = engine.log_weight.flatten(0, 1);  // (all, cases, ...)
  ParticleRecord& record = engine.record();
  if (!run.evidence) {  // chains count the same
    const Tensor total =
        at::logsumexp(engine.log_weight, {1}, true);  // -infinity for a chain without weights
    engine.log_weight.sub_(total.masked_fill(total.eq(minus_infinity), 0));
    record.log_evidence = Tensor();
  } else {
    result.log_evidence = at::logsumexp(record.log_evidence, {0}) - std::log(static_cast<double>(chains));
  }
  if (draws == all) {
    result.x = x;
    result.log_weight = log_weight;
  } else {
    result.x = at::empty({draws, cases, x.size(2)}, x.options());
    result.log_weight = at::empty({draws, cases}, at::kDouble);
    for (int64_t c = 0; c < cases; ++c) {
      Noise choice = task.noise.rows({static_cast<uint64_t>(c)}).stream(Stream::order);
      const auto [index, weight] = thin(log_weight.select(1, c).contiguous(), draws, choice);
      result.x.select(1, c).copy_(x.select(1, c).index_select(0, index));
      result.log_weight.select(1, c).copy_(weight);
    }
  }
  result.x = result.x.reshape(with_batch(draws, with_batch(cases, task.problem.prior->shape())));
  if (engine.first_dead) {
    const int64_t gone = record.log_evidence.defined()
                             ? record.log_evidence.eq(minus_infinity).sum().item<int64_t>()
                             : engine.log_weight.select(1, 0).isfinite().logical_not().sum().item<int64_t>();
    result.run.warnings.push_back(
        fmt::format("{}: every weight was zero, or not a number, in {} of {} chains, first at step {}: the "
                    "measurement is out of the particles' reach; use more particles or steps",
                    run.method, gone, chains * cases, *engine.first_dead));
  }
  result.run.particles = std::move(record);
  result.run.steps = run.steps;
  const double moves = static_cast<double>(all * run.steps) / static_cast<double>(draws);  // for each draw
  result.run.network_evaluations = moves;
  result.run.network_vjps = moves * static_cast<double>(run.vjps);
  result.run.operator_applications = moves * static_cast<double>(run.operator_applications);
  result.run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

}  // namespace tweedie
