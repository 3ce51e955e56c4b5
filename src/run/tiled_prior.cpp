#include "run/tiled_prior.h"

#include "core/shape.h"
#include "core/workers.h"
#include "run/prior.h"
#include "tweedie/array_io.h"
#include "tweedie/tiled_denoiser.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace tweedie {

namespace {

std::vector<int64_t> size_of(const std::filesystem::path& file, int64_t factor = 1) {
  const Tensor x = read_array(file);
  if (x.dim() < 2)
    throw Error("prior.tile.size", fmt::format("{} has shape {}, which tells no height and width; give them",
                                               file.string(), to_string(x.sizes())));
  return {x.size(-2) * factor, x.size(-1) * factor};
}

}  // namespace

PriorConfig with_size_of_x(const PriorConfig& given, const MeasurementConfig& measured) {
  PriorConfig prior = given;
  if (!prior.tile || !prior.tile->size.empty()) return prior;
  auto measurement = measured;
  if (!measurement.run.empty()) {
    measurement.y = measurement.run / "y.npy";
    measurement.truth = measurement.run / "x.npy";
  }
  const auto* mask = std::get_if<MaskOptions>(&measurement.forward);
  const auto* downsample = std::get_if<DownsampleOptions>(&measurement.forward);
  const bool same = std::holds_alternative<IdentityOptions>(measurement.forward) ||
                    std::holds_alternative<BlurOptions>(measurement.forward);
  if (!measurement.truth.empty())
    prior.tile->size = size_of(measurement.truth);
  else if (mask != nullptr && !mask->file.empty())
    prior.tile->size = size_of(mask->file);
  else if (downsample != nullptr && !measurement.y.empty())
    prior.tile->size = size_of(measurement.y, downsample->factor);
  else if (same && !measurement.y.empty())
    prior.tile->size = size_of(measurement.y);
  else
    throw Error("prior.tile.size",
                "the measurement does not tell how large x is; size = [height, width] is meant");
  return prior;
}

LoadedPrior tiled(const LoadedPrior& prior, const TileConfig& config, const RunContext& context) {
  if (prior.denoiser == nullptr)
    throw Error("prior.tile", prior.description + ": this family has no denoiser");
  if (config.size.size() != 2)
    throw Error("prior.tile.size",
                fmt::format("{} numbers, but [height, width] is meant", config.size.size()));
  const Shape shape = prior.denoiser->shape();
  TileOptions options;
  if (shape.size() == 3) options.overlap = config.overlap.value_or(std::min(shape[1], shape[2]) / 4);
  options.together = config.together.value_or(rows_together(shape, context.device));
  // A network keeps for its derivative some hundred times what its input takes, and each thread has its own.
  const int64_t threads = context.threads > 0 ? context.threads : available_cores();
  if (context.memory > 0) options.keep_bytes = context.memory / 256 / threads;
  const auto wrap = [options, size = config.size](std::shared_ptr<const Denoiser> tile) {
    return std::make_shared<TiledDenoiser>(std::move(tile), size[0], size[1], options);
  };
  LoadedPrior result = prior;
  const auto denoiser = wrap(prior.denoiser);
  result.denoiser = denoiser;
  result.generative = nullptr;
  result.analytic = nullptr;
  result.gaussian = nullptr;
  if (prior.given) {
    result.given = nullptr;  // a label for each row would have to follow its windows
    result.classes = 0;
  }
  // As many rows as take the room of 16 windows
  result.slice_rows = std::max<int64_t>(1, 16 * product(shape) / product(denoiser->shape()));
  result.description += fmt::format(", in {} windows of {} x {} on {} x {}", denoiser->windows(), shape[1],
                                    shape[2], config.size[0], config.size[1]);
  return result;
}

}  // namespace tweedie
