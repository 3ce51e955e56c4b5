#include "run/score_sheet.h"

#include "report/curves.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr int width = 380, height = 380;
constexpr int64_t side = 21;    // arrows along each axis
constexpr double extent = 3.2;  // the fields are over [-extent, extent]^2

// sigma grad log p_sigma = (D - x) / sigma at the grid's points: an arrow of its direction, and of its length
// up to a cell's size
Chart field(const Denoiser& denoiser, double sigma, const std::string& title) {
  const Tensor line = at::linspace(-extent, extent, side, at::kDouble);
  const Tensor x = at::stack({line.repeat({side}), line.repeat_interleave(side)}, 1);
  const Tensor v = (denoiser.mean(x.to(at::kFloat), sigma).to(at::kDouble) - x) / sigma;
  Chart chart{.title = title,
              .x = {.label = "", .low = -extent - 0.2, .high = extent + 0.2},
              .y = {.label = "", .low = -extent - 0.2, .high = extent + 0.2},
              .series = {},
              .equal_scales = true,
              .width = width,
              .height = height};
  const double cell = 2 * extent / (side - 1);
  Series starts{.label = "", .x = {}, .y = {}, .mark = Mark::dots, .colour = 0, .opacity = 0.5};
  for (int64_t i = 0; i < x.size(0); ++i) {
    const double a = x[i][0].item<double>(), b = x[i][1].item<double>();
    const double p = v[i][0].item<double>(), q = v[i][1].item<double>();
    const double length = std::hypot(p, q),
                 scale = length > 0 ? cell * std::min(0.5 * length, 0.9) / length : 0;
    chart.series.push_back({.label = "", .x = {a, a + scale * p}, .y = {b, b + scale * q}, .colour = 0});
    starts.x.push_back(a);
    starts.y.push_back(b);
  }
  chart.series.push_back(std::move(starts));
  return chart;
}

}  // namespace

std::vector<double> excess_denoising_loss(const Denoiser& learned, const Denoiser& exact, const Tensor& x,
                                          const std::vector<double>& sigmas, Noise noise) {
  std::vector<double> result;
  for (const double sigma : sigmas) {
    const Tensor y = (x + sigma * noise.normal_like(x)).to(at::kFloat);
    const Tensor best = exact.mean(y.to(at::kDouble), sigma);
    const Tensor error = (learned.mean(y, sigma).to(at::kDouble) - best).square().sum();
    result.push_back((error / (x.to(at::kDouble) - best).square().sum()).item<double>());
  }
  return result;
}

Figure score_sheet(const Denoiser& learned, const Denoiser& exact, const std::vector<double>& sigmas,
                   const std::string& title) {
  constexpr int head = 40;
  const int columns = static_cast<int>(sigmas.size());
  Canvas canvas(columns * width, head + 2 * height);
  canvas.text(16, 28, fit_text(title, canvas.width() - 32, {.size = 18, .bold = true}),
              {.size = 18, .bold = true});
  for (int c = 0; c < columns; ++c) {
    const std::string level = fmt::format("score at sigma {:.2g}", sigmas[c]);
    canvas.image(c * width, head, draw_chart(field(exact, sigmas[c], "exact " + level)).image);
    canvas.image(c * width, head + height, draw_chart(field(learned, sigmas[c], "learned " + level)).image);
  }
  return {canvas.to_tensor(), has_font()};
}

}  // namespace tweedie
