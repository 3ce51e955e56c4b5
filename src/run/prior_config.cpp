#include "run/prior_config.h"

#include "tweedie/error.h"

namespace tweedie {

void fields(FieldVisitor& visit, GaussianOptions& o) {
  visit(o.mean, {"mean", "(*shape); needed for its shape unless data is given"});
  visit(o.covariance, {"covariance", "(d, d) over the flattened shape"});
  visit(o.variance, {"variance", "(*shape): a diagonal covariance"});
  visit(o.factor, {"factor", "(d, r): covariance F F^T + std^2 I"});
  visit(o.std, {"std", "isotropic part", {.min = 0}});
  visit(o.rank, {"rank", "of the fit to data; all when not given", {.min = 1}});
  visit(o.data, {"data", "fit mean and covariance to a data set"});
}

void fields(FieldVisitor& visit, MixtureOptions& o) {
  visit(o.weights, {"weights", "(K), sum 1", {.required = true}});
  visit(o.means, {"means", "(K, *shape)", {.required = true}});
  visit(o.covariances, {"covariances", "(K, d, d) over the flattened shape"});
  visit(o.variances, {"variances", "(K, *shape): diagonal covariances"});
  visit(o.factors, {"factors", "(K, d, r): covariances F F^T + std^2 I"});
  visit(o.std, {"std", "isotropic part", {.min = 0}});
}

void fields(FieldVisitor& visit, EmpiricalOptions& o) {
  visit(o.count, {"count", "the first so many samples; all when not given", {.min = 1, .max = 1e8}});
  visit(o.data, {"data", "the samples", {.required = true}});
}

void fields(FieldVisitor& visit, TorchScriptFile& o) {
  visit(o.file, {"file", "a module saved with torch.jit, called as f(x, t)", {.required = true}});
  visit(o.shape, {"shape", "of one draw; the module's attribute `shape` when not given", {.min = 1}});
  visit(o.prediction, {"prediction", "what the module computes"});
  visit(o.path, {"path", "where the module lives"});
}

namespace {
template <class Guided>
void scale_field(FieldVisitor& visit, Guided& o) {
  visit(o.scale, {"scale", "gamma; 1 is p(x | label), more goes beyond it", {.min = 0}});
}
}  // namespace
void fields(FieldVisitor& visit, ClassifierFreeConfig& o) {
  scale_field(visit, o);
}
void fields(FieldVisitor& visit, ClassifierConfig& o) {
  visit(o.model, {"model", "a classifier that `tweedie train` made", {.required = true}});
  scale_field(visit, o);
}

void fields(FieldVisitor& visit, TileConfig& o) {
  visit(
      o.size,
      {"size", "height and width of x; those of the measurement when not given", {.min = 1, .max = 1048576}});
  visit(o.overlap, {"overlap",
                    "pixels that neighbouring windows share at least; by default a quarter of a side",
                    {.min = 0}});
  visit(o.together, {"together", "windows that are evaluated at a time", {.min = 1, .max = 65536}});
}

void fields(FieldVisitor& visit, PriorConfig& o) {
  visit(o.model, {"model", ".safetensors, TorchScript .pt, or a .toml with a [prior]"});
  if (o.model.empty()) {
    if (!o.analytic) o.analytic.emplace();
    visit.flatten(*o.analytic);
  } else {
    o.analytic.reset();
    visit(o.label, {"label", "class of x, where the model has classes", {.min = 0, .max = 1e6}});
    visit(o.guidance, {"guidance", "towards the label"});
  }
  visit(o.tile, {"tile", "the model on larger images, by overlapping windows"});
}

void fields(FieldVisitor& visit, PriorFile& o) {
  visit(o.prior, {"prior", "", {.required = true}});
}

PriorConfig prior_of(const std::filesystem::path& model) {
  if (model.empty()) throw Error("MODEL", "an empty name: .safetensors, TorchScript .pt or .toml is meant");
  PriorConfig config;
  config.model = std::filesystem::absolute(model);
  return config;
}

}  // namespace tweedie
