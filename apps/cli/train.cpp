#include "cli.h"
#include "io/config.h"
#include "progress_line.h"

#include <iostream>

namespace tweedie::cli {

void add_train(CLI::App& app, Shared& shared, Action& action) {
  CLI::App* command =
      app.add_subcommand("train", "learn a distribution from data: CONFIG.toml -> RUN/model.safetensors");
  const auto config = std::make_shared<std::string>();
  const auto resume = std::make_shared<bool>(false);
  command->add_option("config", *config, "the config")->required()->type_name("CONFIG.toml");
  command->add_flag("--resume", *resume, "continue the checkpoint in --out");
  add_keys(*command, help_fields<TrainConfig>());
  command->callback([=, &shared, &action] {
    action = [=, &shared] {
      const auto options = Config::read(*config, shared.overrides()).as<TrainConfig>();
      const RunContext context = shared.context("out/train");
      const TrainOutcome outcome = shared.services().train(options, context, *resume);
      end_progress_line();
      if (!outcome.finished) {
        std::cerr << fmt::format(
            "tweedie: interrupted at step {} of {}, saved; continue with --resume --out {}\n",
            outcome.summary["steps"].get<int64_t>(), outcome.summary["total_steps"].get<int64_t>(),
            context.out.string());
        return 130;
      }
      auto lines =
          lines_of(outcome.summary, {"data", "weights", "components", "bic", "precision", "steps", "images",
                                     "loss", "log_likelihood", "validation_loss", "seconds"});
      const bool mixture = std::holds_alternative<MixtureFitConfig>(options.model);
      lines.push_back("-> " + (context.out / (mixture ? "model.toml" : "model.safetensors")).string());
      print(shared, outcome.summary, lines);
      return 0;
    };
  });
}

}  // namespace tweedie::cli
