// A Gaussian mixture by EM (Dempster, Laird, Rubin 1977). For rows x_i and components (w_k, m_k, Sigma_k):
//   E  r_ik proportional to w_k N(x_i; m_k, Sigma_k), sum_k r_ik = 1
//   M  n_k = sum_i r_ik,  w_k = n_k / N,  m_k = sum_i r_ik x_i / n_k,
//      S_k = sum_i r_ik (x_i - m_k) (x_i - m_k)^T / n_k,  Sigma_k = S_k with eigenvalues raised to the floor.
// ln det Sigma + tr(Sigma^-1 S) over Sigma >= floor I is least at S's eigenvectors and max(eigenvalue,
// floor), so this is the exact constrained M-step and the likelihood never falls. Starts: greedy k-means++
// (Arthur, Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007).

#include "tweedie/mixture_fit.h"

#include "core/shape.h"
#include "core/workers.h"
#include "train/mixture_em.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

using Covariance = MixtureFitOptions::Covariance;

constexpr int64_t seeding_rows = 10'000;  // that k-means++ looks at
constexpr double emptied = 1e-8;          // rows: a component with fewer is dropped; it moves L by no more

// Sums over rows. full: of x - m_k with the means of the E-step, which keeps the digits of a narrow
// component; otherwise of x, whose origin is the data's mean.
struct Sums {
  Tensor count;   // (K): r
  Tensor first;   // (K, d): r x
  Tensor second;  // of the covariances' shape: r x x^T, its diagonal, or r |x|^2
  double log_likelihood = 0;
};

struct Components {
  Tensor weights, means, covariances;
  Tensor root;      // full: (K, d, d) with root root^T = Sigma^-1; otherwise 1 / covariances
  Tensor constant;  // (K): ln w - ln det(2 pi Sigma) / 2
};

class Em {
 public:
  Em(const Tensor& x, const MixtureFitOptions& options, Workers& workers);

  Components start(int64_t k, Noise noise) const;
  Sums expect(const Components& c) const;
  Components maximise(const Components& c, const Sums& sums) const;
  int64_t rows() const { return x_.size(0); }
  const Tensor& centre() const { return centre_; }

 private:
  bool full() const { return options_.covariance == Covariance::full; }
  Tensor rows(int64_t begin, int64_t count) const {
    return x_.narrow(0, begin, count).to(at::kDouble) - centre_;
  }
  Sums expect(const Components& c, const Tensor& x) const;
  Tensor spread(const Tensor& deviation) const;
  Components components(Tensor weights, Tensor means, Tensor covariances) const;

  Tensor x_, centre_;  // (N, d) as given; (d) float64
  const MixtureFitOptions& options_;
  Workers& workers_;
  double floor_ = 0;  // least eigenvalue
};

// begin(i), count(i) of the rows, in parts that depend on the numbers alone and not on the threads
struct Parts {
  int64_t rows, each;
  Parts(int64_t rows, int64_t most, int64_t least) : rows(rows) {
    each = std::max(least, (rows + most - 1) / most);
  }
  int64_t size() const { return (rows + each - 1) / each; }
  int64_t begin(int64_t i) const { return i * each; }
  int64_t count(int64_t i) const { return std::min(each, rows - begin(i)); }
};

void add(Sums& to, const Sums& from) {
  if (!to.count.defined()) {
    to = from;
    return;
  }
  to.count += from.count;
  to.first += from.first;
  to.second += from.second;
  to.log_likelihood += from.log_likelihood;
}

