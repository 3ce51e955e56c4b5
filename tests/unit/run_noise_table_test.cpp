// Which method takes which noise: the table in docs/noise.md against what the methods do.
#include "run/configs.h"
#include "run/method.h"
#include "tweedie/operators.h"

#include "check_tensor.h"

#include <fstream>
#include <map>
#include <sstream>

namespace tweedie {
namespace {

// Cells of the table whose first column is `method`, by row and column name
std::map<std::string, std::map<std::string, std::string>> table_of(const std::string& file) {
  std::ifstream in(std::string(TWEEDIE_SOURCE_DIR) + "/" + file);
  std::map<std::string, std::map<std::string, std::string>> table;
  std::vector<std::string> columns;
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("| ", 0) != 0) {
      if (line.rfind("|--", 0) != 0) columns.clear();
      continue;
    }
    std::vector<std::string> cells;
    std::istringstream words(line.substr(1));
    for (std::string cell; std::getline(words, cell, '|');) {
      const auto first = cell.find_first_not_of(' '), last = cell.find_last_not_of(' ');
      cells.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
    }
    if (cells[0] == "method") {
      columns = cells;
    } else if (!columns.empty()) {
      for (size_t i = 1; i < cells.size(); ++i) table[cells[0]][columns.at(i)] = cells[i];
    }
  }
  return table;
}

template <size_t... I>
std::vector<MethodConfig> every_method(std::index_sequence<I...>) {
  using Rule = decltype(MethodConfig::rule);
  std::vector<MethodConfig> all(sizeof...(I));
  (all[I].rule.emplace<I>(), ...);
  static_assert(sizeof...(I) == std::variant_size_v<Rule>);
  return all;
}

TEST(NoiseTable, IsWhatTheMethodsDo) {
  const auto prior = std::make_shared<GaussianPrior>(
      GaussianPrior::diagonal(at::full({2}, 2, at::kDouble), at::ones({2}, at::kDouble)));
  const auto forward = make_mask(at::ones({2}, at::kBool));
  const Counting counting{.gain = 2, .background = at::scalar_tensor(1.0, at::kDouble)};
  const std::map<std::string, NoiseModelPtr> noises{
      {"gaussian", make_gaussian_noise(0.5)},
      {"std_file, covariance", make_correlated_noise(random_covariance(2, 1), {2})},
      {"poisson", make_poisson_noise(counting)},
      {"poisson-gaussian", make_poisson_gaussian_noise(counting, 1)},
      {"laplace", make_laplace_noise(0.5)},
      {"student", make_student_noise(3, 0.5)},
      {"bernoulli", make_bernoulli_noise({.threshold = 2})}};
  const auto table = table_of("docs/noise.md");
  auto methods = every_method(std::make_index_sequence<std::variant_size_v<decltype(MethodConfig::rule)>>{});
  std::erase_if(methods, is_point_estimate);  // docs/classical.md has those
  EXPECT_EQ(table.size(), methods.size());
  for (const MethodConfig& method : methods) {
    const std::string name = name_of(method);
    for (const auto& [noise, model] : noises) {
      const Likelihood likelihood(forward, model);
      Noise measured(2);
      const Problem problem{prior, likelihood,
                            likelihood.simulate(at::full({1, 2}, 2, at::kDouble), measured)};
      std::string answer = "yes";
      try {
        make_method(method, SamplerConfig{}, Karras{.sigma_min = 0.1, .sigma_max = 5}, 2,
                    {.threads = 1, .dtype = at::kDouble})
            ->sample(problem, 2, Noise(1), {});
      } catch (const Error& e) {
        answer = "-";
        EXPECT_EQ(e.place(), "method.kind") << e.what();
        EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos);
      }
      ASSERT_TRUE(table.contains(name)) << name;
      EXPECT_EQ(table.at(name).at(noise), answer) << name << ", " << noise;
    }
  }
}

}  // namespace
}  // namespace tweedie
