#include "cli.h"

namespace tweedie::cli {

void add_convert(CLI::App& app, Shared& shared, Action& action) {
  CLI::App* command =
      app.add_subcommand("convert", "an array file in another format: IN OUT, by OUT's ending");
  const auto from = std::make_shared<std::string>(), to = std::make_shared<std::string>();
  command->add_option("in", *from, "any array that is read")->required()->type_name("IN");
  command->add_option("out", *to, ".npy, .png, .tif, .nii, .nii.gz, .h5, .cfl, .fits, .nc or .raw")
      ->required()
      ->type_name("OUT");
  command->callback([=, &shared, &action] {
    action = [=, &shared] {
      const Summary summary = shared.services().convert(*from, *to, shared.context(""));
      print(shared, summary,
            lines_of(summary, {"file", "format", "shape", "stored_dtype", "spacing", "orientation"}));
      return 0;
    };
  });
}

}  // namespace tweedie::cli
