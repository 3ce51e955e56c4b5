// A mixture of normals on the line from the counts c_j of classes [a_j, b_j), by EM (McLachlan, Jones,
// "Fitting mixture models to grouped and truncated data via the EM algorithm", Biometrics 44, 1988):
//   E  P_kj = Phi((b_j - m_k) / s_k) - Phi((a_j - m_k) / s_k),  r_kj proportional to w_k P_kj
//   M  n_k = sum_j c_j r_kj,  w_k = n_k / N,  m_k and s_k^2: mean and variance with the weights c_j r_kj of
//      N(m_k, s_k^2) truncated to class j,
// where for z = (x - m) / s between alpha and beta, of probability P,
//   E z = (phi(alpha) - phi(beta)) / P,   E z^2 = 1 + (alpha phi(alpha) - beta phi(beta)) / P.
// It maximises L = sum_j c_j ln sum_k w_k P_kj, which never falls.

#include "tweedie/mixture_fit.h"

#include "core/shape.h"
#include "train/mixture_em.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

constexpr int64_t starting_rows = 10'000;
constexpr double emptied = 1e-8;       // rows: a component with fewer is dropped
constexpr double least_width = 1e-10;  // of a class, over the largest edge: fewer digits of P are left

// The classes that hold anything
struct Classes {
  Tensor low, high, counts;  // (n) float64
  double total = 0;
};

Classes classes_of(const Tensor& edges, const Tensor& counts) {
  require_classes(edges, counts);
  const int64_t n = counts.size(0);
  const Tensor e = edges.detach().to(at::kCPU, at::kDouble), c = counts.detach().to(at::kCPU, at::kDouble);
  const Tensor held = (c > 0).nonzero().squeeze(1);
  if (held.size(0) < 2) throw Error("counts", "fewer than two classes hold any: there is nothing to learn");
  return {e.narrow(0, 0, n).index_select(0, held), e.narrow(0, 1, n).index_select(0, held),
          c.index_select(0, held), c.sum().item<double>()};
}

// Open classes closed: as wide as the widest of the others, or 1
Classes closed(const Classes& c) {
  const Tensor width = c.high - c.low, finite = width.masked_select(width.isfinite());
  const Tensor most = finite.numel() > 0 ? finite.max() : at::ones({}, at::kDouble);
  return {at::where(c.low.isfinite(), c.low, c.high - most),
          at::where(c.high.isfinite(), c.high, c.low + most), c.counts, c.total};
}

// (M, 1): as many rows, or starting_rows, each uniform within its class
Tensor spread_out(const Classes& c, Noise noise) {
  const auto rows = static_cast<int64_t>(std::min(c.total, static_cast<double>(starting_rows)));
  const Tensor quantile = (at::arange(rows, at::kDouble) + 0.5) / static_cast<double>(rows);
  const Tensor cumulative = c.counts.cumsum(0) / c.total;
  const Tensor index = at::searchsorted(cumulative, quantile).clamp_max(c.counts.size(0) - 1);
  const Tensor low = c.low.index_select(0, index), high = c.high.index_select(0, index);
  return (low + (high - low) * noise.uniform({rows}, at::kDouble)).unsqueeze(1);
}

struct GroupedEm {
  const Classes& classes;
  double floor;                      // least variance
  Tensor weights, means, variances;  // (K)
  Tensor r, z, z2;                   // (K, n): responsibilities and moments of the truncated normals

  double expect() {
    const Tensor m = means.unsqueeze(1), s = variances.sqrt().unsqueeze(1);
    const Tensor alpha = (classes.low - m) / s, beta = (classes.high - m) / s;
    // In the lower tail, where the logarithms keep their digits
    const Tensor flip = alpha > 0;
    const Tensor log_high = at::special_log_ndtr(at::where(flip, -alpha, beta));
    const Tensor log_low = at::special_log_ndtr(at::where(flip, -beta, alpha));
    const Tensor log_p = log_high + (-at::expm1(log_low - log_high)).log();
    const Tensor joint = weights.log().unsqueeze(1) + log_p, log_class = at::logsumexp(joint, 0);
    r = (joint - log_class).exp();

    const auto density = [&](const Tensor& at_z) {  // phi / P
      return (-at_z.square() / 2 - std::log(2 * std::numbers::pi) / 2 - log_p).exp();
    };
    const auto times = [](const Tensor& edge, const Tensor& phi) {
      return at::where(edge.isfinite(), edge * phi, at::zeros_like(edge));
    };
    const Tensor at_low = density(alpha), at_high = density(beta), none = at::zeros_like(r);
    z = at::where(r > 0, at_low - at_high, none);
    z2 = at::where(r > 0, 1 + times(alpha, at_low) - times(beta, at_high), none);
    return (classes.counts * log_class).sum().item<double>() / classes.total;
  }

