#include "cli.h"
#include "progress_line.h"
#include "tweedie/error.h"

namespace tweedie::cli {

void add_certify(CLI::App& app, Shared& shared, Action& action) {
  CLI::App* command = app.add_subcommand(
      "certify",
      "every method on problems whose posterior is known: one table; exit status 1: a promise is not kept");
  struct Flags {
    bool full = false, mixture = false;
    std::optional<int64_t> evaluations, draws, cases, problems;
    std::vector<std::string> methods, rungs;
  };
  const auto flags = std::make_shared<Flags>();
  command->add_flag("--full", flags->full,
                    "256 evaluations, 500 draws, 4 cases (else 128, 400, 2), and the mixture benchmark");
  command->add_flag("--mixture", flags->mixture, "the mixture benchmark alone, without the ladder");
  command->add_option("--problems", flags->problems, "of each cell of the mixture benchmark (20)")
      ->type_name("N");
  command->add_option("--evaluations", flags->evaluations, "of the network, for each draw")->type_name("N");
  command->add_option("--draws", flags->draws, "for each case")->type_name("N");
  command->add_option("--cases", flags->cases, "measurements of each rung")->type_name("N");
  command->add_option("--method", flags->methods, "only this one; repeatable")
      ->type_name("KIND")
      ->allow_extra_args(false);
  command->add_option("--rung", flags->rungs, "only this one; repeatable")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command->callback([=, &shared, &action] {
    action = [=, &shared] {
      CertifyOptions options;
      if (flags->full) options = {.evaluations = 256, .draws = 500, .cases = 4};
      options.evaluations = flags->evaluations.value_or(options.evaluations);
      options.draws = flags->draws.value_or(options.draws);
      options.cases = flags->cases.value_or(options.cases);
      if (flags->full || flags->mixture) {
        options.mixture.emplace();
        options.mixture->problems = flags->problems.value_or(options.mixture->problems);
        if (options.mixture->problems < 1)
          throw Error("--problems", fmt::format("{}: at least 1 is needed", options.mixture->problems));
        options.ladder = !flags->mixture;
      }
      options.seed = shared.seed.value_or(options.seed);
      options.methods = flags->methods;
      options.rungs = flags->rungs;
      const RunContext context = shared.context("out/certify");
      const Certificate certificate = shared.services().certify(options, context);
      end_progress_line();
      print(
          shared, certificate.summary,
          {certificate.text, certificate.kept ? "Every method keeps its promise." : "A promise is not kept.",
           "-> " + (context.out / "certificate.md").string()});
      return certificate.kept ? 0 : 1;
    };
  });
}

}  // namespace tweedie::cli
