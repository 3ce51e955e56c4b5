#include "run/info.h"
#include "cli.h"

namespace tweedie::cli {

void add_info(CLI::App& app, Shared& shared, Action& action) {
  CLI::App* command = app.add_subcommand("info", "what a model, checkpoint or array file holds");
  const auto file = std::make_shared<std::string>();
  command->add_option("file", *file, ".safetensors, .toml, .pt, .npy, ...")->required()->type_name("FILE");
  command->callback([=, &shared, &action] {
    action = [=, &shared] {
      std::optional<Summary> known = info_by_reading(*file);
      const Summary summary = known ? *std::move(known) : shared.services().info(*file);
      std::vector<std::string> names, texts;
      for (const auto& [name, value] : summary.items())
        (name == "model" || name == "training" ? texts : names).push_back(name);
      auto lines = lines_of(summary, names);
      for (const std::string& name : texts) {
        lines.push_back("");
        lines.push_back("# " + name);
        lines.push_back(summary[name].get<std::string>());
      }
      print(shared, summary, lines);
      return 0;
    };
  });
}

}  // namespace tweedie::cli
