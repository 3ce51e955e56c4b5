// Curves' densities against the integral along them, written down again, by Simpson's rule on many points.

#include "tweedie/densities.h"

#include "check_tensor.h"

#include <cmath>
#include <numbers>

namespace tweedie {
namespace {

constexpr double pi = std::numbers::pi;

struct Piece {  // of a curve, (x(t), y(t)) for t in [from, to], on which t has the density weight(t)
  std::function<Tensor(const Tensor&)> x, y, weight;
  double from, to;
};

std::vector<Piece> pieces_of(Density density) {
  const auto constant = [](double w) { return [w](const Tensor& t) { return at::full_like(t, w); }; };
  const auto arc = [&](double x, double y, double across, double up, double to, double w) {
    return Piece{[=](const Tensor& t) { return x + across * t.cos(); },
                 [=](const Tensor& t) { return y + up * t.sin(); }, constant(w), 0, to};
  };
  switch (density) {
    case Density::s_curve:
      return {{[](const Tensor& t) { return t.sin(); }, [](const Tensor& t) { return 1 - t.cos(); },
               constant(1 / (3 * pi)), -1.5 * pi, 0},
              {[](const Tensor& t) { return t.sin(); }, [](const Tensor& t) { return t.cos() - 1; },
               constant(1 / (3 * pi)), 0, 1.5 * pi}};
    case Density::two_moons:  // around (-0.75, -0.375) and (0.75, 0.375): the middle is the origin
      return {arc(-0.75, -0.375, 1.5, 1.5, pi, 0.5 / pi), arc(0.75, 0.375, -1.5, -1.5, pi, 0.5 / pi)};
    case Density::rings: {
      std::vector<Piece> result;
      for (const double radius : {0.6, 1.3, 2.0})
        result.push_back(arc(0, 0, radius, radius, 2 * pi, 1 / (6 * pi)));
      return result;
    }
    default:  // spiral: u = (t / 4 pi)^2
      return {{[](const Tensor& t) { return t * t.cos() / 5; },
               [](const Tensor& t) { return t * t.sin() / 5; },
               [](const Tensor& t) { return t / (8 * pi * pi); }, 0, 4 * pi}};
  }
}

// p(x) in nats^-1; x: (B, 2)
Tensor by_simpson(Density density, double thickness, const Tensor& x) {
  constexpr int64_t intervals = 4000;
  Tensor result = at::zeros({x.size(0)}, at::kDouble);
  for (const Piece& piece : pieces_of(density)) {
    const Tensor t = at::linspace(piece.from, piece.to, intervals + 1, at::kDouble);
    Tensor simpson = at::where(at::arange(intervals + 1).remainder(2) == 1, 4.0, 2.0).to(at::kDouble);
    simpson[0] = 1;
    simpson[intervals] = 1;
    const Tensor weight = simpson * piece.weight(t) * ((piece.to - piece.from) / (3.0 * intervals));
    const Tensor square = (x.select(1, 0).unsqueeze(1) - piece.x(t)).square() +
                          (x.select(1, 1).unsqueeze(1) - piece.y(t)).square();
    result += at::matmul((-0.5 * square / (thickness * thickness)).exp(), weight);
  }
  return result / (2 * pi * thickness * thickness);
}

TEST(Densities, CurvesAreIntegralsAlongThem) {
  for (const auto& [density, thickness] : {std::pair{Density::s_curve, 0.1},
                                           {Density::two_moons, 0.12},
                                           {Density::rings, 0.07},
                                           {Density::spiral, 0.07}}) {
    Noise noise(7);
    const Tensor x = sample(density, 200, noise);
    const Tensor ratio = log_prob(density, x).exp() / by_simpson(density, thickness, x);
    EXPECT_LT(max_difference(ratio, at::ones_like(ratio)), 1e-5) << names(density)[static_cast<int>(density)];
    // Another thickness is told apart.
    const Tensor wrong = log_prob(density, x).exp() / by_simpson(density, 1.05 * thickness, x);
    EXPECT_GT(max_difference(wrong, at::ones_like(wrong)), 0.05);
  }
}

// Coordinates are of order 1, as what learns from them expects. Standard deviations in closed form,
// within 4.5 standard errors, which are sqrt((kurtosis - 1) / (4 n)) of them: with n = 50,000 the largest,
// 0.006, is that of the funnel's second coordinate, whose kurtosis is 3 e; of the others, which are below 3,
// it is below 0.0032.
TEST(Densities, AreOfOrderOne) {
  const double arc = 1.5 * 1.5 / 2;  // E (1.5 cos t)^2 and E (1.5 sin t)^2
  const auto moons = [&](double middle, double cross) {
    return std::sqrt(arc + middle * middle + cross + 0.0144);
  };
  const double rings = std::sqrt((0.36 + 1.69 + 4) / 6 + 0.0049);
  const std::vector<std::pair<double, double>> expected{
      {std::sqrt(2 + 0.04), std::sqrt(2 + 0.04)},
      {std::sqrt(2 + 0.01), std::sqrt(2 + 0.01)},
      // E sin^2 and E (1 - cos)^2 for t uniform on (0, 3 pi / 2)
      {std::sqrt(0.5 + 0.01), std::sqrt(1.5 + 4 / (3 * pi) + 0.01)},
      // y = -0.375 + 1.5 sin t with E sin t = 2 / pi
      {moons(0.75, 0), moons(0.375, -2 * 0.375 * 1.5 * 2 / pi)},
      {rings, rings},
      // With density t / (8 pi^2) on (0, 4 pi): E t cos t = 1 / pi, E t sin t = -2, E t^2 = 8 pi^2 and
      // E t^2 cos 2t = 3 / 2, so that E t^2 cos^2 t = 4 pi^2 + 3 / 4
      {std::sqrt((4 * pi * pi + 0.75 - 1 / (pi * pi)) / 25 + 0.0049),
       std::sqrt((4 * pi * pi - 0.75 - 4) / 25 + 0.0049)},
      {std::sqrt(16.0 / 12), std::sqrt(16.0 / 12)},
      {1, std::exp(0.25)}};
  for (int i = 0; i < 8; ++i) {
    Noise noise(8);
    const Tensor x = sample(static_cast<Density>(i), 50000, noise);
    const auto& [first, second] = expected[i];
    const double tolerance = 4.5 * (i == static_cast<int>(Density::funnel) ? 0.006 : 0.0032);
    const Tensor std = (x - x.mean(0)).square().mean(0).sqrt();
    EXPECT_NEAR(std[0].item<double>() / first, 1, tolerance) << names(Density{})[i];
    EXPECT_NEAR(std[1].item<double>() / second, 1, tolerance) << names(Density{})[i];
  }
}

TEST(Densities, ARowIsItsOwn) {
  for (int i = 0; i < 8; ++i) {
    Noise many(9), few(9);
    const Tensor x = sample(static_cast<Density>(i), 300, many);
    EXPECT_TRUE(at::equal(sample(static_cast<Density>(i), 7, few), x.slice(0, 0, 7))) << names(Density{})[i];
    EXPECT_LT(max_difference(log_prob(static_cast<Density>(i), x.slice(0, 5, 8)),
                             log_prob(static_cast<Density>(i), x).slice(0, 5, 8)),
              1e-12);
  }
}

}  // namespace
}  // namespace tweedie
