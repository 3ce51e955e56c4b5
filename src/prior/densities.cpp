// Curves c(u), u uniform on (0, 1), with isotropic Gaussian thickness: p(x) = int_0^1 N(x; c(u), std^2 I) du,
// by Gauss's rule of two points on each of many equal pieces of the curve, all of whose weights are the same;
// for the spiral in v = sqrt(u), in which its points are evenly spread in angle.

#include "tweedie/densities.h"

#include "core/shape.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <numbers>

namespace tweedie {

namespace {

constexpr double pi = std::numbers::pi;
constexpr int64_t curve_points = 3000;  // half of them a multiple of the number of each curve's parts

Tensor points(const Tensor& x, const Tensor& y) {
  return at::stack({x, y}, 1);
}

struct Curve {
  Tensor points;  // at each u, (N, 2)
  double std;
};

Tensor s_curve(const Tensor& u) {
  const Tensor t = 3 * pi * (u - 0.5);
  return points(t.sin(), t.sign() * (t.cos() - 1));
}

Tensor two_moons(const Tensor& u) {
  const Tensor second = u >= 0.5, t = pi * 2 * at::where(second, u - 0.5, u);
  return 1.5 * points(at::where(second, 0.5 - t.cos(), t.cos() - 0.5),
                      at::where(second, 0.25 - t.sin(), t.sin() - 0.25));
}

Tensor rings(const Tensor& u) {
  const Tensor which = (3 * u).floor(), t = 2 * pi * (3 * u - which);
  const Tensor radius = at::tensor({0.6, 1.3, 2.0}, at::kDouble).take(which.to(at::kLong).clamp(0, 2));
  return points(radius * t.cos(), radius * t.sin());
}

Tensor spiral(const Tensor& u) {
  const Tensor t = 4 * pi * u.sqrt();
  return points(t * t.cos(), t * t.sin()) / 5;
}

struct Rule {
  Tensor u, weights;  // (N) both; the weights sum to 1
};

Rule rule_of(Density density) {
  const Tensor piece = at::arange(curve_points / 2, at::kDouble) + 0.5;
  const double offset = 0.5 / std::sqrt(3.0);
  const Tensor v = at::cat({piece - offset, piece + offset}) / (curve_points / 2);
  if (density == Density::spiral) return {v.square(), 2 * v / curve_points};
  return {v, at::full_like(v, 1.0 / curve_points)};
}

std::optional<Curve> curve_of(Density density, const Tensor& u) {
  switch (density) {
    case Density::s_curve:
      return Curve{s_curve(u), 0.1};
    case Density::two_moons:
      return Curve{two_moons(u), 0.12};
    case Density::rings:
      return Curve{rings(u), 0.07};
    case Density::spiral:
      return Curve{spiral(u), 0.07};
    default:
      return {};
  }
}

Tensor uniform(Noise& noise, int64_t draws) {
  return noise.uniform({draws}, at::kDouble);
}

Tensor checkerboard(int64_t draws, Noise& noise) {
  const Tensor square = (8 * uniform(noise, draws)).floor();  // row by row
  const Tensor row = (square / 2).floor();
  const Tensor column = 2 * (square - 2 * row) + row.remainder(2);
  return points(column - 2 + uniform(noise, draws), row - 2 + uniform(noise, draws));
}

Tensor funnel(int64_t draws, Noise& noise) {
  const Tensor z = noise.normal({draws, 2}, at::kDouble);
  return points(z.select(1, 0), (z.select(1, 0) / 2).exp() * z.select(1, 1));
}

}  // namespace

std::optional<MixturePrior> mixture_of(Density density) {
  const auto mixture = [](const Tensor& weights, const Tensor& means, double std) {
    return MixturePrior::isotropic(weights, means, at::scalar_tensor(std, at::kDouble));
  };
  const auto equal = [&](const Tensor& means, double std) {
    const auto count = static_cast<double>(means.size(0));
    return mixture(at::full({means.size(0)}, 1 / count, at::kDouble), means, std);
  };
  if (density == Density::eight_gaussians) {
    const Tensor t = at::arange(8, at::kDouble) * (pi / 4);
    return equal(2 * points(t.cos(), t.sin()), 0.2);
  }
  if (density == Density::grid_gaussians) {
    const Tensor i = at::arange(25, at::kDouble);
    return equal(points(i.remainder(5) - 2, (i / 5).floor() - 2), 0.1);
  }
  const Rule rule = rule_of(density);
  const auto curve = curve_of(density, rule.u);
  if (!curve) return {};
  return mixture(rule.weights, curve->points, curve->std);
}

Tensor sample(Density density, int64_t draws, Noise& noise) {
  if (density == Density::checkerboard) return checkerboard(draws, noise);
  if (density == Density::funnel) return funnel(draws, noise);
  if (density == Density::eight_gaussians || density == Density::grid_gaussians)
    return mixture_of(density)->sample(draws, noise);
  const Curve curve = curve_of(density, uniform(noise, draws)).value();
  return curve.points + curve.std * noise.normal({draws, 2}, at::kDouble);
}

Tensor log_prob(Density density, const Tensor& given) {
  require_real(given, "x");
  require_batch_of(given, {2}, "x");
  const Tensor x = given.to(at::kDouble);
  if (density == Density::checkerboard) {
    const Tensor cell = (x + 2).floor();
    const Tensor inside = cell.ge(0).logical_and(cell.le(3)).all(1);
    const Tensor filled = (cell.sum(1).remainder(2) == 0).logical_and(inside);
    return at::where(filled, at::full({}, -std::log(8.0), at::kDouble),
                     at::full({}, -std::numeric_limits<double>::infinity(), at::kDouble));
  }
  if (density == Density::funnel) {
    const Tensor a = x.select(1, 0), b = x.select(1, 1);
    return -0.5 * (a.square() + a + b.square() * (-a).exp()) - std::log(2 * pi);
  }
  const Rule rule = rule_of(density);
  const auto curve = curve_of(density, rule.u);
  if (!curve) return mixture_of(density)->log_prob(x);
  constexpr int64_t block_rows = 256;
  std::vector<Tensor> parts;
  for (const Tensor& rows : x.split(block_rows)) {
    const Tensor squares = at::cdist(rows, curve->points, 2, /*compute_mode=*/2).square_();
    parts.push_back(squares.mul_(-0.5 / (curve->std * curve->std)).add_(rule.weights.log()).logsumexp(1));
  }
  return at::cat(parts) - std::log(2 * pi * curve->std * curve->std);
}

}  // namespace tweedie