  void maximise() {
    const Tensor share = r * classes.counts, left = (share.sum(1) >= emptied).nonzero().squeeze(1);
    const auto of = [&](const Tensor& array) { return array.index_select(0, left); };
    const Tensor n = of(share.sum(1)), s = of(variances).sqrt();
    const Tensor shift = of((share * z).sum(1)) / n, square = of((share * z2).sum(1)) / n;
    weights = n / n.sum();
    means = of(means) + s * shift;
    variances = (s.square() * (square - shift.square())).clamp_min(floor);
  }
};

}  // namespace

void require_classes(const Tensor& edges, const Tensor& counts) {
  for (const auto& [array, name] : {std::pair{&edges, "edges"}, std::pair{&counts, "counts"}})
    if (array->dim() != 1 || array->is_complex())
      throw Error(name, to_string(array->sizes()) + ": a list of numbers is meant");
  const int64_t n = counts.size(0);
  if (n < 2 || edges.size(0) != n + 1)
    throw Error("edges", std::to_string(edges.size(0)) + " of them for " + std::to_string(n) +
                             " counts: one more than the counts is meant, for two classes or more");
  const Tensor e = edges.detach().to(at::kCPU, at::kDouble), c = counts.detach().to(at::kCPU, at::kDouble);
  const Tensor width = e.narrow(0, 1, n) - e.narrow(0, 0, n);
  if (!(width > 0).all().item<bool>() || !e.narrow(0, 1, n - 1).isfinite().all().item<bool>())
    throw Error("edges", "not increasing: each must be above the one before, and all but the outer finite");
  const double largest = e.masked_select(e.isfinite()).abs().max().item<double>();
  if (!(width > least_width * largest).all().item<bool>())
    throw Error("edges",
                "a class is narrower than 1e-10 of the largest edge, too little for double precision: "
                "shift the origin, join classes, or let an outer edge be infinite");
  require_finite(c, "counts");
  if (!((c >= 0).logical_and(c == c.floor())).all().item<bool>())
    throw Error("counts", "not all are whole numbers, 0 or more");
}

MixtureFit fit_grouped_mixture(const Tensor& edges, const Tensor& counts, const MixtureFitOptions& options,
                               const Noise& noise) {
  const at::NoGradGuard no_gradients;
  const Classes classes = classes_of(edges, counts), all_closed = closed(classes);
  check_options(options, classes.total);
  const Tensor middle = (all_closed.low + all_closed.high) / 2;
  const Tensor share = classes.counts / classes.total;
  const double variance = ((middle - (share * middle).sum()).square() * share).sum().item<double>();

  return choose_components(options, classes.total, [&](int64_t k) {
    std::optional<MixtureFit> best;
    for (int64_t restart = 0; restart < (k == 1 ? 1 : options.restarts); ++restart) {
      const Noise own = noise.stream(static_cast<uint64_t>(k)).stream(static_cast<uint64_t>(restart));
      MixtureFitOptions one = options;
      one.restarts = 1;
      one.components = std::min(k, starting_rows);
      one.covariance = MixtureFitOptions::Covariance::isotropic;
      const MixtureFit start = fit_mixture(spread_out(all_closed, own), one, own, 1);
      GroupedEm em{classes,
                   options.covariance_floor * variance,
                   start.weights,
                   start.means.squeeze(1),
                   start.covariances,
                   {},
                   {},
                   {}};
      MixtureFit fit;
      run_em({[&] { return em.expect(); }, [&] { em.maximise(); }}, options, {}, fit);
      if (best && best->log_likelihood.back() >= fit.log_likelihood.back()) continue;
      fit.weights = em.weights;
      fit.means = em.means.unsqueeze(1);
      fit.covariances = em.variances;
      best = std::move(fit);
    }
    return best;
  });
}

}  // namespace tweedie
