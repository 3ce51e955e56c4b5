#include "run/forecast_score.h"

#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <limits>

namespace tweedie {

namespace {

// Means over blocks of cases that follow each other, (blocks, ...): what standard errors take as independent
Tensor blocks_of(const Tensor& values, int64_t block) {
  const int64_t cases = values.size(0), blocks = std::max<int64_t>(1, cases / block);
  std::vector<Tensor> means;
  for (int64_t b = 0; b < blocks; ++b)
    means.push_back(values.slice(0, b * cases / blocks, (b + 1) * cases / blocks).mean(0));
  return at::stack(means);
}

// Standard error of a mean over cases, NaN of one
double error_of(const Tensor& values, int64_t block) {
  const Tensor v = blocks_of(values, block);
  if (v.size(0) < 2) return std::numeric_limits<double>::quiet_NaN();
  return v.std().item<double>() / std::sqrt(static_cast<double>(v.size(0)));
}

void set(Summary& summary, const char* name, double value) {
  if (std::isfinite(value)) summary[name] = value;
}

// 1 - ours / theirs, and its standard error by the ratio's first order
void set_skill(Summary& summary, const std::string& name, const Tensor& ours, const Tensor& theirs,
               int64_t block) {
  const double a = ours.mean().item<double>(), b = theirs.mean().item<double>();
  if (!(b > 0 && std::isfinite(a))) return;
  summary[name] = 1 - a / b;
  set(summary, (name + "_standard_error").c_str(), error_of(ours - theirs * (a / b), block) / b);
}

Summary numbers(const Tensor& values) {
  Summary list = Summary::array();
  for (int64_t i = 0; i < values.size(0); ++i) list.push_back(values[i].item<double>());
  return list;
}

}  // namespace

ForecastJudge::ForecastJudge(const ScoreOptions& options, const FieldMap& map, const Tensor& state,
                             int64_t cases, int64_t leads, int64_t members)
    : options_(options), cases_(cases), leads_(leads), members_(members) {
  const Shape& field = map.shape();
  truth_ = read_leads(options.truth, cases, leads, field, /*each_its_own=*/true);
  if (members > 1 && (members + 1) % options.bins != 0) {
    throw Error("score.bins", fmt::format("{}, but {} members give {} ranks, which bins must divide",
                                          options.bins, members, members + 1));
  }
  if (!options.latitude.empty()) {
    const Tensor latitude = read_real_array(options.latitude);
    if (field.size() < 2 || latitude.dim() != 1 || latitude.size(0) != field[field.size() - 2]) {
      throw Error(options.latitude.string(), fmt::format("shape {}, but rows of fields {} are meant",
                                                         to_string(latitude.sizes()), to_string(field)));
    }
    weight_ = latitude_weight(latitude);
  }
  if (!options.weight.empty()) {
    const Tensor weight = read_real_array(options.weight);
    weight_ = weight_.defined() ? weight_ * weight : weight;
  }
  mean_square_error(truth_[0][0], truth_[0][0], weight_);  // throws for weights that don't fit
  if (!options.climatology.empty()) {
    climatology_ = read_leads(options.climatology, cases, leads, field);
    baselines_.push_back({"climatology", climatology_, none()});
  }
  if (state.defined()) {
    const Tensor last = state.unsqueeze(1).expand(with_batch(cases, with_batch(leads, field)));
    baselines_.push_back({"persistence", last, none()});
  }
  for (const BaselineOptions& other : options.baselines)
    baselines_.push_back({other.name, read_leads(other.file, cases, leads, field), none()});
  ours_ = none();
  if (members > 1) shares_ = at::zeros({cases, leads, options.bins}, at::kDouble);
}

Scores ForecastJudge::none() const {
  const auto empty = [&] { return at::full({cases_, leads_}, NAN, at::kDouble); };
  return {empty(), empty(), empty(), empty()};
}

void ForecastJudge::score(Scores& scores, const Tensor& forecast, int64_t c, int64_t lead) const {
  const Tensor truth = truth_[c][lead];
  scores.square_error[c][lead] = mean_square_error(forecast, truth, weight_);
  if (climatology_.defined())
    scores.correlation[c][lead] = anomaly_correlation(forecast, truth, climatology_[c][lead], weight_);
}

void ForecastJudge::take(const Tensor& members, const Tensor& expected, int64_t c, int64_t lead,
                         const Noise& noise) {
  const Tensor truth = truth_[c][lead];
  score(ours_, expected.mean(0), c, lead);
  ours_.crps[c][lead] = fair_crps(members, truth, weight_);
  if (members_ > 1) {
    // The mean has the sampling error of what the members are without residuals: V + V' / M, of M members'
    // variances.
    const auto m = static_cast<double>(members_);
    ours_.expected[c][lead] =
        (m * expected_square_error(members, weight_) + expected_square_error(expected, weight_)) / (m + 1);
    const auto id = static_cast<uint64_t>(c) << 32 | static_cast<uint64_t>(lead);
    shares_[c][lead] =
        rank_shares(members, truth, weight_, options_.bins, noise.rows({id}).stream(Stream::order));
  }
  for (Baseline& other : baselines_) {
    score(other.scores, other.forecast[c][lead], c, lead);
    other.scores.crps[c][lead] = fair_crps(other.forecast[c][lead].unsqueeze(0), truth, weight_);
  }
}

Summary ForecastJudge::describe(const Scores& scores, int64_t lead) const {
  Summary s{{"lead", lead + 1}};
  const auto at_lead = [&](const Tensor& values) { return values.select(1, lead); };
  const Tensor square = at_lead(scores.square_error);
  const double rmse = std::sqrt(square.mean().item<double>());
  s["rmse"] = rmse;
  set(s, "rmse_standard_error", error_of(square, options_.block) / (2 * rmse));
  set(s, "acc", at_lead(scores.correlation).mean().item<double>());
  set(s, "acc_standard_error", error_of(at_lead(scores.correlation), options_.block));
  s["crps"] = at_lead(scores.crps).mean().item<double>();
  set(s, "crps_standard_error", error_of(at_lead(scores.crps), options_.block));
  return s;
}

void ForecastJudge::describe(Summary& summary) const {
  summary["leads"] = Summary::array();
  for (int64_t l = 0; l < leads_; ++l) {
    Summary s = describe(ours_, l);
    if (members_ > 1) {
      s["spread"] = std::sqrt(ours_.expected.select(1, l).mean().item<double>());
      const RankFlatness ranks = rank_flatness(blocks_of(shares_.select(1, l), options_.block));
      s["rank_histogram"] = numbers(ranks.share);
      s["rank_standard_error"] = numbers(ranks.standard_error);
      if (ranks.p_value) s["rank_p_value"] = *ranks.p_value;
    }
    summary["leads"].push_back(std::move(s));
  }
  summary["baselines"] = Summary::array();
  for (const Baseline& other : baselines_) {
    Summary list = Summary::array();
    for (int64_t l = 0; l < leads_; ++l) {
      Summary s = describe(other.scores, l);
      const auto skill = [&](const char* name, const Tensor& ours, const Tensor& theirs) {
        set_skill(s, name, ours.select(1, l), theirs.select(1, l), options_.block);
      };
      skill("skill", ours_.square_error, other.scores.square_error);
      skill("crps_skill", ours_.crps, other.scores.crps);
      list.push_back(std::move(s));
    }
    summary["baselines"].push_back({{"name", other.name}, {"leads", std::move(list)}});
  }
}

std::vector<Finding> ForecastJudge::findings() const {
  if (members_ < 2) return {};
  std::vector<RankFlatness> ranks;
  for (int64_t l = 0; l < leads_; ++l)
    ranks.push_back(rank_flatness(blocks_of(shares_.select(1, l), options_.block)));
  return {flat_ranks(ranks), ensemble_spread(blocks_of(ours_.square_error, options_.block),
                                             blocks_of(ours_.expected, options_.block))};
}

std::vector<std::pair<std::string, Tensor>> ForecastJudge::curves() const {
  const auto rmse = [](const Tensor& square) { return square.mean(0).sqrt(); };
  std::vector<std::pair<std::string, Tensor>> result{{"forecast", rmse(ours_.square_error)}};
  if (members_ > 1) result.emplace_back("expected by the members", rmse(ours_.expected));
  for (const Baseline& other : baselines_) result.emplace_back(other.name, rmse(other.scores.square_error));
  return result;
}

}  // namespace tweedie
