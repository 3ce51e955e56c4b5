// tweedie train: RUN/model.safetensors, checkpoint.safetensors, log.jsonl, previews/, run.toml,
// figure.png, summary.json.

#include "core/shape.h"
#include "io/atomic_file.h"
#include "io/config.h"
#include "io/image.h"
#include "io/run_folder.h"
#include "run/learned.h"
#include "run/lesson.h"
#include "run/services.h"
#include "run/train_figure.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <fstream>

namespace tweedie {

namespace {

constexpr double log_seconds = 1;

// Lines of log.jsonl up to the given step; what lies beyond a checkpoint is written again by whoever resumes
// it.
std::vector<nlohmann::json> read_log(const std::filesystem::path& path, int64_t last_step) {
  std::vector<nlohmann::json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const auto entry = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    const auto number = [&](const char* name) {
      return entry.is_object() && entry.contains(name) && entry[name].is_number();
    };
    if (number("step") && (number("loss") || number("validation_loss")) && entry["step"] <= last_step)
      lines.push_back(entry);
  }
  return lines;
}

// Noise levels, of training and of schedules, are in the units of the data; their defaults are the
// literature's, for data of standard deviation 0.5 about 0. Draws start at N(0, sigma_max^2), so that a mean
// m leaves them some m / sigma_max standard deviations off.
std::vector<std::string> scale_warnings(const DataScale& scale, double sigma_data) {
  std::vector<std::string> result;
  if (sigma_data < 0.05 || sigma_data > 10) {
    result.push_back(fmt::format(
        "the data's standard deviation is {:.3g}, but the default noise levels are for data of about 0.5: "
        "scale the data, or set the objective's levels and, when drawing, schedule.sigma_min and sigma_max",
        sigma_data));
  }
  if (std::abs(scale.mean) > 5 * scale.std) {
    result.push_back(
        fmt::format("the data's mean, {:.3g}, is {:.3g} of their standard deviations from 0, where draws "
                    "start and networks expect it: subtract it from the data",
                    scale.mean, std::abs(scale.mean) / scale.std));
  }
  return result;
}

// The exact trace takes as many derivatives as a row has numbers.
std::optional<std::string> trace_warning(const Objective& objective, int64_t dimension) {
  constexpr int64_t many = 64;
  if (!std::holds_alternative<IsmObjective>(objective) || dimension <= many) return {};
  return fmt::format("ism took {} derivatives a row in each step: ssm takes one, with the same minimiser",
                     dimension);
}

}  // namespace

