#include "cli.h"

namespace tweedie::cli {

void add_likelihood(CLI::App& app, Shared& shared, Action& action) {
  CLI::App* command =
      app.add_subcommand("likelihood", "log p of data under a model: MODEL DATA.npy -> RUN/log_prob.npy");
  struct Flags {
    LikelihoodRequest request;
    std::string divergence = "exact";
  };
  const auto flags = std::make_shared<Flags>();
  LikelihoodRequest* request = &flags->request;
  FlowDensityOptions& flow = request->flow;
  command->add_option("model", request->model, ".safetensors, TorchScript .pt or .toml")
      ->required()
      ->type_name("MODEL");
  command->add_option("data", request->data, "(B, *shape) or (*shape)")->required()->type_name("DATA.npy");
  command
      ->add_option("--sigma-min", request->sigma_min,
                   "the density is that of x + sigma_min n (0.002; with --exact 0)")
      ->type_name("S");
  auto* exact = command->add_flag("--exact", request->exact, "the closed form of an analytic prior");
  command->add_option("--sigma-max", flow.sigma_max, "level at which the density is known (80)")
      ->type_name("S")
      ->excludes(exact);
  command
      ->add_option("--tolerance", flow.tolerance,
                   "error of a step: of x relative to its size, of log p in nats per dimension (1e-5)")
      ->type_name("X")
      ->excludes(exact);
  auto* divergence =
      command->add_option("--divergence", flags->divergence, "exact (d vjps an evaluation) or hutchinson")
          ->check(CLI::IsMember({"exact", "hutchinson"}))
          ->type_name("KIND")
          ->excludes(exact);
  command->add_option("--probes", flow.probes, "of hutchinson; 2 or more give a standard error (1)")
      ->type_name("N")
      ->needs(divergence);
  command->callback([=, &shared, &action] {
    action = [=, &shared] {
      LikelihoodRequest& request = flags->request;
      request.seed = shared.seed.value_or(0);
      if (flags->divergence == "hutchinson") request.flow.divergence = Divergence::hutchinson;
      const RunContext context = shared.context("out/likelihood");
      const Summary summary = shared.services().likelihood(request, context);
      auto lines =
          lines_of(summary, {"prior", "rows", "sigma_min", "log_prob_mean", "log_prob_standard_error",
                             "bits_per_dimension", "network_evaluations", "seconds"});
      lines.push_back("-> " + (context.out / "log_prob.npy").string());
      print(shared, summary, lines);
      return 0;
    };
  });
}

}  // namespace tweedie::cli
