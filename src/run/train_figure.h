#pragma once
// The picture of a training run: its losses, its loss by noise level, and draws as they improve.

#include "report/canvas.h"
#include "run/prior.h"

namespace tweedie {

struct Preview {
  int64_t step;
  Tensor draws;  // (n, *shape), of the same noise in each
};

struct TrainingPictures {
  std::string title;
  std::vector<nlohmann::json> log;  // lines of log.jsonl
  std::vector<double> levels;       // of the lines' validation_loss_by_level
  std::vector<Preview> previews;
  double low = -1, high = 1;  // range of the data
};

// Draws are looked at after 1/16, 1/8, 1/4, 1/2 and all of the steps.
bool is_preview(int64_t step, int64_t total);
// RUN/previews/STEP.npy; nothing for a model that has no draws
void write_preview(const std::filesystem::path& run, int64_t step, const LoadedPrior& model, uint64_t seed,
                   const RunContext& context);
std::vector<Preview> read_previews(const std::filesystem::path& run);

Figure training_figure(const TrainingPictures& pictures);

}  // namespace tweedie
