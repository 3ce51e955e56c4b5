// tweedie evaluate: draws from a model against held-out data: distances beside those between random splits of
// draws and data together, the likelihood with its kind, classes, and copies of the training data.

#include "run/evaluate.h"

#include "core/shape.h"
#include "io/atomic_file.h"
#include "io/config.h"
#include "io/image.h"
#include "io/run_folder.h"
#include "run/class_agreement.h"
#include "run/compare_metrics.h"
#include "run/figures.h"
#include "run/flow_rows.h"
#include "run/learned.h"
#include "run/score_sheet.h"
#include "tweedie/array_io.h"
#include "tweedie/densities.h"
#include "tweedie/memorisation.h"
#include "tweedie/normalising_flow.h"
#include "tweedie/predictor.h"
#include "tweedie/two_sample.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace tweedie {

namespace {

bool is_image(const Tensor& x) {
  return x.dim() == 4;
}

// log p of rows of x, and what kind of number it is
struct RowLikelihood {
  Tensor nats;  // (B)
  LikelihoodKind kind;
  Tensor known = at::ones_like(nats, at::kBool);  // not where the ODE did not converge
};

RowLikelihood flow_likelihood(const LoadedPrior& model, const Tensor& x, uint64_t seed,
                              const RunContext& context) {
  constexpr int64_t most_exact = 32;  // dimensions whose divergence is worth d derivatives an evaluation
  FlowDensityOptions options;
  if (product(shape_of(model)) > most_exact) options.divergence = Divergence::hutchinson;
  if (const auto* network = dynamic_cast<const NetworkDenoiser*>(model.denoiser.get()))
    options.data_std = network->sigma_data();
  const FlowDensity density = flow_in_slices(*model.denoiser, x, options, Noise(seed), context);
  return {density.log_prob, LikelihoodKind::flow, density.converged};
}

std::optional<RowLikelihood> likelihood_of(const LoadedPrior& model, const Tensor& x, uint64_t seed,
                                           const RunContext& context) {
  if (model.analytic)
    return RowLikelihood{model.analytic->log_prob(x.to(at::kDouble)), LikelihoodKind::exact};
  if (model.denoiser != nullptr) return flow_likelihood(model, x, seed, context);
  const auto known = model.generative->log_likelihood(x, Noise(seed), context.threads);
  if (!known) return {};
  return RowLikelihood{known->nats, known->kind};
}

// Mean and standard error of rows' numbers, the latter only of two or more
void add_mean(const Tensor& values, const std::string& key, Summary& summary) {
  summary[key] = values.mean().item<double>();
  const auto rows = static_cast<double>(values.numel());
  if (rows > 1) summary[key + "_standard_error"] = values.std().item<double>() / std::sqrt(rows);
}

// law: of the data, where it is known; the same rows are judged by it
void add_likelihood(const LoadedPrior& model, const Tensor& x, std::optional<Density> law, uint64_t seed,
                    const RunContext& context, Summary& summary) {
  summary["log_likelihood"] = nullptr;
  const auto likelihood = likelihood_of(model, x, seed, context);
  if (!likelihood) {
    if (law) summary["log_likelihood_of_the_law"] = log_prob(*law, x).mean().item<double>();
    return;
  }
  const Tensor nats = likelihood->nats.masked_select(likelihood->known);
  summary["log_likelihood_kind"] = names(LikelihoodKind{})[static_cast<size_t>(likelihood->kind)];
  summary["log_likelihood_rows"] = nats.numel();
  if (const int64_t lost = x.size(0) - nats.numel(); lost > 0)
    summary["warnings"].push_back(
        fmt::format("likelihood: {} of {} rows did not converge and are left out", lost, x.size(0)));
  if (nats.numel() == 0) return;
  Tensor of_law;
  if (law) {
    of_law = log_prob(*law, x).masked_select(likelihood->known);
    summary["log_likelihood_of_the_law"] = of_law.mean().item<double>();
  }
  const double mean = nats.mean().item<double>();
  if (!std::isfinite(mean)) {
    const bool none = (nats == -std::numeric_limits<double>::infinity()).any().item<bool>();
    summary["warnings"].push_back(none ? "likelihood: a row has density 0 under the model"
                                       : "likelihood: a row's is not a number");
    return;
  }
  add_mean(nats, "log_likelihood", summary);
  if (law) add_mean(of_law - nats, "log_likelihood_below_the_law", summary);
  summary["bits_per_dimension"] = bits_per_dimension(mean, x[0].numel(), grey_of(model));
}

void add_distances(const Tensor& draws, const Tensor& data, uint64_t seed, Summary& summary) {
  const SampleSet a(draws.to(at::kDouble)), b(data.to(at::kDouble));
  const MetricSettings settings{.seed = seed, .value_range = 2};
  for (const Metric metric : {Metric::sliced_w1, Metric::mmd, Metric::energy})
    add_metric(summary, metric, a, b, settings, /*floor=*/metric == Metric::sliced_w1);
  summary["sliced_wasserstein_ratio"] =
      summary["sliced_wasserstein"].get<double>() / summary["sliced_wasserstein_floor"].get<double>();
  add_metric(summary, Metric::c2st, a, b, settings, false);
  if (!is_image(draws)) return;
  add_metric(summary, Metric::rf_fd, SampleSet(draws), SampleSet(data), settings, true);
  summary["rf_fd_ratio"] = summary["rf_fd"].get<double>() / summary["rf_fd_floor"].get<double>();
}

void add_memorisation(const Tensor& draws, const Tensor& held_out, const Tensor& train,
                      const RunContext& context, Summary& summary) {
  const MemorisationOptions options{.threads = context.threads};
  if (const double least = 1 / options.quantile - 1; static_cast<double>(held_out.size(0)) < least) {
    summary["memorised_share"] = nullptr;
    summary["warnings"].push_back(fmt::format(
        "copies of training rows: {} held-out rows are too few, {} are needed", held_out.size(0), least));
    return;
  }
  const Memorisation seen = measure_memorisation(draws, train, held_out, options);
  const Finding finding = memorisation(seen);
  summary["memorised_share"] = seen.share;
  summary["memorised_expected"] = seen.expected;
  summary["memorised_p_value"] = seen.p_value;
  summary["memorisation"] = finding.message;
  for (const MemorisedPair& pair : seen.closest)
    summary["closest_to_training"].push_back(
        {{"draw", pair.draw}, {"row", pair.row}, {"distance", pair.distance}});
  if (finding.status == Finding::Status::fail) summary["warnings"].push_back(finding.message);
}

// Where the data's law is a mixture: how much the learned denoiser's loss exceeds the exact one's at ten
// noise levels, with score.png.
void add_law(const LoadedPrior& model, Density density, const Tensor& data, uint64_t seed, RunFolder& folder,
             Summary& summary) {
  const auto law = mixture_of(density);
  if (!law || model.denoiser == nullptr) return;
  constexpr int64_t rows = 2000;
  const Tensor u = (at::arange(10, at::kDouble) + 0.5) / 10;
  const Tensor sigma =
      (std::numbers::sqrt2 * at::erfinv(2 * u - 1) * 1.2 - 1.2).exp();  // EDM's own, by tenths
  const std::vector<double> levels(sigma.data_ptr<double>(), sigma.data_ptr<double>() + 10);
  const auto excess =
      excess_denoising_loss(*model.denoiser, *law, data.slice(0, 0, std::min(rows, data.size(0))), levels,
                            Noise(seed).stream(Stream::metric));
  summary["excess_loss_sigma"] = levels;
  summary["excess_loss"] = excess;
  summary["excess_loss_largest"] = *std::max_element(excess.begin(), excess.end());
  const Figure sheet =
      score_sheet(*model.denoiser, *law, {levels[1], levels[5], levels[8]}, "Scores of " + model.description);
  write_png(folder.path("score.png"), sheet.image);
}

// The summary's numbers as a page to read
std::string report_of(const Summary& summary) {
  std::string text = fmt::format("# {}\n\n{} draws against {} rows of {}.\n\n",
                                 summary["model"].get<std::string>(), summary["draws"].get<int64_t>(),
                                 summary["data_rows"].get<int64_t>(), summary["data"].get<std::string>());
  text += "| figure | value | floor or null | what it says |\n|---|---:|---:|---|\n";
  const auto row = [&](const char* key, const char* beside, const char* meaning) {
    if (!summary.contains(key) || summary[key].is_null()) return;
    text += fmt::format("| {} | {:.4g} | {} | {} |\n", key, summary[key].get<double>(),
                        summary.contains(beside) && summary[beside].is_number()
                            ? fmt::format("{:.4g}", summary[beside].get<double>())
                            : "",
                        meaning);
  };
  row("sliced_wasserstein", "sliced_wasserstein_floor",
      "mean W1 over 100 directions; floor: random splits of both together");
  row("rf_fd", "rf_fd_floor", "Frechet distance of fixed random features, comparable only to itself");
  row("mmd", "mmd_p_value", "kernel distance, squared; beside it the p value of equal laws");
  row("energy_distance", "energy_p_value", "beside it the p value of equal laws");
  row("c2st", "c2st_p_value", "accuracy of a classifier of draws and data, 0.5 when equal; p value");
  row("log_likelihood", "log_likelihood_standard_error",
      "nats a row, mean over held-out rows; standard error");
  row("log_likelihood_of_the_law", "", "of the law that the data are drawn from, on the same rows");
  row("log_likelihood_below_the_law", "log_likelihood_below_the_law_standard_error",
      "nats a row, the law's less the model's; standard error");
  row("excess_loss_largest", "",
      "denoising loss beyond the least possible, over it, at the worst of ten levels");
  row("bits_per_dimension", "", "-log2 p a number, of grey levels where the model is dequantised");
  row("classifier_accuracy", "", "of the independent classifier on the data itself");
  row("class_agreement", "class_agreement_standard_error",
      "share of draws that it gives the class asked for");
  row("memorised_share", "memorised_expected",
      "draws nearer to a training row than nearly all held-out rows");
  if (summary.contains("log_likelihood_kind"))
    text +=
        fmt::format("\nThe likelihood is of kind {}.\n", summary["log_likelihood_kind"].get<std::string>());
  if (const std::string classes = class_table(summary); !classes.empty())
    text += "\nWhat the independent classifier makes of them, with standard errors:\n\n" + classes;
  for (const auto& warning : summary["warnings"]) text += "\nWarning: " + warning.get<std::string>() + "\n";
  return text;
}

// What C2ST deals into its folds
void require_enough(int64_t count, const std::string& place, const char* what) {
  const int64_t least = 2 * C2stOptions{}.folds;
  if (count < least)
    throw Error(place, fmt::format("{} {}; at least {} are needed to compare with", count, what, least));
}

// The ODE's solver can't see through the rounding of bfloat16.
LoadedPrior with_exact_numbers(const LoadedPrior& model, const EvaluateRequest& request,
                               const RunContext& context) {
  if (context.precision == Precision::f32 ||
      (context.precision == Precision::automatic && context.device.is_cpu()))
    return model;
  RunContext exact = context;
  exact.precision = Precision::f32;
  return load_drawable(request.model.prior, exact);
}

}  // namespace

