#include "cli.h"
#include "progress_line.h"

namespace tweedie::cli {

void add_diagnose(CLI::App& app, Shared& shared, Action& action) {
  CLI::App* command =
      app.add_subcommand("diagnose", "can the draws of a RUN of infer be trusted? exit status 1: no");
  const auto run = std::make_shared<std::string>();
  command->add_option("run", *run, "folder that infer made")->required()->type_name("RUN");
  const auto reference = std::make_shared<std::optional<std::string>>();
  command
      ->add_option("--reference", *reference,
                   "rows of the kind that the prior was learned from: is x like them?")
      ->type_name("ROWS.npy");
  command->callback([=, &shared, &action] {
    action = [=, &shared] {
      const Diagnosis diagnosis = shared.services().diagnose(*run, *reference, shared.context(""));
      end_progress_line();
      auto lines = lines_of(diagnosis.findings);
      lines.push_back(diagnosis.verdict.sentence);
      print(shared, diagnosis.summary, lines);
      return diagnosis.verdict.trusted ? 0 : 1;
    };
  });
}

}  // namespace tweedie::cli