TrainOutcome train(const TrainConfig& given, const RunContext& context, bool resume) {
  const Stopwatch watch;
  const Dataset data = load_dataset(given.data);
  if (data.x.dim() < 2) throw Error(data.name, "a list of numbers; (N, *shape) with N samples is needed");
  const Shape shape(data.x.sizes().begin() + 1, data.x.sizes().end());
  if (const auto* mixture = std::get_if<MixtureFitConfig>(&given.model)) {
    if (resume) throw Error("--resume", "EM takes seconds and keeps no checkpoint: leave --resume out");
    TrainTable none;
    none.has_objective = given.train.has_objective;
    if (write_fields(given.train) != write_fields(none))
      throw Error("train",
                  "EM has none of its options: leave them out for model.kind = \"gaussian-mixture\"");
    return {fit_mixture_model(*mixture, given, data, context), true};
  }
  TrainConfig config = given;  // with the precision that --dtype asks for, so that run.toml has it
  if (context.precision != Precision::automatic) config.train.options.precision = context.precision;
  const TrainOptions& options = config.train.options;
  ModelCard card{.model = config.model,
                 .network = config.network,
                 .shape = shape,
                 .low = data.low,
                 .high = data.high,
                 .data = data.name,
                 .data_crc = data.crc,
                 .seed = config.seed};
  const Lesson lesson = make_lesson(config, data, card, context);
  const std::shared_ptr<const Trainable>& model = lesson.model;
  limit_kept_memory(context.memory);
  Trainer trainer(model, lesson.rows, data.labels, options, config.seed, context.threads, context.device);
  const std::string training = write_fields(config);
  // What else a resumed run must have in common
  const std::string source =
      fmt::format("# data of CRC-32 {:08x}, first stage {:08x}\n", data.crc, lesson.first_stage_crc);

  const auto checkpoint_path = context.out / "checkpoint.safetensors";
  std::optional<RunFolder> folder;
  std::vector<nlohmann::json> log;
  if (resume) {
    Checkpoint checkpoint = read_checkpoint(checkpoint_path);
    if (checkpoint.training != training + source) {
      throw Error(
          checkpoint_path.string(),
          "belongs to another config or to other data: see run.toml beside it for the one to resume with");
    }
    trainer.restore(std::move(checkpoint.state));
    log = read_log(context.out / "log.jsonl", trainer.state().step);
    remove_temporaries(context.out);
    remove_temporaries(context.out / "previews");
  } else {
    folder.emplace(context.out, context.force, RunMode::live);
  }
  write_atomically(context.out / "run.toml", provenance("train") + training);
  std::string log_so_far;
  for (const auto& line : log) log_so_far += line.dump() + "\n";
  write_atomically(context.out / "log.jsonl", log_so_far);
  std::ofstream log_file(context.out / "log.jsonl", std::ios::app);

  const auto save = [&] { write_checkpoint(checkpoint_path, {trainer.state(), training + source}); };
  if (!resume) save();
  double last_log = watch.seconds(), last_save = last_log;
  const auto write_line = [&](nlohmann::json line) {
    log.push_back(std::move(line));
    log_file << log.back().dump() << std::endl;
    if (!log_file) throw Error((context.out / "log.jsonl").string(), "cannot be written: is the disk full?");
  };
  std::vector<std::string> without_preview;
  bool steps_kept = config.train.options.steps.has_value() || resume;
  size_t looks = trainer.state().validations.size();
  const bool finished = trainer.run([&](const Progress& progress) {
    const double seconds = watch.seconds();
    if (seconds - last_log >= log_seconds || progress.done == progress.total || progress.done == 1) {
      last_log = seconds;
      write_line({{"step", progress.done},
                  {"images", progress.done * options.batch},
                  {"loss", progress.loss},
                  {"gradient_norm", progress.gradient_norm},
                  {"learning_rate", progress.learning_rate},
                  {"images_per_second", progress.rows_per_second},
                  {"seconds", seconds}});
    }
    for (; looks < trainer.state().validations.size(); ++looks) {
      const Validation& seen = trainer.state().validations[looks];
      write_line(
          {{"step", seen.step}, {"validation_loss", seen.loss}, {"validation_loss_by_level", seen.by_level}});
    }
    if (is_preview(progress.done, progress.total)) {
      try {
        write_preview(context.out, progress.done,
                      learned_prior(card, lesson.whole(trainer.result()), context), config.seed, context);
      } catch (const Error& error) {  // such as chains that diverge while the model is half trained
        without_preview.push_back(
            fmt::format("no draws could be looked at after step {}: {}", progress.done, error.what()));
      }
    }
    if (!steps_kept || seconds - last_save >= config.checkpoint_seconds) {
      steps_kept = true;  // the measured number of steps is part of what a resumed run must have
      save();
      last_save = watch.seconds();
    }
    return context.observer ? context.observer(progress) : Control::proceed;
  });
  save();

  const TrainState& state = trainer.state();
  TrainOutcome outcome{start_summary("train", config.seed, context), finished};
  Summary& summary = outcome.summary;
  summary["data"] = data.name;
  summary["weights"] = state.weights.count();
  summary["precision"] = trainer.dtype() == at::kBFloat16 ? "bf16" : "f32";
  summary["steps"] = state.step;
  summary["total_steps"] = state.total_steps;
  summary["images"] = state.step * options.batch;
  summary["sigma_data"] = card.sigma_data;
  if (!state.validations.empty()) summary["validation_loss"] = state.validations.back().loss;
  if (options.precision == Precision::bf16 && trainer.dtype() != at::kBFloat16)
    summary["warnings"].push_back(
        "bf16 was asked for, but this processor does not multiply it: f32 was used");
  add_warnings(summary, without_preview);
  if (std::holds_alternative<DiffusionOptions>(config.model)) {
    add_warnings(summary, scale_warnings(data_scale(data.x), card.sigma_data));
  }
  if (takes_network(config.model)) {
    if (const auto warning = trace_warning(config.train.objective, product(model->shape())))
      summary["warnings"].push_back(*warning);
  }
  for (const auto& line : log) {
    if (line.contains("loss")) summary["loss"] = line["loss"];
  }
  if (finished) {
    card.steps = state.step;
    write_model(context.out / "model.safetensors", {card, lesson.whole(trainer.result()), training},
                config.half ? at::kHalf : at::kFloat);
    TrainingPictures pictures{.title = "Training on " + data.name,
                              .log = log,
                              .levels = model->levels(),
                              .low = data.low,
                              .high = data.high};
    pictures.previews = read_previews(context.out);
    const Figure figure = training_figure(pictures);
    if (!figure.has_words) summary["warnings"].push_back("no font was found: the figure has no words");
    write_png(context.out / "figure.png", figure.image);
  }
  finish_summary(summary, watch);
  write_atomically(context.out / "summary.json", summary.dump(2) + "\n");
  if (folder) folder->commit();
  return outcome;
}

}  // namespace tweedie
