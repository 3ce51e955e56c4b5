#include "cli.h"
#include "io/config.h"
#include "tweedie/error.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace tweedie::cli {

namespace {

Metric metric_named(const std::string& word) {
  static constexpr auto known = names(Metric{});
  const auto found = std::find(known.begin(), known.end(), word);
  if (found == known.end()) {
    throw Error("--metric", fmt::format("'{}' is not known{}", word,
                                        suggestion(word, {known.begin(), known.end()}, true)));
  }
  return static_cast<Metric>(found - known.begin());
}

}  // namespace

void add_compare(CLI::App& app, Shared& shared, Action& action) {
  CLI::App* command = app.add_subcommand("compare", "distances between two sets of draws");
  struct Flags {
    CompareRequest request;
    std::string a, b;
    std::optional<std::string> weights_a, weights_b;
    std::vector<std::string> metrics;
  };
  const auto flags = std::make_shared<Flags>();
  command->add_option("a", flags->a, "draws, first axis the draws")->required()->type_name("A.npy");
  command->add_option("b", flags->b, "draws of the same shape")->required()->type_name("B.npy");
  command
      ->add_option("--metric", flags->metrics,
                   fmt::format("one of {}; repeatable. By default sliced-w1, energy and the moments",
                               fmt::join(names(Metric{}), ", ")))
      ->type_name("NAME")
      ->allow_extra_args(false);
  command->add_flag("--floor", flags->request.floor,
                    "beside each distance what it is between random splits of both sets together");
  command->add_option("--weights-a", flags->weights_a, "log weights of A: one a draw")->type_name("FILE");
  command->add_option("--weights-b", flags->weights_b, "log weights of B: one a draw")->type_name("FILE");
  command
      ->add_option("--range", flags->request.range, "width of the values, for psnr and ssim; by default B's")
      ->type_name("X");
  command
      ->add_option("--tolerance", flags->request.tolerance,
                   "exit status 1 when the sliced Wasserstein distance is larger")
      ->type_name("X");
  command->callback([=, &shared, &action] {
    action = [=, &shared] {
      CompareRequest request = flags->request;
      request.a = flags->a;
      request.b = flags->b;
      if (flags->weights_a) request.weights_a = *flags->weights_a;
      if (flags->weights_b) request.weights_b = *flags->weights_b;
      for (const std::string& word : flags->metrics) request.metrics.push_back(metric_named(word));
      if (request.tolerance && !(*request.tolerance >= 0)) {
        throw Error("--tolerance", fmt::format("{}: a number >= 0 is meant", *request.tolerance));
      }
      if (request.range && !(*request.range > 0 && std::isfinite(*request.range))) {
        throw Error("--range", fmt::format("{}: a finite number above 0 is meant", *request.range));
      }
      const ComparisonOutcome outcome =
          shared.services().compare_files(request, shared.seed.value_or(0), shared.context(""));
      print(shared, outcome.summary, lines_of(outcome.summary, outcome.results));
      return outcome.equal ? 0 : 1;
    };
  });
}

}  // namespace tweedie::cli
