// Morozov, "On the solution of functional equations by the method of regularization", Soviet Math. Dokl. 7,
// 1966: ||y - A x_w||^2 = m s^2, s = noise_std. The left side never falls in w, so log w is found by regula
// falsi.
//
// Stein 1981, for the mean of y: SURE(w) = ||y - A x_w||^2 - m s^2 + 2 s^2 div_y(A x_w) has the expectation
// E ||A x_w - A x||^2. The divergence is that of the solver or, with one n ~ N(0, I) for all weights,
// n . (A x_w(y + e n) - A x_w(y)) / e (Ramani, Blu, Unser 2008). A search over a grid of log w is refined by
// golden sections.
//
// Hansen, "Analysis of discrete ill-posed problems by means of the L-curve", SIAM Review 34, 1992: the corner
// of (log ||y - A x_w||, log R(x_w)), where the circle through three neighbouring points of the curve is the
// smallest, is looked for on a grid that is then made finer around it.

#include "posterior/weight_rule.h"

#include "core/rows.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr int64_t grid_points = 13;
constexpr double grid_span = 1e6;            // from the largest weight to the smallest
constexpr double discrepancy_within = 1e-3;  // of ||y - A x||^2 / (m s^2)
constexpr int64_t most_trials = 40;

class Search {
 public:
  Search(const PointCase& c, const MakeSolver& make)
      : case_(c), make_(make), solver_(make()), size_(static_cast<double>(c.y.numel())) {
    variance_ = c.noise_std * c.noise_std;
    largest_ = solver_->largest_weight(c.y);
    if (!(largest_ > 0 && std::isfinite(largest_))) largest_ = 1;
  }

  PointAnswer discrepancy();
  PointAnswer sure();
  PointAnswer l_curve();

 private:
  WeightTrial& attempt(double weight) {
    answer_ = solver_->solve(case_.y, weight);
    answer_.weight = weight;
    iterations_ += answer_.iterations;
    const double r2 = residual2(case_, answer_.x);
    return trials_.emplace_back(WeightTrial{weight, r2, solver_->penalty(answer_.x), NAN});
  }
  // The answer at the best trial, whose solver need not be there any more.
  PointAnswer finish(double weight) {
    if (answer_.weight.value_or(NAN) != weight) {
      answer_ = solver_->solve(case_.y, weight);
      iterations_ += answer_.iterations;
    }
    std::sort(trials_.begin(), trials_.end(),
              [](const auto& a, const auto& b) { return a.weight < b.weight; });
    answer_.weight = weight;
    answer_.iterations = iterations_;
    answer_.trials = trials_;
    return answer_;
  }
  double mismatch(double weight) {
    WeightTrial& trial = attempt(weight);
    trial.score = trial.residual2 / (size_ * variance_);
    return trial.score - 1;
  }
  double risk(double weight);

  const PointCase& case_;
  const MakeSolver& make_;
  std::unique_ptr<RegularisedSolver> solver_, shaken_;
  Tensor probe_;
  double size_, variance_, largest_;
  int64_t iterations_ = 0;
  PointAnswer answer_;
  std::vector<WeightTrial> trials_;
};

PointAnswer Search::discrepancy() {
  double low = 1e-2 * largest_, high = low;
  double at_low = mismatch(low), at_high = at_low;
  const double smallest = largest_ / (grid_span * grid_span), most = largest_ * grid_span;
  while (at_low > discrepancy_within && low > smallest) {
    high = low;
    at_high = at_low;
    at_low = mismatch(low /= 10);
  }
  while (at_high < -discrepancy_within && high < most) {
    low = high;
    at_low = at_high;
    at_high = mismatch(high *= 10);
  }
  if (at_low > discrepancy_within) return finish(low);     // y is further from the range of A than its noise
  if (at_high < -discrepancy_within) return finish(high);  // y is nothing but noise
  double best = std::abs(at_low) < std::abs(at_high) ? low : high;
  double best_mismatch = std::min(std::abs(at_low), std::abs(at_high));
  // Regula falsi with Illinois' halving, on log weight; a bisection where it creeps.
  double a = std::log(low), b = std::log(high), fa = at_low, fb = at_high;
  for (int64_t k = 0; k < most_trials && best_mismatch > discrepancy_within && b - a > 1e-9; ++k) {
    double t = k % 4 == 3 ? 0.5 * (a + b) : (a * fb - b * fa) / (fb - fa);
    if (!(t > a && t < b)) t = 0.5 * (a + b);
    const double f = mismatch(std::exp(t));
    if (std::abs(f) < best_mismatch) {
      best_mismatch = std::abs(f);
      best = std::exp(t);
    }
    if (f < 0) {
      a = t;
      fa = f;
      fb *= 0.5;
    } else {
      b = t;
      fb = f;
      fa *= 0.5;
    }
  }
  return finish(best);
}

