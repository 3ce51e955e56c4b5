// Which entries of k-space are measured. Points are drawn without replacement as the largest of log(u) / w,
// u uniform and w the density (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006).
// The Poisson disc goes through all places in random order and keeps those with none kept nearer than the
// radius there (dart throwing, Cook 1986), which grows linearly from the centre as in Lustig et al.'s
// "Sparse MRI" masks; the radius is the largest that keeps enough, found by bisection.

#include "core/shape.h"
#include "tweedie/imaging.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

struct Grid {
  int64_t height, width;
  int64_t size() const { return height * width; }
  // Of place i, from frequency 0, as a share of the axis
  double vertical(int64_t i) const {
    return static_cast<double>(i / width - height / 2) / static_cast<double>(height);
  }
  double horizontal(int64_t i) const {
    return static_cast<double>(i % width - width / 2) / static_cast<double>(width);
  }
};

int64_t kept_of(int64_t n, const SamplingOptions& options, int64_t always) {
  const auto count = std::llround(static_cast<double>(n) / options.acceleration);
  if (count < 1) {
    throw Error("sampling.acceleration", fmt::format("{} leaves none of {}", options.acceleration, n));
  }
  if (always > count) {
    throw Error("sampling.centre",
                fmt::format("{}, which takes {} of the {} that an acceleration of {} leaves", options.centre,
                            always, count, options.acceleration));
  }
  return count;
}

bool in_block(int64_t i, int64_t n, int64_t centre) {
  const int64_t first = n / 2 - centre / 2;
  return i >= first && i < first + centre;
}

std::vector<bool> chosen_lines(int64_t n, const SamplingOptions& options, Noise& noise) {
  std::vector<bool> kept(n);
  for (int64_t i = 0; i < n; ++i) kept[i] = in_block(i, n, options.centre);
  if (options.pattern == SamplingPattern::equispaced) {
    const auto step = static_cast<int64_t>(std::llround(options.acceleration));
    for (int64_t i = n / 2 % step; i < n; i += step) kept[i] = true;
    return kept;
  }
  int64_t missing = kept_of(n, options, std::count(kept.begin(), kept.end(), true)) -
                    std::count(kept.begin(), kept.end(), true);
  for (const int64_t i : noise.permutation(n)) {
    if (missing == 0) break;
    if (kept[i]) continue;
    kept[i] = true;
    --missing;
  }
  return kept;
}

std::vector<bool> centre_block(const Grid& grid, int64_t centre) {
  std::vector<bool> kept(grid.size());
  for (int64_t i = 0; i < grid.size(); ++i) {
    kept[i] = in_block(i / grid.width, grid.height, centre) && in_block(i % grid.width, grid.width, centre);
  }
  return kept;
}

std::vector<bool> gaussian_points(const Grid& grid, const SamplingOptions& options, Noise& noise) {
  std::vector<bool> kept = centre_block(grid, options.centre);
  const auto always = std::count(kept.begin(), kept.end(), true);
  const int64_t missing = kept_of(grid.size(), options, always) - always;
  const Tensor u = noise.uniform({1, grid.size()}, at::kDouble);
  std::vector<std::pair<double, int64_t>> keys;
  for (int64_t i = 0; i < grid.size(); ++i) {
    if (kept[i]) continue;
    const double r2 = grid.vertical(i) * grid.vertical(i) + grid.horizontal(i) * grid.horizontal(i);
    const double log_density = -r2 / (2 * options.spread * options.spread);
    // log(-log(u) / w) instead of log(u) / w, which underflows
    keys.emplace_back(std::log(-std::log(u.data_ptr<double>()[i])) - log_density, i);
  }
  std::sort(keys.begin(), keys.end());
  for (int64_t i = 0; i < missing; ++i) kept[keys[i].second] = true;
  return kept;
}

// The places kept, in their order, when none may be nearer than radius (1 + 4 |k|) to another
std::vector<int64_t> poisson_disc(const Grid& grid, const std::vector<int64_t>& order, double radius,
                                  std::vector<bool> kept) {
  std::vector<int64_t> result;
  for (const int64_t i : order) {
    const double here = radius * (1 + 4 * std::hypot(grid.vertical(i), grid.horizontal(i)));
    const auto reach = static_cast<int64_t>(here);
    const int64_t row = i / grid.width, column = i % grid.width;
    bool free = !kept[i];
    for (int64_t a = std::max<int64_t>(0, row - reach); free && a <= std::min(grid.height - 1, row + reach);
         ++a) {
      for (int64_t b = std::max<int64_t>(0, column - reach); b <= std::min(grid.width - 1, column + reach);
           ++b) {
        const auto distance2 = static_cast<double>((a - row) * (a - row) + (b - column) * (b - column));
        if (kept[a * grid.width + b] && distance2 < here * here) {
          free = false;
          break;
        }
      }
    }
    if (!free) continue;
    kept[i] = true;
    result.push_back(i);
  }
  return result;
}

std::vector<bool> poisson_points(const Grid& grid, const SamplingOptions& options, Noise& noise) {
  std::vector<bool> kept = centre_block(grid, options.centre);
  const auto always = std::count(kept.begin(), kept.end(), true);
  const auto missing = static_cast<size_t>(kept_of(grid.size(), options, always) - always);
  const auto order = noise.permutation(grid.size());
  double low = 0, high = 2 * std::sqrt(options.acceleration) + 1;
  std::vector<int64_t> best = poisson_disc(grid, order, 0, kept);
  for (int step = 0; step < 12; ++step) {
    const double radius = 0.5 * (low + high);
    auto points = poisson_disc(grid, order, radius, kept);
    if (points.size() < missing) {
      high = radius;
    } else {
      low = radius;
      best = std::move(points);
    }
  }
  for (size_t i = 0; i < missing; ++i) kept[best[i]] = true;
  return kept;
}

void check(int64_t height, int64_t width, const SamplingOptions& options) {
  if (height < 1 || width < 1) {
    throw Error("sampling.domain", fmt::format("{} x {}, but extents >= 1 are needed", height, width));
  }
  if (!(options.acceleration >= 1) || !std::isfinite(options.acceleration)) {
    throw Error("sampling.acceleration",
                fmt::format("{}, but a number >= 1 is needed", options.acceleration));
  }
  if (options.centre < 0)
    throw Error("sampling.centre", fmt::format("{}, but >= 0 is needed", options.centre));
  if (!(options.spread > 0) || !std::isfinite(options.spread)) {
    throw Error("sampling.spread", fmt::format("{}, but a number > 0 is needed", options.spread));
  }
}

}  // namespace

Tensor sampling_mask(int64_t height, int64_t width, const SamplingOptions& options, Noise noise) {
  check(height, width, options);
  const Grid grid{height, width};
  std::vector<bool> kept;
  switch (options.pattern) {
    case SamplingPattern::full:
      return at::ones({height, width}, at::kBool);
    case SamplingPattern::gaussian:
      kept = gaussian_points(grid, options, noise);
      break;
    case SamplingPattern::poisson:
      kept = poisson_points(grid, options, noise);
      break;
    case SamplingPattern::equispaced:
    case SamplingPattern::lines: {
      const auto lines = chosen_lines(options.columns ? width : height, options, noise);
      kept.resize(grid.size());
      for (int64_t i = 0; i < grid.size(); ++i) kept[i] = lines[options.columns ? i % width : i / width];
      break;
    }
  }
  Tensor result = at::empty({height, width}, at::kBool);
  std::copy(kept.begin(), kept.end(), result.data_ptr<bool>());
  return result;
}

}  // namespace tweedie
