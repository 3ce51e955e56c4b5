#include "cli.h"

namespace tweedie::cli {

void add_denoise(CLI::App& app, Shared& shared, Action& action) {
  CLI::App* command =
      app.add_subcommand("denoise", "D(x; sigma) = E[x_0 | x]: MODEL X.npy -> RUN/denoised.npy");
  struct Flags {
    std::string model, x, vjp;
    double sigma = 0;
  };
  const auto flags = std::make_shared<Flags>();
  command->add_option("model", flags->model, ".safetensors, TorchScript .pt or .toml")
      ->required()
      ->type_name("MODEL");
  command->add_option("x", flags->x, "(B, *shape) or (*shape)")->required()->type_name("X.npy");
  command->add_option("--sigma", flags->sigma, "noise level, in the units of the data")
      ->required()
      ->type_name("S");
  command->add_option("--vjp", flags->vjp, "v, for RUN/vjp.npy = (dD/dx)^T v")->type_name("V.npy");
  command->callback([=, &shared, &action] {
    action = [=, &shared] {
      const RunContext context = shared.context("out/denoise");
      const Summary summary =
          shared.services().denoise(flags->model, flags->x, flags->sigma, flags->vjp, context);
      auto lines = lines_of(summary, {"prior", "sigma", "rows"});
      lines.push_back("-> " + (context.out / "denoised.npy").string());
      print(shared, summary, lines);
      return 0;
    };
  });
}

}  // namespace tweedie::cli