Em::Em(const Tensor& x, const MixtureFitOptions& options, Workers& workers)
    : x_(x), options_(options), workers_(workers) {
  const int64_t d = x.size(1);
  const Parts parts(rows(), 64, std::clamp<int64_t>((1 << 18) / d, 1, 4096));
  const auto total = [&](const std::function<Tensor(const Tensor&)>& of) {
    std::vector<Tensor> sums(parts.size());
    workers.for_each(parts.size(),
                     [&](int64_t i) { sums[i] = of(rows(parts.begin(i), parts.count(i))).sum(0); });
    Tensor sum = sums[0];
    for (size_t i = 1; i < sums.size(); ++i) sum = sum + sums[i];
    return sum / rows();
  };
  centre_ = at::zeros({d}, at::kDouble);
  centre_ = total([](const Tensor& b) { return b; });
  const Tensor variances = total([](const Tensor& b) { return b.square(); });
  // The mean of equal numbers may be off by a few roundings.
  if (!(variances.sqrt() > 1e-14 * centre_.abs()).any().item<bool>())
    throw Error("data", "every row is the same: there is nothing to learn");
  floor_ = options.covariance_floor * variances.mean().item<double>();
  if (!(floor_ > 1e-290 && floor_ < 1e290))
    throw Error("data", "its variance is beyond double precision: rescale it");
}

// Deviations (n, d): their mean square, as a covariance
Tensor Em::spread(const Tensor& deviation) const {
  const auto n = static_cast<double>(deviation.size(0));
  if (full()) return at::matmul(deviation.t(), deviation) / n;
  const Tensor variances = deviation.square().mean(0);
  return options_.covariance == Covariance::diagonal ? variances : variances.mean();
}

// Raises the covariances to the floor and prepares their inverses.
Components Em::components(Tensor weights, Tensor means, Tensor covariances) const {
  const int64_t k = means.size(0), d = means.size(1);
  const double normal = static_cast<double>(d) * std::log(2 * std::numbers::pi);
  if (!full()) {
    covariances = covariances.clamp_min(floor_);
    const Tensor logs = covariances.log();
    const Tensor log_det = covariances.dim() == 1 ? d * logs : logs.sum(1);
    return {weights, means, covariances, covariances.reciprocal(), weights.log() - (log_det + normal) / 2};
  }
  const Tensor eye = at::eye(d, at::kDouble);
  Tensor root = at::empty_like(covariances), log_det = at::empty({k}, at::kDouble);
  covariances = covariances.clone();
  workers_.for_each(k, [&](int64_t i) {
    const Tensor s = covariances[i];
    if (std::get<1>(at::linalg_cholesky_ex(s - floor_ * eye)).item<int>() == 0) {
      const Tensor l = at::linalg_cholesky(s);
      root[i].copy_(at::linalg_solve_triangular(l, eye, false).t());
      log_det[i] = 2 * l.diagonal().log().sum();
      return;
    }
    auto [values, vectors] = at::linalg_eigh(s);
    values = values.clamp_min(floor_);
    s.copy_(at::matmul(vectors * values, vectors.t()));
    s.copy_((s + s.t()) / 2);
    root[i].copy_(vectors * values.rsqrt());
    log_det[i] = values.log().sum();
  });
  return {weights, means, covariances, root, weights.log() - (log_det + normal) / 2};
}

// Greedy k-means++: the first seed is any row, each next one the best of a few rows drawn in proportion to
// their squared distance from the seeds so far. Fewer seeds than k where there are fewer different rows.
Tensor seeds_of(const Tensor& x, int64_t k, Noise& noise) {
  const Tensor square = x.square().sum(1);
  const auto distances = [&](const Tensor& to) {  // (n, |to|)
    return (square.unsqueeze(1) - 2 * at::matmul(x, to.t()) + to.square().sum(1)).clamp_min(0);
  };
  const int64_t n = x.size(0);
  const auto tries = static_cast<int64_t>(2 + std::log(static_cast<double>(k)));
  const Tensor uniform = noise.uniform({k, tries}, at::kDouble);
  Tensor chosen = (uniform[0].narrow(0, 0, 1) * n).to(at::kLong);
  Tensor nearest = distances(x.index_select(0, chosen)).squeeze(1);
  for (int64_t j = 1; j < k; ++j) {
    const Tensor cumulative = nearest.cumsum(0);
    const double total = cumulative[n - 1].item<double>();
    if (total <= 1e-14 * square.sum().item<double>()) break;
    const Tensor candidates = at::searchsorted(cumulative, uniform[j] * total).clamp_max(n - 1);
    const Tensor after = at::minimum(nearest.unsqueeze(1), distances(x.index_select(0, candidates)));
    const int64_t best = after.sum(0).argmin().item<int64_t>();
    nearest = after.select(1, best).contiguous();
    chosen = at::cat({chosen, candidates.narrow(0, best, 1)});
  }
  return x.index_select(0, chosen);
}

