#include "cli.h"
#include "io/config.h"
#include "progress_line.h"

namespace tweedie::cli {

void add_calibrate(CLI::App& app, Shared& shared, Action& action) {
  CLI::App* command = app.add_subcommand(
      "calibrate",
      "does a method draw from p(x | y), over many simulated problems? CONFIG.toml -> RUN/ranks.npy, "
      "coverage.npy; exit status 1: no");
  const auto config = std::make_shared<std::string>();
  command->add_option("config", *config, "the config")->required()->type_name("CONFIG.toml");
  add_keys(*command, help_fields<CalibrateConfig>());
  command->callback([=, &shared, &action] {
    action = [=, &shared] {
      const auto options = Config::read(*config, shared.overrides()).as<CalibrateConfig>();
      const RunContext context = shared.context("out/calibrate");
      const Calibration calibration = shared.services().calibrate(options, context);
      end_progress_line();
      auto lines = lines_of(calibration.summary, {"method", "prior", "simulations", "draws", "steps",
                                                  "network_evaluations", "network_vjps", "seconds"});
      for (const std::string& line : lines_of(calibration.findings)) lines.push_back(line);
      lines.push_back(calibration.summary["verdict"].get<std::string>());
      lines.push_back("-> " + context.out.string());
      print(shared, calibration.summary, lines);
      return calibration.calibrated ? 0 : 1;
    };
  });
}

}  // namespace tweedie::cli
