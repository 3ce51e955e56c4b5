#include "cli.h"
#include "io/config.h"
#include "model_config.h"

namespace tweedie::cli {

void add_sample(CLI::App& app, Shared& shared, Action& action) {
  CLI::App* command = app.add_subcommand("sample", "draw from a model: MODEL -> RUN/samples.npy");
  const auto flags = std::make_shared<DrawFlags>();
  add_model(*command, *flags, /*count=*/"64");
  add_keys(*command, help_fields<SampleConfig>());
  command->callback([=, &shared, &action] {
    action = [=, &shared] {
      const SampleConfig config = sample_config(*flags, shared.overrides());
      const RunContext context = shared.context("out/sample");
      const Summary summary = shared.services().sample(config, context);
      auto lines =
          lines_of(summary, {"prior", "draws", "steps", "network_evaluations", "acceptance_rate", "seconds"});
      lines.push_back("-> " + (context.out / "samples.npy").string() + ", " +
                      (context.out / "figure.png").string());
      print(shared, summary, lines);
      return 0;
    };
  });
}

}  // namespace tweedie::cli
