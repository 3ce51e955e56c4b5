#include "cli.h"

namespace tweedie::cli {

void add_reconstruct(CLI::App& app, Shared& shared, Action& action) {
  CLI::App* command = app.add_subcommand(
      "reconstruct", "E[hidden patches | visible ones]: MODEL X.npy -> RUN/reconstructed.npy");
  const auto request = std::make_shared<ReconstructRequest>();
  command->add_option("model", request->model, "a masked autoencoder of `tweedie train`")
      ->required()
      ->type_name("MODEL");
  command->add_option("x", request->x, "(N, *shape) or (*shape)")->required()->type_name("X.npy");
  CLI::Option* hidden =
      command
          ->add_option("--hidden", request->hidden, "(patches) or (N, patches), row by row: 1 where hidden")
          ->type_name("MASK.npy");
  command->add_option("--fraction", request->fraction, "of each row's patches to hide at random (0.75)")
      ->type_name("F")
      ->excludes(hidden);
  command->callback([=, &shared, &action] {
    action = [=, &shared] {
      request->seed = shared.seed.value_or(0);
      const RunContext context = shared.context("out/reconstruct");
      const Summary summary = shared.services().reconstruct(*request, context);
      auto lines = lines_of(summary, {"model", "rows", "hidden_share", "mse_hidden", "variance_hidden"});
      lines.push_back("-> " + (context.out / "reconstructed.npy").string());
      print(shared, summary, lines);
      return 0;
    };
  });
}

}  // namespace tweedie::cli