// Each component at a seed, with the covariance that all share about their nearest seeds
Components Em::start(int64_t k, Noise noise) const {
  Tensor weights, means, covariance;
  workers_.for_each(1, [&](int64_t) {
    std::vector<int64_t> order = noise.permutation(rows());
    order.resize(std::min(rows(), std::max(k, seeding_rows)));
    std::sort(order.begin(), order.end());
    const Tensor x = x_.index_select(0, at::tensor(order, at::kLong)).to(at::kDouble) - centre_;
    means = seeds_of(x, k, noise);
    const Tensor distance = means.square().sum(1) - 2 * at::matmul(x, means.t());
    const Tensor nearest = distance.argmin(1);
    weights = at::bincount(nearest, {}, means.size(0)).to(at::kDouble).clamp_min(1);
    weights = weights / weights.sum();
    covariance = spread(x - means.index_select(0, nearest));
  });
  Shape each = covariance.sizes().vec();
  each.insert(each.begin(), means.size(0));
  return components(weights, means, covariance.unsqueeze(0).expand(each).contiguous());
}

// One block of rows (B, d). Responsibilities are (K, B), from logarithms.
Sums Em::expect(const Components& c, const Tensor& x) const {
  Tensor y;         // (K, d, B): x - m, whose long axis is last
  Tensor square;    // (B, d) or (B, 1)
  Tensor distance;  // (K, B): (x - m)^T Sigma^-1 (x - m)
  if (full()) {
    y = x.t().contiguous().unsqueeze(0) - c.means.unsqueeze(2);
    distance = at::bmm(c.root.transpose(1, 2), y).square_().sum(1);
  } else {
    const bool diagonal = options_.covariance == Covariance::diagonal;
    const Tensor inverse = diagonal ? c.root : c.root.unsqueeze(1);
    square = diagonal ? x.square() : x.square().sum(1, true);
    distance = at::matmul(inverse, square.t()) - 2 * at::matmul(c.means * inverse, x.t()) +
               (c.means.square() * inverse).sum(1, true);
  }
  const Tensor joint = c.constant.unsqueeze(1) - distance / 2;
  const Tensor log_density = at::logsumexp(joint, 0);
  const Tensor r = (joint - log_density).exp_();
  Sums sums{r.sum(1), {}, {}, log_density.sum().item<double>()};
  if (full()) {
    const Tensor ry = y * r.unsqueeze(1);
    sums.first = ry.sum(2);
    sums.second = at::bmm(ry, y.transpose(1, 2));
  } else {
    sums.first = at::matmul(r, x);
    sums.second = at::matmul(r, square);
    if (options_.covariance == Covariance::isotropic) sums.second = sums.second.squeeze(1);
  }
  return sums;
}

// The E-step: blocks that stay in the cache, in parts whose sums are added in order
Sums Em::expect(const Components& c) const {
  const int64_t k = c.means.size(0), d = c.means.size(1);
  const int64_t block = std::clamp<int64_t>((1 << 16) / (full() ? k * d : k + d), 256, 4096);
  const int64_t most = std::clamp<int64_t>((1 << 24) / c.covariances.numel(), 8, 64);
  const Parts parts(rows(), most, block);
  std::vector<Sums> sums(parts.size());
  workers_.for_each(parts.size(), [&](int64_t i) {
    const int64_t end = parts.begin(i) + parts.count(i);
    for (int64_t begin = parts.begin(i); begin < end; begin += block)
      add(sums[i], expect(c, rows(begin, std::min(block, end - begin))));
  });
  for (size_t i = 1; i < sums.size(); ++i) add(sums[0], sums[i]);
  return sums[0];
}

