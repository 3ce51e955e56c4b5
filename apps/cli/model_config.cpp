#include "model_config.h"

#include "io/config.h"

#include <fmt/ranges.h>

namespace tweedie::cli {

namespace {

// A .toml is a [prior], perhaps with more: the run.toml of an earlier sample is one.
Config read_config(const std::filesystem::path& model, const std::vector<std::string>& overrides) {
  if (model.extension() == ".toml") return Config::read(model, overrides);
  const std::string text = "[prior]\nmodel = " + to_toml(prior_of(model).model.string()) + "\n";
  return Config::parse(text, "command line", overrides, std::filesystem::current_path());
}

}  // namespace

void add_model(CLI::App& command, DrawFlags& flags, const std::string& count) {
  command.add_option("model", flags.model, ".safetensors, TorchScript .pt or .toml")
      ->required()
      ->type_name("MODEL");
  command.add_option("--count", flags.count, "number of draws (" + count + ")")->type_name("N");
  command
      .add_option(
          "--sampler", flags.sampler,
          "heun, euler, dpm-solver-2m, ddim, ddpm, predictor-corrector, annealed-langevin, ula or mala")
      ->type_name("KIND");
  command.add_option("--steps", flags.steps, "from the first noise level to none (32)")->type_name("N");
  command.add_option("--eta", flags.eta, "of ddim and predictor-corrector: 0 ODE, 1 ancestral")
      ->type_name("X");
  command.add_option("--class", flags.labels, "label of the draws; several are taken in turn")
      ->type_name("K")
      ->allow_extra_args(false);
  command.add_option("--guidance", flags.guidance, "scale of classifier-free guidance; 1: p(x | class)")
      ->type_name("GAMMA");
  command.add_option("--schedule", flags.schedule, "karras, vp-linear, vp-scaled-linear, cosine, ve or flow")
      ->type_name("KIND");
}

SampleConfig sample_config(const DrawFlags& flags, const std::vector<std::string>& more) {
  std::vector<std::string> overrides;
  const auto set = [&](const char* key, const auto& value) {
    overrides.push_back(fmt::format("{}={}", key, value));
  };
  if (!flags.sampler.empty()) set("sampler.kind", flags.sampler);
  if (flags.steps) set("sampler.steps", *flags.steps);
  if (flags.eta) set("sampler.eta", *flags.eta);
  if (!flags.schedule.empty()) set("schedule.kind", flags.schedule);
  if (flags.count) set("count", *flags.count);
  if (!flags.labels.empty()) set("labels", fmt::format("[{}]", fmt::join(flags.labels, ",")));
  if (flags.guidance) {
    set("prior.guidance.kind", "cfg");
    set("prior.guidance.scale", *flags.guidance);
  }
  overrides.insert(overrides.end(), more.begin(), more.end());
  return read_config(flags.model, overrides).as<SampleConfig>();
}

}  // namespace tweedie::cli