double Search::risk(double weight) {
  WeightTrial& trial = attempt(weight);
  const size_t index = trials_.size() - 1;
  double divergence = 0;
  if (const auto known = solver_->divergence(weight)) {
    divergence = *known;
  } else {
    const double e = 0.1 * case_.noise_std;
    if (!probe_.defined()) {
      Noise noise = case_.noise.stream(Stream::user);
      probe_ = noise.normal_like(case_.y);
      shaken_ = make_();
    }
    const PointAnswer moved = shaken_->solve(case_.y + e * probe_, weight);
    iterations_ += moved.iterations;
    case_.applied(1);
    const Tensor change = case_.forward.apply(moved.x - answer_.x).reshape({1, -1});
    divergence = row_dot(probe_.reshape({1, -1}), change).item<double>() / e;
  }
  trials_[index].score = (trial.residual2 + 2 * variance_ * divergence) / size_ - variance_;
  return trials_[index].score;
}

PointAnswer Search::sure() {
  // From large to small: each solve starts near its answer.
  double best = NAN, least = INFINITY;
  const double ratio = std::pow(grid_span, 1.0 / (grid_points - 1));
  const auto look = [&](double weight) {
    const double value = risk(weight);
    if (value < least) {
      least = value;
      best = weight;
    }
    return value;
  };
  for (int64_t k = 0; k < grid_points; ++k) look(largest_ / std::pow(ratio, static_cast<double>(k)));
  const double golden = (std::sqrt(5.0) - 1) / 2;
  double a = std::log(best / ratio), b = std::log(best * ratio);
  double c = b - golden * (b - a), d = a + golden * (b - a), fc = look(std::exp(c)), fd = look(std::exp(d));
  while (b - a > 0.05) {
    if (fc < fd) {
      b = d;
      d = c;
      fd = fc;
      fc = look(std::exp(c = b - golden * (b - a)));
    } else {
      a = c;
      c = d;
      fc = fd;
      fd = look(std::exp(d = a + golden * (b - a)));
    }
  }
  return finish(best);
}

// 1 / radius of the circle through three points, positive where the curve turns to the left
double curvature(const WeightTrial& p, const WeightTrial& q, const WeightTrial& r) {
  const auto x = [](const WeightTrial& t) { return 0.5 * std::log(std::max(t.residual2, 1e-300)); };
  const auto y = [](const WeightTrial& t) { return std::log(std::max(t.penalty, 1e-300)); };
  const double ax = x(q) - x(p), ay = y(q) - y(p), bx = x(r) - x(q), by = y(r) - y(q);
  const double sides = std::hypot(ax, ay) * std::hypot(bx, by) * std::hypot(ax + bx, ay + by);
  return sides > 0 ? 2 * (ax * by - ay * bx) / sides : 0;
}

PointAnswer Search::l_curve() {
  const auto by_weight = [](const WeightTrial& a, const WeightTrial& b) { return a.weight < b.weight; };
  const auto corner = [&] {
    std::sort(trials_.begin(), trials_.end(), by_weight);
    size_t best = 1;
    for (size_t i = 0; i < trials_.size(); ++i) trials_[i].score = NAN;
    for (size_t i = 1; i + 1 < trials_.size(); ++i) {
      trials_[i].score = curvature(trials_[i - 1], trials_[i], trials_[i + 1]);
      if (trials_[i].score > trials_[best].score) best = i;
    }
    return best;
  };
  constexpr int64_t points = 2 * grid_points - 1;
  const double ratio = std::pow(100 * grid_span, 1.0 / (points - 1));
  for (int64_t k = 0; k < points; ++k) attempt(largest_ * 10 / std::pow(ratio, static_cast<double>(k)));
  for (int round = 0; round < 2; ++round) {
    const size_t at = corner();
    const double middle = trials_[at].weight, below = trials_[at - 1].weight, above = trials_[at + 1].weight;
    attempt(std::sqrt(above * middle));
    attempt(std::sqrt(middle * below));
  }
  return finish(trials_[corner()].weight);
}

}  // namespace

PointAnswer solve_weighted(const PointCase& c, const WeightOptions& options, const MakeSolver& make) {
  if (options.weight) {
    require_positive(*options.weight, "method.weight");
    PointAnswer answer = make()->solve(c.y, *options.weight);
    answer.weight = options.weight;
    return answer;
  }
  if (options.rule != WeightRule::l_curve && !(c.noise_std > 0)) {
    throw Error("measurement.noise.std",
                "0, but the rule for the weight needs the noise; give method.weight, or rule = \"l-curve\"");
  }
  Search search(c, make);
  switch (options.rule) {
    case WeightRule::sure:
      return search.sure();
    case WeightRule::l_curve:
      return search.l_curve();
    case WeightRule::discrepancy:
      break;
  }
  return search.discrepancy();
}

}  // namespace tweedie