Summary evaluate(const EvaluateRequest& request, const RunContext& context) {
  const Stopwatch watch;
  const LoadedPrior model = load_drawable(request.model.prior, context);
  SampleConfig sampling = request.model;
  // All that can be refused is, before anything is drawn.
  const Dataset data = load_dataset(request.data);
  require_batch_of(data.x, shape_of(model), data.name);
  require_enough(sampling.count, "count", "draws");
  require_enough(data.x.size(0), data.name, "rows");
  if (request.likelihood_rows < 0)
    throw Error("--likelihood-rows", fmt::format("{}: 0 or more is meant", request.likelihood_rows));
  const Tensor order = at::tensor(Noise(sampling.seed).stream(Stream::order).permutation(data.x.size(0)));
  // As many rows as draws: distances depend on both numbers, and take their product.
  const Tensor chosen = order.slice(0, 0, std::min(sampling.count, data.x.size(0)));
  const Tensor rows = data.x.index_select(0, chosen);
  const Tensor row_labels = data.labels.defined() ? data.labels.index_select(0, chosen) : Tensor();
  // The classes of a conditional model are those of the data, as often.
  if (model.classes > 0 && sampling.labels.empty() && !request.model.prior.label && data.labels.defined()) {
    const Tensor labels = row_labels.contiguous();
    sampling.labels.assign(labels.data_ptr<int64_t>(), labels.data_ptr<int64_t>() + labels.numel());
  }
  check_labels(model, sampling.labels);
  std::optional<NoisyClassifier> classifier;
  if (!request.classifier.empty()) {
    classifier.emplace(load_classifier(request.classifier));
    require_batch_of(data.x, classifier->shape(), request.classifier.string());
    require_known(*classifier, data.labels, data.name);
    require_known(*classifier, at::tensor(sampling.labels, at::kLong), "labels");
  }
  std::optional<Dataset> train;
  if (request.train) {
    train = load_dataset(*request.train);
    require_batch_of(train->x, shape_of(model), train->name);
  }
  RunFolder folder(context.out, context.force);
  const Sampled sampled = sample_model(model, sampling, context);
  require_finite(sampled.x, "the model's draws");

  Summary summary = start_summary("evaluate", sampling.seed, context);
  summary["model"] = model.description;
  summary["data"] = data.name;
  summary["data_rows"] = rows.size(0);
  summary["draws"] = sampled.x.size(0);
  summary["network_evaluations"] = sampled.evaluations;
  summary["seconds_sampling"] = watch.seconds();
  add_warnings(summary, model.warnings);
  add_distances(sampled.x, rows, sampling.seed, summary);
  if (request.likelihood_rows > 0) {
    const Tensor first =
        data.x.index_select(0, order).slice(0, 0, std::min(request.likelihood_rows, data.x.size(0)));
    add_likelihood(with_exact_numbers(model, request, context), first, density_of(request.data.kind),
                   sampling.seed, context, summary);
  }
  if (const auto density = density_of(request.data.kind))
    add_law(model, *density, rows, sampling.seed, folder, summary);
  if (classifier) add_classes(*classifier, sampled.x, sampled.labels, data.x, data.labels, context, summary);
  if (train) add_memorisation(sampled.x, rows, train->x, context, summary);
  write_npy(folder.path("samples.npy"), sampled.x);
  if (sampled.labels.defined()) write_npy(folder.path("labels.npy"), sampled.labels);
  const Figure figure = sample_figure(sampled.x, model.low, model.high, "Draws of " + model.description);
  if (!figure.has_words) summary["warnings"].push_back("no font was found: the figure has no words");
  write_png(folder.path("figure.png"), figure.image);
  write_atomically(folder.path("report.md"), report_of(summary));
  finish_summary(summary, watch);
  write_atomically(folder.path("summary.json"), summary.dump(2) + "\n");
  folder.commit();
  return summary;
}

}  // namespace tweedie
