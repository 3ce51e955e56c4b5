// tweedie train with model.kind = "gaussian-mixture": RUN/model.toml and its arrays, log.jsonl, run.toml,
// figure.png, summary.json.

#include "core/shape.h"
#include "io/atomic_file.h"
#include "io/config.h"
#include "io/image.h"
#include "io/run_folder.h"
#include "run/class_counts.h"
#include "run/figures.h"
#include "run/lesson.h"
#include "tweedie/array_io.h"
#include "tweedie/goodness_of_fit.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

namespace {

MixtureFit fit_rows(const MixtureFitOptions& options, const TrainConfig& config, const Dataset& data,
                    const RunContext& context) {
  bool stopped = false;
  const Observer observer = [&](const Progress& progress) {
    stopped = context.observer && context.observer(progress) == Control::stop;
    return stopped ? Control::stop : Control::proceed;
  };
  MixtureFit fit = fit_mixture(data.x, options, Noise(config.seed), context.threads, observer);
  if (stopped) throw Interrupted{};
  return fit;
}

// model.toml and its arrays: an analytic prior on rows of the shape
void write_prior(const MixtureFit& fit, MixtureFitOptions::Covariance covariance, const Shape& shape,
                 const RunFolder& folder) {
  using Covariance = MixtureFitOptions::Covariance;
  const int64_t k = fit.weights.numel();
  const auto of_components = [&](const Tensor& t) {
    Shape whole{k};
    whole.insert(whole.end(), shape.begin(), shape.end());
    return t.reshape(whole);
  };
  write_npy(folder.path("weights.npy"), fit.weights);
  write_npy(folder.path("means.npy"), of_components(fit.means));
  Tensor covariances = fit.covariances;
  if (covariance == Covariance::diagonal) covariances = of_components(covariances);
  if (covariance == Covariance::isotropic)
    covariances = of_components(covariances.unsqueeze(1).expand({k, product(shape)}).contiguous());
  const std::string name = covariance == Covariance::full ? "covariances" : "variances";
  write_npy(folder.path(name + ".npy"), covariances);
  write_atomically(folder.path("model.toml"),
                   fmt::format("[prior]\nkind = \"gaussian-mixture\"\nweights = \"weights.npy\"\nmeans = "
                               "\"means.npy\"\n{0} = \"{0}.npy\"\n",
                               name));
}

}  // namespace

Summary fit_mixture_model(const MixtureFitConfig& options, const TrainConfig& config, const Dataset& data,
                          const RunContext& context) {
  const Stopwatch watch;
  std::optional<ClassCounts> classes;
  if (options.grouped) classes = class_counts(data);
  RunFolder folder(context.out, context.force);
  const MixtureFit fit =
      classes ? fit_grouped_mixture(classes->edges, classes->counts, options, Noise(config.seed))
              : fit_rows(options, config, data, context);
  const Shape shape = classes ? Shape{1} : Shape(data.x.sizes().begin() + 1, data.x.sizes().end());
  write_prior(fit, classes ? MixtureFitOptions::Covariance::isotropic : options.covariance, shape, folder);

  Summary summary = start_summary("train", config.seed, context);
  const auto k = fit.weights.numel();
  summary["data"] = data.name;
  summary["components"] = k;
  summary["iterations"] = fit.log_likelihood.size();
  summary["converged"] = fit.converged;
  summary["log_likelihood"] = fit.log_likelihood.back();
  summary["bic"] = fit.bic;
  for (const auto& [components, bic] : fit.bic_by_components)
    summary["bic_by_components"].push_back({{"components", components}, {"bic", bic}});
  if (!fit.converged)
    summary["warnings"].push_back(fmt::format(
        "EM stopped after {} iterations, still gaining: raise model.iterations", options.iterations));
  std::string log;
  for (size_t i = 0; i < fit.log_likelihood.size(); ++i) {
    log += nlohmann::json{{"step", i + 1}, {"loss", -fit.log_likelihood[i]}}.dump() + "\n";
  }
  write_atomically(folder.path("log.jsonl"), log);
  std::string title = fmt::format("{} Gaussians fitted to {}", k, data.name);
  Figure figure;
  if (classes) {
    const GoodnessOfFit goodness = goodness_of_fit(classes->edges, classes->counts, fit);
    summary["chi2"] = goodness.chi2;
    summary["degrees_of_freedom"] = goodness.degrees_of_freedom;
    if (goodness.p_value) {
      summary["p_value"] = *goodness.p_value;
      title += fmt::format(": chi2 {:.1f} of {} degrees, p = {:.2g}", goodness.chi2,
                           goodness.degrees_of_freedom, *goodness.p_value);
    }
    figure = class_counts_figure(*classes, fit, title);
  } else {
    constexpr int64_t points = 2000;
    Noise noise = Noise(config.seed).stream(Stream::user);
    figure = sample_figure(fit.prior(shape).sample(points, noise), data.low, data.high, "Draws of " + title);
  }
  if (!figure.has_words) summary["warnings"].push_back("no font was found: the figure has no words");
  write_png(folder.path("figure.png"), figure.image);
  write_atomically(folder.path("run.toml"), provenance("train") + write_fields(config));
  finish_summary(summary, watch);
  write_atomically(folder.path("summary.json"), summary.dump(2) + "\n");
  folder.commit();
  return summary;
}

}  // namespace tweedie
