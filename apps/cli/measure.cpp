#include "cli.h"
#include "io/config.h"

namespace tweedie::cli {

void add_measure(CLI::App& app, Shared& shared, Action& action) {
  CLI::App* command =
      app.add_subcommand("measure", "simulate y = A x + noise: CONFIG.toml -> RUN/y.npy, x.npy");
  const auto config = std::make_shared<std::string>();
  command->add_option("config", *config, "the config")->required()->type_name("CONFIG.toml");
  add_keys(*command, help_fields<MeasureConfig>());
  command->callback([=, &shared, &action] {
    action = [=, &shared] {
      const auto options = Config::read(*config, shared.overrides()).as<MeasureConfig>();
      const RunContext context = shared.context("out/measure");
      const Summary summary = shared.services().measure(options, context);
      auto lines = lines_of(summary, {"cases", "shape", "measurements", "noise_std"});
      lines.push_back("-> " + (context.out / "y.npy").string());
      print(shared, summary, lines);
      return 0;
    };
  });
}

}  // namespace tweedie::cli
