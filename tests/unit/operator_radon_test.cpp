// Line integrals against direct sums and closed forms, and their inverse.

#include "tweedie/tomography.h"

#include "check_tensor.h"
#include "core/conjugate_gradient.h"
#include "core/workers.h"
#include "support/imaging_cases.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace tweedie {
namespace {

using Beam = RadonGeometry::Beam;
constexpr double pi = std::numbers::pi;
constexpr Beam beams[] = {Beam::parallel, Beam::fan_flat, Beam::fan_arc};

// The ray of view v and element d: a point and a unit direction, as tweedie/tomography.h states them
struct Ray2 {
  double x, y, dx, dy;
  double distance(double px, double py) const { return std::abs((px - x) * dy - (py - y) * dx); }
};
Ray2 ray_of(const RadonGeometry& g, int64_t v, int64_t d) {
  const double a = g.angles[v] * pi / 180,
               u = (static_cast<double>(d) - 0.5 * (g.detectors - 1.0)) * g.spacing;
  if (g.beam == Beam::parallel) return {u * std::cos(a), u * std::sin(a), -std::sin(a), std::cos(a)};
  const double whole = g.source_distance + g.detector_distance;
  const double off = g.beam == Beam::fan_flat ? std::atan(u / whole) : u / whole;
  const double sx = g.source_distance * std::sin(a), sy = -g.source_distance * std::cos(a);
  return {sx, sy, -std::sin(a - off), std::cos(a - off)};
}

// f(x, y) at the middle of each pixel
template <class F>
Tensor sampled(const RadonGeometry& g, int64_t h, int64_t w, F f) {
  Tensor x = at::empty({h, w}, at::kDouble);
  for (int64_t i = 0; i < h; ++i) {
    for (int64_t j = 0; j < w; ++j) {
      x[i][j] = f(g.pixel * (static_cast<double>(j) - 0.5 * (w - 1.0)),
                  g.pixel * (0.5 * (h - 1.0) - static_cast<double>(i)));
    }
  }
  return x;
}

template <class F>
Tensor integrals(const RadonGeometry& g, F f) {
  Tensor y = at::empty({static_cast<int64_t>(g.angles.size()), g.detectors}, at::kDouble);
  for (int64_t v = 0; v < y.size(0); ++v) {
    for (int64_t d = 0; d < g.detectors; ++d) y[v][d] = f(ray_of(g, v, d));
  }
  return y;
}

RadonGeometry scanner(Beam beam, int64_t views, int64_t detectors, double spacing) {
  RadonGeometry g{.beam = beam, .angles = {}, .detectors = detectors, .spacing = spacing, .pixel = 1};
  const double range = beam == Beam::parallel ? 180 : 360;
  for (int64_t i = 0; i < views; ++i)
    g.angles.push_back(range * static_cast<double>(i) / static_cast<double>(views));
  if (beam != Beam::parallel) {
    g.source_distance = 100;
    g.detector_distance = 50;
  }
  return g;
}

// Joseph's weights pixel by pixel: the hat function of the distance, along a pixel line, from the ray.
TEST(RadonOperator, IsTheDirectSum) {
  for (const Beam beam : beams) {
    const RadonGeometry g = some_geometry(beam);
    const int64_t h = 7, w = 6;
    const Tensor x = normal({h, w}, 1);
    const Tensor truth = integrals(g, [&](const Ray2& ray) {
      const bool steep = std::abs(ray.dy) >= std::abs(ray.dx);
      const double length = g.pixel / std::max(std::abs(ray.dx), std::abs(ray.dy));
      const Tensor weight = sampled(g, h, w, [&](double px, double py) {
        const double off = steep ? px - (ray.x + (py - ray.y) * ray.dx / ray.dy)
                                 : py - (ray.y + (px - ray.x) * ray.dy / ray.dx);
        return length * std::max(0.0, 1 - std::abs(off) / g.pixel);
      });
      return (weight * x).sum().item<double>();
    });
    EXPECT_LT(max_difference(make_radon({h, w}, g)->apply(x.unsqueeze(0))[0], truth), 1e-12);
  }
}

// A Gaussian blob off the centre, whose integral along a line at distance s is sqrt(2 pi) std exp(-s^2 / (2
// std^2)). Interpolating it linearly is wrong by at most 1 / (8 std^2) of its height.
TEST(RadonOperator, HasTheIntegralsOfABlob) {
  constexpr double std = 5, at_x = 9, at_y = -4;
  const auto blob = [](double x, double y) {
    return std::exp(-((x - at_x) * (x - at_x) + (y - at_y) * (y - at_y)) / (2 * std * std));
  };
  for (const Beam beam : beams) {
    const RadonGeometry g = scanner(beam, 24, 81, 1.5);
    const Tensor truth = integrals(g, [&](const Ray2& ray) {
      const double s = ray.distance(at_x, at_y);
      return std::sqrt(2 * pi) * std * std::exp(-s * s / (2 * std * std));
    });
    const auto a = make_radon({64, 72}, g);
    const double bound = truth.max().item<double>() / (8 * std * std);
    EXPECT_LT(max_difference(a->apply(sampled(g, 64, 72, blob).unsqueeze(0))[0], truth), bound);
    // Turned over, the image is another.
    EXPECT_GT(max_difference(a->apply(sampled(g, 64, 72, blob).flip({0}).unsqueeze(0))[0], truth),
              10 * bound);
  }
}

// Chords of a disc: finer pixels come nearer to them, with twice as many to about half the mean error.
TEST(RadonOperator, ConvergesToTheChordsOfADisc) {
  for (const Beam beam : beams) {
    std::vector<double> errors;
    for (const int64_t n : {16, 32, 64, 128}) {
      RadonGeometry g = scanner(beam, 15, 41, 1.5);
      g.pixel = 64.0 / static_cast<double>(n);
      const double radius = 22.3;
      const Tensor disc = sampled(g, n, n, [&](double x, double y) {
        double inside = 0;  // the share of the pixel, by 64 points in it
        for (int i = 0; i < 64; ++i) {
          const double u = x + g.pixel * ((i % 8 + 0.5) / 8 - 0.5),
                       v = y + g.pixel * ((i / 8 + 0.5) / 8 - 0.5);
          inside += u * u + v * v < radius * radius ? 1.0 / 64 : 0;
        }
        return inside;
      });
      const Tensor truth = integrals(g, [&](const Ray2& ray) {
        const double s = ray.distance(0, 0);
        return s < radius ? 2 * std::sqrt(radius * radius - s * s) : 0;
      });
      errors.push_back(
          (make_radon({n, n}, g)->apply(disc.unsqueeze(0))[0] - truth).abs().mean().item<double>());
    }
    for (size_t i = 1; i < errors.size(); ++i) EXPECT_LT(errors[i], 0.7 * errors[i - 1]);
    EXPECT_LT(errors.back(), 0.1);
  }
}

TEST(RadonOperator, HasTheSameBitsForAnyNumberOfThreads) {
  const auto a = make_radon({40, 48}, scanner(Beam::fan_flat, 30, 60, 1.5));
  const Tensor x = normal({2, 40, 48}, 2, at::kFloat), y = normal({2, 30, 60}, 3, at::kFloat);
  const Tensor ax = a->apply(x), aty = a->adjoint(y);
  for (const int64_t threads : {2, 5}) {
    Workers workers(threads);
    const UseWorkers use(workers);
    EXPECT_TRUE(at::equal(a->apply(x), ax));
    EXPECT_TRUE(at::equal(a->adjoint(y), aty));
  }
}

// From the exact integrals of two blobs to the blobs: what is left is the detector's interpolation, of order
// (spacing / std)^2.
TEST(FilteredBackProjection, InvertsLineIntegrals) {
  constexpr double std = 5;
  const auto pixel = [](double x, double y) {
    return std::exp(-((x - 9) * (x - 9) + (y + 4) * (y + 4)) / (2 * std * std)) -
           0.5 * std::exp(-((x + 6) * (x + 6) + (y - 11) * (y - 11)) / (2 * std * std));
  };
  for (const Beam beam : beams) {
    const RadonGeometry g = scanner(beam, 120, 161, beam == Beam::parallel ? 0.5 : 0.75);
    const Tensor y = integrals(g, [&](const Ray2& ray) {
      const double a = ray.distance(9, -4), b = ray.distance(-6, 11);
      return std::sqrt(2 * pi) * std *
             (std::exp(-a * a / (2 * std * std)) - 0.5 * std::exp(-b * b / (2 * std * std)));
    });
    const Tensor truth = sampled(g, 60, 64, pixel);
    for (const auto filter : {RampFilter::ramp, RampFilter::shepp_logan}) {
      const Tensor x = filtered_back_projection(g, 60, 64, y.unsqueeze(0), {.filter = filter});
      EXPECT_LT(max_difference(x[0], truth), 0.02);
    }
    const Tensor smooth =
        filtered_back_projection(g, 60, 64, y.unsqueeze(0), {.filter = RampFilter::hann, .cutoff = 0.5});
    EXPECT_LT(max_difference(smooth[0], truth), 0.1);
    EXPECT_GT(max_difference(smooth[0], truth), 0.02);
    // Without the filter, or as if the beam were another, it is another image.
    const Tensor unfiltered = make_radon({60, 64}, g)->adjoint(y.unsqueeze(0))[0];
    EXPECT_GT(max_difference(unfiltered / unfiltered.max(), truth), 0.2);
    RadonGeometry other = g;
    other.beam = beam == Beam::fan_flat ? Beam::fan_arc : Beam::fan_flat;
    other.source_distance = 60;
    other.detector_distance = 70;
    if (beam != Beam::parallel) {
      EXPECT_GT(max_difference(filtered_back_projection(other, 60, 64, y.unsqueeze(0))[0], truth), 0.1);
    }
  }
}

TEST(RadonOperator, NamesWhatIsWrong) {
  const auto with = [](auto change) {
    return [change] {
      RadonGeometry g = some_geometry(Beam::fan_flat);
      change(g);
      make_radon({8, 8}, g);
    };
  };
  expect_error(with([](RadonGeometry& g) { g.angles.clear(); }), {"radon.angles"});
  expect_error(with([](RadonGeometry& g) { g.angles[3] = NAN; }), {"radon.angles", "nan"});
  expect_error(with([](RadonGeometry& g) { g.detectors = 0; }), {"radon.detectors", "0"});
  expect_error(with([](RadonGeometry& g) { g.spacing = -1; }), {"radon.spacing", "-1"});
  expect_error(with([](RadonGeometry& g) { g.pixel = INFINITY; }), {"radon.pixel", "inf"});
  expect_error(with([](RadonGeometry& g) { g.source_distance = 5; }), {"radon.source_distance", "5", "6.22"});
  expect_error(with([](RadonGeometry& g) { g.detector_distance = -1; }), {"radon.detector_distance"});
  expect_error(with([](RadonGeometry& g) {
                 g.beam = Beam::fan_arc;
                 g.detectors = 80;
               }),
               {"radon.detectors", "less than 180"});
  const RadonGeometry g = scanner(Beam::fan_flat, 20, 30, 1);
  const Tensor y = normal({1, 20, 30}, 1);
  expect_error([&] { filtered_back_projection(g, 8, 8, y, {.cutoff = 0}); }, {"fbp.cutoff"});
  expect_error([&] { filtered_back_projection(g, 8, 8, normal({1, 20, 31}, 1)); }, {"fbp.y", "(1, 20, 31)"});
  RadonGeometry half = g;
  for (double& a : half.angles) a /= 2;
  expect_error([&] { filtered_back_projection(half, 8, 8, y); }, {"fbp.angles", "180", "360"});
}

// What precondition_gram is for: of few views some iterations show what all frequencies say, not the lowest
// only.
TEST(RadonOperator, ItsFilterBringsConjugateGradientsNearInAFewSteps) {
  for (const Beam beam : beams) {
    const auto a = make_radon({1, 32, 32}, scanner(beam, 12, beam == Beam::parallel ? 47 : 71, 1));
    const Tensor y = a->apply(normal({2, 1, 32, 32}, 3)), b = normal(y.sizes().vec(), 4);
    const Tensor mb = a->precondition_gram(b, 0.1), my = a->precondition_gram(y, 0.1);
    EXPECT_NEAR((y * mb).sum().item<double>(), (my * b).sum().item<double>(),
                1e-9 * (y * my).sum().item<double>());
    EXPECT_GT((b * mb).sum().item<double>(), 0);
    EXPECT_TRUE(at::equal(a->precondition_gram(b.slice(0, 1, 2), 0.1), mb.slice(0, 1, 2)));
    const double lambda = 1;
    const BatchMap shifted = [&](const Tensor& u) { return a->gram(u) + lambda * u; };
    const BatchMap filter = [&](const Tensor& u) { return a->precondition_gram(u, lambda); };
    const BatchMap backwards = [&](const Tensor& u) { return a->gram(u) + u; };  // the wrong way round
    const auto solved = [&](int64_t iterations, const BatchMap& precondition) {
      return a->adjoint(
          conjugate_gradient(shifted, y, {.max_iterations = iterations, .tolerance = 1e-12}, precondition).u);
    };
    const Tensor truth = solved(2000, {});
    const auto error = [&](const BatchMap& precondition) {
      return ((solved(4, precondition) - truth).norm() / truth.norm()).item<double>();
    };
    EXPECT_LT(error(filter), 0.6 * error({})) << static_cast<int>(beam);
    EXPECT_GT(error(backwards), error({}));
  }
}

}  // namespace
}  // namespace tweedie
