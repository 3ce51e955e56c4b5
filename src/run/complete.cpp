// tweedie complete: RUN/completed.npy, low_rank.npy, sparse.npy (robust), singular_values.npy, figure.png,
// summary.json.

#include "core/shape.h"
#include "io/array_file.h"
#include "io/atomic_file.h"
#include "io/image.h"
#include "io/run_folder.h"
#include "report/panels.h"
#include "run/services.h"
#include "tweedie/array_io.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <limits>

namespace tweedie {

namespace {

// (m, n) float64, a grey image among them
Tensor read_matrix(const std::filesystem::path& path, bool finite) {
  Tensor array = read_array_file(path, finite).values;
  if (array.dim() == 3 && array.size(0) == 1) array = array[0];
  if (array.is_complex()) throw Error(path.string(), "complex numbers, but real ones are needed");
  if (array.dim() != 2 || array.numel() == 0)
    throw Error(path.string(),
                fmt::format("shape {}, but a matrix (m, n) is needed", to_string(array.sizes())));
  return array.to(at::kDouble);
}

Tensor read_like(const std::filesystem::path& path, const Tensor& matrix) {
  const Tensor other = read_matrix(path, /*finite=*/true);
  if (other.sizes() != matrix.sizes()) {
    throw Error(path.string(), fmt::format("shape {}, but the matrix has {}", to_string(other.sizes()),
                                           to_string(matrix.sizes())));
  }
  return other;
}

double relative_error(const Tensor& x, const Tensor& truth, const Tensor& where) {
  const double size = (truth * where).norm().item<double>();
  return ((x - truth) * where).norm().item<double>() / (size > 0 ? size : 1);
}

Figure figure_of(const Tensor& matrix, const Tensor& known, const Tensor& truth, const Completion& c,
                 const std::string& title) {
  const Tensor seen = matrix.masked_select(known);
  const std::optional<ValueRange> range =
      ValueRange{seen.min().item<double>(), seen.max().item<double>() + 1e-12};
  PanelGrid grid{.title = title, .columns = {}, .rows = {{}}, .panel_size = 256};
  const auto add = [&](PanelColumn column, const Tensor& image) {
    grid.columns.push_back(std::move(column));
    grid.rows[0].images.push_back(image);
  };
  constexpr double hidden = std::numeric_limits<double>::quiet_NaN();
  add({.title = "observed", .range = range}, matrix.masked_fill(known.logical_not(), hidden));
  if (truth.defined()) add({.title = "truth", .range = range}, truth);
  add({.title = "completed", .range = range}, c.completed);
  if (c.sparse.defined())
    add({.title = "sparse part", .map = ColourMap::diverging, .colour_bar = true}, c.sparse);
  return draw_panels(grid);
}

}  // namespace

Summary complete(const CompleteRequest& request, const RunContext& context) {
  const Stopwatch watch;
  const Tensor matrix = read_matrix(request.matrix, /*finite=*/false);
  Tensor known = matrix.isnan().logical_not();
  if (!request.mask.empty()) known = known.logical_and(read_like(request.mask, matrix).ne(0));
  if (matrix.isinf().logical_and(known).any().item<bool>())
    throw Error(request.matrix.string(), "infinite entries; NaN or --mask marks what is missing");
  const Tensor truth = request.truth.empty() ? Tensor() : read_like(request.truth, matrix);
  RunFolder folder(context.out, context.force);
  const Stopwatch solving;
  const Completion c = complete_matrix(matrix, known, request.options, Noise(request.seed), context.observer);
  const double seconds = solving.seconds();

  Summary summary = start_summary("complete", request.seed, context);
  constexpr auto methods = std::array{"svt", "fista", "admm", "logdet", "robust"};
  summary["method"] = methods[static_cast<size_t>(request.options.method)];
  summary["rows"] = matrix.size(0);
  summary["columns"] = matrix.size(1);
  summary["observed"] = known.to(at::kDouble).mean().item<double>();
  summary["weight"] = c.weight;
  summary["rank"] = c.rank;
  summary["iterations"] = c.iterations;
  summary["objective"] = c.objective;
  summary["iteration_residual"] = c.residual;
  summary["kkt_residual"] = c.kkt_residual;
  summary["converged"] = c.converged;
  summary["seconds_solving"] = seconds;
  const Tensor seen = known.to(at::kDouble), filled = matrix.masked_fill(known.logical_not(), 0);
  summary["observed_residual"] = relative_error(c.low_rank, filled, seen);
  if (c.sparse.defined()) summary["sparse_entries"] = c.sparse.ne(0).sum().item<int64_t>();
  if (truth.defined()) {
    summary["error"] = relative_error(c.completed, truth, at::ones_like(seen));
    if (!known.all().item<bool>()) summary["held_out_error"] = relative_error(c.completed, truth, 1 - seen);
  }
  if (!c.converged) {
    summary["warnings"].push_back(
        fmt::format("stopped at its last iteration, with a residual of {:.1e}; give more --iterations, or a "
                    "larger --tolerance",
                    c.residual));
  }
  write_npy(folder.path("completed.npy"), c.completed);
  write_npy(folder.path("low_rank.npy"), c.low_rank);
  if (c.sparse.defined()) write_npy(folder.path("sparse.npy"), c.sparse);
  write_npy(folder.path("singular_values.npy"), c.singular_values.contiguous());
  const Figure figure = figure_of(
      matrix, known, truth, c,
      fmt::format("{}: rank {}, {} iterations", summary["method"].get<std::string>(), c.rank, c.iterations));
  if (!figure.has_words) summary["warnings"].push_back("no font was found: the figure has no words");
  write_png(folder.path("figure.png"), figure.image);
  finish_summary(summary, watch);
  write_atomically(folder.path("summary.json"), summary.dump(2) + "\n");
  folder.commit();
  return summary;
}

}  // namespace tweedie
