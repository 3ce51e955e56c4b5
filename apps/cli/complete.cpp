#include "cli.h"

namespace tweedie::cli {

void add_complete(CLI::App& app, Shared& shared, Action& action) {
  CLI::App* command = app.add_subcommand(
      "complete", "the matrix of low rank behind some of its entries: MATRIX.npy -> RUN/completed.npy");
  const auto request = std::make_shared<CompleteRequest>();
  CompletionOptions& options = request->options;
  command->add_option("matrix", request->matrix, "(m, n), NaN where nothing is known; .npy, .csv or an image")
      ->required()
      ->type_name("MATRIX");
  command->add_option("--mask", request->mask, "(m, n), not 0 where the matrix is known")->type_name("FILE");
  static const std::map<std::string, CompletionMethod> methods{{"svt", CompletionMethod::svt},
                                                               {"fista", CompletionMethod::fista},
                                                               {"admm", CompletionMethod::admm},
                                                               {"logdet", CompletionMethod::logdet},
                                                               {"robust", CompletionMethod::robust}};
  command
      ->add_option(
          "--method", options.method,
          "svt, fista, admm: the nuclear norm; logdet: less biased, not convex; robust: low rank + sparse "
          "(admm)")
      ->transform(CLI::CheckedTransformer(methods).description(""))
      ->type_name("NAME");
  auto* weight =
      command->add_option("--weight", options.weight, "of the norm; see docs/classical.md for each method's")
          ->type_name("X");
  command->add_option("--noise", options.noise_std, "standard deviation of the entries: chooses the weight")
      ->type_name("S")
      ->excludes(weight);
  command->add_option("--delta", options.delta, "of logdet's log(s + delta)")->type_name("X");
  command->add_option("--iterations", options.iterations, "at most (2000)")->type_name("N");
  command->add_option("--tolerance", options.tolerance, "residual at which it stops (1e-6)")->type_name("X");
  static const std::map<std::string, SvdKind> kinds{
      {"automatic", SvdKind::automatic}, {"full", SvdKind::full}, {"randomised", SvdKind::randomised}};
  command
      ->add_option("--svd", options.svd,
                   "full, randomised, or automatic: randomised for large matrices (automatic)")
      ->transform(CLI::CheckedTransformer(kinds).description(""))
      ->type_name("KIND");
  command->add_option("--truth", request->truth, "(m, n), only to score the result")->type_name("FILE");
  command->callback([=, &shared, &action] {
    action = [=, &shared] {
      request->seed = shared.seed.value_or(0);
      const RunContext context = shared.context("out/complete");
      const Summary summary = shared.services().complete(*request, context);
      auto lines = lines_of(
          summary, {"method", "observed", "weight", "rank", "iterations", "objective", "kkt_residual",
                    "observed_residual", "sparse_entries", "error", "held_out_error", "seconds"});
      lines.push_back("-> " + (context.out / "completed.npy").string());
      print(shared, summary, lines);
      return 0;
    };
  });
}

}  // namespace tweedie::cli