Components Em::maximise(const Components& c, const Sums& sums) const {
  const Tensor left = (sums.count >= emptied).nonzero().squeeze(1);
  const auto of = [&](const Tensor& array) { return array.index_select(0, left); };
  const Tensor count = of(sums.count), n = count.unsqueeze(1);
  const Tensor shift = of(sums.first) / n;  // from where the sums were taken about
  const Tensor weights = count / count.sum();
  if (full()) {
    const Tensor s = of(sums.second) / n.unsqueeze(2) - at::matmul(shift.unsqueeze(2), shift.unsqueeze(1));
    return components(weights, of(c.means) + shift, (s + s.transpose(1, 2)) / 2);
  }
  if (options_.covariance == Covariance::diagonal)
    return components(weights, shift, of(sums.second) / n - shift.square());
  const auto d = static_cast<double>(c.means.size(1));
  return components(weights, shift, (of(sums.second) / count - shift.square().sum(1)) / d);
}

// How far all fits together are
class Reporter {
 public:
  Reporter(const Observer& observer, const MixtureFitOptions& options, int64_t fits)
      : observer_(observer), iterations_(options.iterations), total_(fits * options.iterations) {}

  void begin_fit() { done_ = fit_++ * iterations_; }
  Control operator()(double log_likelihood) {
    ++done_;
    if (!observer_) return Control::proceed;
    Progress progress;
    progress.done = done_;
    progress.total = total_;
    progress.loss = -log_likelihood;
    stopped_ = observer_(progress) == Control::stop;
    return stopped_ ? Control::stop : Control::proceed;
  }
  bool stopped() const { return stopped_; }

 private:
  const Observer& observer_;
  int64_t iterations_, total_, done_ = 0, fit_ = 0;
  bool stopped_ = false;
};

}  // namespace

MixtureFit fit_mixture(const Tensor& x, const MixtureFitOptions& options, const Noise& noise, int64_t threads,
                       const Observer& observer) {
  const at::NoGradGuard no_gradients;
  require_real(x, "data");
  if (x.dim() < 2 || x.numel() == 0)
    throw Error("data", to_string(x.sizes()) + ": (N, *shape) is meant, with rows to learn from");
  require_finite(x, "data");
  const int64_t n = x.size(0);
  check_options(options, static_cast<double>(n));
  Workers workers(threads);
  const Em em(x.detach().to(at::kCPU).reshape({n, -1}).contiguous(), options, workers);

  const int64_t choices = options.components ? 1 : std::min(n, options.max_components);
  Reporter reporter(observer, options, choices * options.restarts);
  return choose_components(options, static_cast<double>(n), [&](int64_t k) {
    std::optional<MixtureFit> best;
    for (int64_t restart = 0; restart < (k == 1 ? 1 : options.restarts) && !reporter.stopped(); ++restart) {
      reporter.begin_fit();
      Components c =
          em.start(k, noise.stream(static_cast<uint64_t>(k)).stream(static_cast<uint64_t>(restart)));
      Sums sums;
      const EmSteps steps{[&] {
                            sums = em.expect(c);
                            return sums.log_likelihood / static_cast<double>(n);
                          },
                          [&] { c = em.maximise(c, sums); }};
      MixtureFit fit;
      run_em(
          steps, options, [&](double l) { return reporter(l); }, fit);
      if (best && best->log_likelihood.back() >= fit.log_likelihood.back()) continue;
      fit.weights = c.weights;
      fit.means = c.means + em.centre();
      fit.covariances = c.covariances;
      best = std::move(fit);
    }
    return best;
  });
}

}  // namespace tweedie
