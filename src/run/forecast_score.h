#pragma once
// Scores of a forecast's cases and leads, and of what it is compared with.

#include "run/context.h"
#include "run/forecast_field.h"
#include "tweedie/forecast_scores.h"

namespace tweedie {

// All (cases, leads) float64; NaN where a score does not exist
struct Scores {
  Tensor square_error, correlation, crps;
  Tensor expected;  // square error, by the members
};

struct Baseline {
  std::string name;
  Tensor forecast;  // (cases, leads, *field)
  Scores scores;
};

class ForecastJudge {
 public:
  // state: last known one of each case, (cases, *state), the persistence; undefined where it is not the field
  ForecastJudge(const ScoreOptions& options, const FieldMap& map, const Tensor& state, int64_t cases,
                int64_t leads, int64_t members);

  // Scores members (members, *field) and their mean of one case and lead, both from 0, and the baselines.
  // Calls for different ones may be concurrent.
  void take(const Tensor& members, const Tensor& mean, int64_t c, int64_t lead, const Noise& noise);

  // "leads": the scores of each; "baselines": those of others, with the skill of ours against them
  void describe(Summary& summary) const;
  std::vector<Finding> findings() const;
  // The RMSE of each, with its name, and the one that the members expect: (leads) each
  std::vector<std::pair<std::string, Tensor>> curves() const;

 private:
  Scores none() const;
  void score(Scores& scores, const Tensor& forecast, int64_t c, int64_t lead) const;
  Summary describe(const Scores& scores, int64_t lead) const;

  ScoreOptions options_;
  int64_t cases_, leads_, members_;
  Tensor truth_, climatology_, weight_;
  Scores ours_;
  Tensor shares_;  // (cases, leads, bins)
  std::vector<Baseline> baselines_;
};

}  // namespace tweedie
