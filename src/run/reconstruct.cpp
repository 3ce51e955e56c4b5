// tweedie reconstruct: RUN/reconstructed.npy, E[hidden patches | visible ones] by a masked autoencoder;
// hidden.npy, the patches that were hidden; figure.png, summary.json.

#include "core/shape.h"
#include "io/atomic_file.h"
#include "io/image.h"
#include "io/model.h"
#include "io/run_folder.h"
#include "report/panels.h"
#include "run/prior.h"
#include "run/services.h"
#include "tweedie/array_io.h"
#include "tweedie/masked_autoencoder.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace tweedie {

namespace {

// (rows, patches), true where hidden: as the file says, or `fraction` of each row's patches at random
Tensor hidden_patches(const ReconstructRequest& request, int64_t rows, int64_t patches) {
  if (!request.hidden.empty()) {
    const Tensor given = read_array(request.hidden);
    if (given.sizes() != at::IntArrayRef{patches} && given.sizes() != at::IntArrayRef{rows, patches}) {
      throw Error(request.hidden.string(),
                  fmt::format("shape {}, but ({},) or ({}, {}) is needed, row by row",
                              to_string(given.sizes()), patches, rows, patches));
    }
    if (given.ne(0).logical_and(given.ne(1)).any().item<bool>())
      throw Error(request.hidden.string(),
                  "values besides 0 and 1, but 1 for hidden and 0 for visible is needed");
    return given.to(at::kBool).expand({rows, patches}).contiguous();
  }
  if (!(request.fraction > 0 && request.fraction < 1))
    throw Error("--fraction", fmt::format("{}: above 0 and below 1 is meant", request.fraction));
  const auto hidden = static_cast<int64_t>(std::llround(request.fraction * static_cast<double>(patches)));
  const int64_t count = std::clamp<int64_t>(hidden, 1, patches - 1);
  Noise noise = Noise(request.seed).stream(Stream::user);
  const Tensor order = noise.uniform({rows, patches}, at::kDouble).argsort(true, 1);
  return at::zeros({rows, patches}, at::kBool).scatter(1, order.slice(1, 0, count), true);
}

// What was visible, what is made of it, and the whole
Figure reconstruction_figure(const Tensor& visible, const Tensor& reconstructed, const Tensor& x,
                             const ModelCard& card, const std::string& title) {
  constexpr int64_t most = 6;
  std::optional<ValueRange> range;
  if (card.low < card.high) range = ValueRange{card.low, card.high};
  PanelGrid grid{.title = title, .columns = {}, .rows = {}};
  for (const char* name : {"visible", "E[x | visible]", "x"})
    grid.columns.push_back({.title = name, .range = range});
  for (int64_t i = 0; i < std::min(most, x.size(0)); ++i)
    grid.rows.push_back({.images = {visible[i], reconstructed[i], x[i]}});
  return draw_panels(grid);
}

}  // namespace

Summary reconstruct(const ReconstructRequest& request, const RunContext& context) {
  const Stopwatch watch;
  const Model model = read_model(request.model);
  const auto* options = std::get_if<MaskedAutoencoderOptions>(&model.card.model);
  if (options == nullptr)
    throw Error(request.model.string(),
                "no masked autoencoder; train one with model.kind = \"masked-autoencoder\"");
  const MaskedAutoencoder autoencoder(*options, model.card.shape,
                                      {model.card.data_mean, model.card.sigma_data});
  const Tensor x = read_rows(request.x, model.card.shape);
  const int64_t rows = x.size(0);
  const Tensor hidden = hidden_patches(request, rows, autoencoder.patches());
  RunFolder folder(context.out, context.force);
  const Tensor reconstructed = autoencoder.reconstruct(model.weights, x, hidden, context.threads);

  const Tensor numbers = autoencoder.hidden_numbers(hidden);
  Summary summary = start_summary("reconstruct", request.seed, context);
  summary["model"] = fmt::format("{}, {} weights, trained on {}", request.model.filename().string(),
                                 model.weights.count(), model.card.data);
  summary["rows"] = rows;
  summary["hidden_share"] = hidden.to(at::kDouble).mean().item<double>();
  const Tensor error = (reconstructed - x).masked_select(numbers), scale = x.masked_select(numbers);
  if (error.numel() > 0) {
    summary["mse_hidden"] = error.square().mean().item<double>();
    summary["variance_hidden"] = scale.var(/*unbiased=*/false).item<double>();
  }
  write_npy(folder.path("reconstructed.npy"), reconstructed);
  write_npy(folder.path("hidden.npy"), hidden.to(at::kFloat));
  if (model.card.shape.size() == 3 && (model.card.shape[0] == 1 || model.card.shape[0] == 3)) {
    const Tensor visible = x.masked_fill(numbers, std::numeric_limits<float>::quiet_NaN());
    const Figure figure =
        reconstruction_figure(visible, reconstructed, x, model.card,
                              fmt::format("Reconstructions by {}", request.model.filename().string()));
    if (!figure.has_words) summary["warnings"].push_back("no font was found: the figure has no words");
    write_png(folder.path("figure.png"), figure.image);
  }
  finish_summary(summary, watch);
  write_atomically(folder.path("summary.json"), summary.dump(2) + "\n");
  folder.commit();
  return summary;
}

}  // namespace tweedie
