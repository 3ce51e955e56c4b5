#include "cli.h"
#include "tweedie/error.h"

namespace tweedie::cli {

void add_compare(CLI::App& app, Shared& shared, Action& action) {
  CLI::App* command = app.add_subcommand("compare", "distances between two sets of draws");
  struct Flags {
    std::string a, b;
    std::optional<double> tolerance;
  };
  const auto flags = std::make_shared<Flags>();
  command->add_option("a", flags->a, "draws, first axis the draws")->required()->type_name("A.npy");
  command->add_option("b", flags->b, "draws of the same shape")->required()->type_name("B.npy");
  command
      ->add_option("--tolerance", flags->tolerance,
                   "exit status 1 when the sliced Wasserstein distance is larger")
      ->type_name("X");
  command->callback([=, &shared, &action] {
    action = [=, &shared] {
      if (flags->tolerance && !(*flags->tolerance >= 0)) {
        throw Error("--tolerance", fmt::format("{}: a number >= 0 is meant", *flags->tolerance));
      }
      const ComparisonOutcome outcome =
          compare_files(flags->a, flags->b, flags->tolerance, shared.seed.value_or(0), shared.context(""));
      print(shared, outcome.summary,
            lines_of(outcome.summary,
                     {"draws", "dimension", "sliced_wasserstein", "sliced_wasserstein_floor",
                      "energy_distance", "energy_p_value", "mean_error", "mean_error_expected",
                      "covariance_error", "covariance_error_expected", "tolerance", "within_tolerance"}));
      return outcome.equal ? 0 : 1;
    };
  });
}

}  // namespace tweedie::cli
