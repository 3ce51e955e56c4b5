#include "run/evaluate.h"
#include "cli.h"
#include "io/config.h"
#include "model_config.h"

namespace tweedie::cli {

namespace {

// A data set by name: a .toml with a [data] table, such as the config of the training, or a file of samples.
DataOptions data_of(const std::string& name, const std::vector<std::string>& overrides) {
  std::vector<std::string> of_data;
  for (const std::string& text : overrides) {
    if (text.starts_with("data.")) of_data.push_back(text);
  }
  if (std::filesystem::path(name).extension() == ".toml")
    return Config::read(name, of_data).as<DataOptions>("data");
  const std::string text = "[data]\nfile = " + to_toml(std::filesystem::absolute(name).string()) + "\n";
  return Config::parse(text, "command line", of_data).as<DataOptions>("data");
}

}  // namespace

void add_evaluate(CLI::App& app, Shared& shared, Action& action) {
  CLI::App* command = app.add_subcommand(
      "evaluate", "a model against held-out data: MODEL DATA -> RUN/report.md, summary.json");
  struct Flags {
    DrawFlags draw;
    std::string data, train;
    EvaluateRequest request;
  };
  const auto flags = std::make_shared<Flags>();
  add_model(*command, flags->draw, /*count=*/"10000");
  command
      ->add_option("data", flags->data, "samples, or a .toml with [data]; --set data.KEY=VALUE overrides it")
      ->required()
      ->type_name("DATA");
  command->add_option("--train", flags->train, "what it was trained on, as DATA: finds copies of it")
      ->type_name("DATA");
  command
      ->add_option("--classifier", flags->request.classifier,
                   "an independent classifier of `tweedie train`: does it see the classes asked for?")
      ->type_name("MODEL");
  command
      ->add_option("--likelihood-rows", flags->request.likelihood_rows,
                   "rows of DATA for the likelihood (256)")
      ->type_name("N");
  command->callback([=, &shared, &action] {
    action = [=, &shared] {
      EvaluateRequest& request = flags->request;
      std::vector<std::string> of_model, of_data;
      for (const std::string& text : shared.overrides()) {
        (text.starts_with("data.") ? of_data : of_model).push_back(text);
      }
      if (!flags->draw.count) flags->draw.count = 10000;
      request.model = sample_config(flags->draw, of_model);
      request.data = data_of(flags->data, of_data);
      if (!flags->train.empty()) request.train = data_of(flags->train, {});
      const RunContext context = shared.context("out/evaluate");
      const Summary summary = shared.services().evaluate(request, context);
      auto lines =
          lines_of(summary, {"model", "draws", "data_rows", "sliced_wasserstein", "sliced_wasserstein_floor",
                             "rf_fd", "rf_fd_floor", "c2st", "log_likelihood_kind", "log_likelihood",
                             "log_likelihood_below_the_law", "bits_per_dimension", "classifier_accuracy",
                             "class_agreement", "memorised_share", "seconds"});
      lines.push_back("-> " + (context.out / "report.md").string());
      print(shared, summary, lines);
      return 0;
    };
  });
}

}  // namespace tweedie::cli
