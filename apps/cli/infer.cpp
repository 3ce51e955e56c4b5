#include "cli.h"
#include "io/config.h"

namespace tweedie::cli {

void add_infer(CLI::App& app, Shared& shared, Action& action) {
  CLI::App* command =
      app.add_subcommand("infer", "draw from p(x | y): CONFIG.toml -> RUN/samples.npy, mean.npy, std.npy");
  const auto config = std::make_shared<std::string>();
  command->add_option("config", *config, "the config")->required()->type_name("CONFIG.toml");
  add_keys(*command, help_fields<InferConfig>());
  command->callback([=, &shared, &action] {
    action = [=, &shared] {
      const auto options = Config::read(*config, shared.overrides()).as<InferConfig>();
      const RunContext context = shared.context("out/infer");
      const Summary summary = shared.services().infer(options, context);
      auto lines = lines_of(summary, {"method", "prior", "cases", "draws", "steps", "network_evaluations",
                                      "network_vjps", "residual_chi2", "residual_p_value", "log_evidence",
                                      "psnr", "psnr_single_draw", "ssim", "coverage_90", "seconds"});
      lines.push_back("-> " + context.out.string() + "; next: tweedie diagnose " + context.out.string());
      print(shared, summary, lines);
      return 0;
    };
  });
}

}  // namespace tweedie::cli
