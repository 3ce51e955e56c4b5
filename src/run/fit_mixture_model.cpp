// tweedie train with model.kind = "gaussian-mixture": RUN/model.toml and its arrays, log.jsonl, run.toml,
// figure.png, summary.json.

#include "io/atomic_file.h"
#include "io/config.h"
#include "io/image.h"
#include "io/run_folder.h"
#include "run/figures.h"
#include "run/lesson.h"
#include "tweedie/array_io.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

namespace {

const char* file_of(MixtureFitOptions::Covariance covariance) {
  return covariance == MixtureFitOptions::Covariance::full ? "covariances" : "variances";
}

}  // namespace

Summary fit_mixture_model(const MixtureFitOptions& options, const TrainConfig& config, const Dataset& data,
                          const RunContext& context) {
  const Stopwatch watch;
  RunFolder folder(context.out, context.force);
  bool stopped = false;
  const Observer observer = [&](const Progress& progress) {
    stopped = context.observer && context.observer(progress) == Control::stop;
    return stopped ? Control::stop : Control::proceed;
  };
  const MixtureFit fit = fit_mixture(data.x, options, Noise(config.seed), context.threads, observer);
  if (stopped) throw Interrupted{};
  const Shape shape(data.x.sizes().begin() + 1, data.x.sizes().end());
  const int64_t k = fit.weights.numel();
  const auto of_components = [&](const Tensor& t) {
    Shape whole{k};
    whole.insert(whole.end(), shape.begin(), shape.end());
    return t.reshape(whole);
  };
  write_npy(folder.path("weights.npy"), fit.weights);
  write_npy(folder.path("means.npy"), of_components(fit.means));
  Tensor covariances = fit.covariances;
  if (options.covariance == MixtureFitOptions::Covariance::diagonal) covariances = of_components(covariances);
  if (options.covariance == MixtureFitOptions::Covariance::isotropic)
    covariances = of_components(covariances.unsqueeze(1).expand({k, fit.means.size(1)}).contiguous());
  const std::string name = file_of(options.covariance);
  write_npy(folder.path(name + ".npy"), covariances);
  write_atomically(folder.path("model.toml"),
                   fmt::format("[prior]\nkind = \"gaussian-mixture\"\nweights = \"weights.npy\"\nmeans = "
                               "\"means.npy\"\n{0} = \"{0}.npy\"\n",
                               name));
  Summary summary = start_summary("train", config.seed, context);
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
  constexpr int64_t points = 2000;
  Noise noise = Noise(config.seed).stream(Stream::user);
  const Figure figure = sample_figure(fit.prior(shape).sample(points, noise), data.low, data.high,
                                      fmt::format("Draws of {} Gaussians fitted to {}", k, data.name));
  if (!figure.has_words) summary["warnings"].push_back("no font was found: the figure has no words");
  write_png(folder.path("figure.png"), figure.image);
  write_atomically(folder.path("run.toml"), provenance("train") + write_fields(config));
  finish_summary(summary, watch);
  write_atomically(folder.path("summary.json"), summary.dump(2) + "\n");
  folder.commit();
  return summary;
}

}  // namespace tweedie
