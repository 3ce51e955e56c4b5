#include "run/train_figure.h"

#include "core/shape.h"
#include "report/curves.h"
#include "report/panels.h"
#include "run/figures.h"
#include "tweedie/array_io.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace tweedie {

namespace fs = std::filesystem;

namespace {

constexpr int width = 560, height = 380;
const char* const folder = "previews";
constexpr int64_t largest_cloud = 64;  // numbers of one of the many draws that a scatter or histogram needs

bool is_picture(at::IntArrayRef shape) {
  return shape.size() == 3 && (shape[0] == 1 || shape[0] == 3);
}

Chart losses(const TrainingPictures& p) {
  Series training{.label = "training", .x = {}, .y = {}}, held_out{.label = "held out", .x = {}, .y = {}};
  bool positive = true;
  for (const auto& line : p.log) {
    for (auto [series, key] : {std::pair{&training, "loss"}, std::pair{&held_out, "validation_loss"}}) {
      if (!line.contains(key) || !line[key].is_number()) continue;
      series->x.push_back(line["step"].get<double>());
      series->y.push_back(line[key].get<double>());
      positive = positive && series->y.back() > 0;
    }
  }
  Chart chart{.title = "Loss",
              .x = {.label = "step"},
              .y = {.label = "loss, mean", .log = positive},
              .series = {training},
              .width = width,
              .height = height};
  if (!held_out.x.empty()) chart.series.push_back(held_out);
  return chart;
}

// Held-out loss over the noise level, at up to four of the looks
std::optional<Chart> by_level(const TrainingPictures& p) {
  std::vector<const nlohmann::json*> looks;
  for (const auto& line : p.log) {
    if (line.contains("validation_loss_by_level") &&
        line["validation_loss_by_level"].size() == p.levels.size())
      looks.push_back(&line);
  }
  if (looks.empty() || p.levels.size() < 2) return {};
  Chart chart{.title = "Held-out loss by noise level",
              .x = {.label = "sigma", .log = true},
              .y = {.label = "loss, mean"},
              .series = {},
              .width = width,
              .height = height};
  constexpr size_t most = 4;
  const size_t shown = std::min(most, looks.size());
  for (size_t i = 0; i < shown; ++i) {
    const auto& line = *looks[shown == 1 ? 0 : i * (looks.size() - 1) / (shown - 1)];
    chart.series.push_back({.label = fmt::format("step {}", line["step"].get<int64_t>()),
                            .x = p.levels,
                            .y = line["validation_loss_by_level"].get<std::vector<double>>()});
  }
  return chart;
}

Tensor pictures_as_they_improve(const TrainingPictures& p) {
  PanelGrid grid{.title = "Draws of the same noise as training goes on", .columns = {}, .rows = {}};
  const int64_t columns = p.previews.front().draws.size(0);
  for (int64_t c = 0; c < columns; ++c)
    grid.columns.push_back({.title = "", .range = ValueRange{p.low, p.high}});
  for (const Preview& preview : p.previews) {
    PanelRow row{.images = {}, .caption = fmt::format("step {}", preview.step)};
    for (int64_t c = 0; c < columns; ++c) row.images.push_back(preview.draws[c]);
    grid.rows.push_back(std::move(row));
  }
  return draw_panels(grid).image;
}

}  // namespace

bool is_preview(int64_t step, int64_t total) {
  if (step == total) return true;
  for (const int64_t part : {16, 8, 4, 2}) {
    if (step == std::max<int64_t>(1, total / part)) return true;
  }
  return false;
}

void write_preview(const fs::path& run, int64_t step, const LoadedPrior& model, uint64_t seed,
                   const RunContext& context) {
  if (model.denoiser == nullptr && model.generative == nullptr) return;
  SampleConfig config;
  config.seed = seed;
  config.sampler.steps = 18;
  const Shape shape = shape_of(model);
  config.count = is_picture(shape) || product(shape) > largest_cloud ? 8 : 500;
  if (model.classes > 0) {
    for (int64_t k = 0; k < std::min(model.classes, config.count); ++k) config.labels.push_back(k);
  }
  RunContext quiet = context;
  quiet.observer = {};
  fs::create_directory(run / folder);
  write_npy(run / folder / fmt::format("{:09}.npy", step), sample_model(model, config, quiet).x);
}

std::vector<Preview> read_previews(const fs::path& run) {
  std::vector<Preview> result;
  if (!fs::exists(run / folder)) return result;
  for (const auto& entry : fs::directory_iterator(run / folder)) {
    if (entry.path().extension() != ".npy") continue;  // a file that was not finished
    result.push_back({std::strtoll(entry.path().stem().c_str(), nullptr, 10), read_array(entry.path())});
  }
  std::sort(result.begin(), result.end(), [](const auto& a, const auto& b) { return a.step < b.step; });
  return result;
}

Figure training_figure(const TrainingPictures& p) {
  std::vector<Chart> charts{losses(p)};
  if (auto chart = by_level(p)) charts.push_back(std::move(*chart));
  Tensor pictures;  // (H, W, 3)
  if (!p.previews.empty()) {
    if (is_picture(p.previews.front().draws.sizes().slice(1))) {
      pictures = pictures_as_they_improve(p);
    } else if (p.previews.front().draws.dim() == 2 && p.previews.front().draws.size(1) == 2) {
      for (const Preview& preview : p.previews) {
        charts.push_back({.title = fmt::format("draws at step {}", preview.step),
                          .x = {.label = "x_1"},
                          .y = {.label = "x_2"},
                          .series = {scatter("", preview.draws.to(at::kDouble))},
                          .equal_scales = true,
                          .width = width,
                          .height = height});
      }
    }
  }
  constexpr int head = 40, columns = 2;
  const int count = static_cast<int>(charts.size()), rows = (count + columns - 1) / columns;
  const int below = head + rows * height;
  Canvas canvas(
      std::max(std::min(count, columns) * width, pictures.defined() ? static_cast<int>(pictures.size(1)) : 0),
      below + (pictures.defined() ? static_cast<int>(pictures.size(0)) : 0));
  canvas.text(16, 28, fit_text(p.title, canvas.width() - 32, {.size = 18, .bold = true}),
              {.size = 18, .bold = true});
  for (int i = 0; i < count; ++i)
    canvas.image(i % columns * width, head + i / columns * height, draw_chart(charts[i]).image);
  if (pictures.defined()) canvas.image(0, below, pictures);
  return {canvas.to_tensor(), has_font()};
}

}  // namespace tweedie
