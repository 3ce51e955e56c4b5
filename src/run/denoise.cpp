// tweedie denoise: RUN/denoised.npy, D(x; sigma) of each row; with a vjp file RUN/vjp.npy, (dD/dx)^T v.

#include "core/shape.h"
#include "io/atomic_file.h"
#include "io/run_folder.h"
#include "run/prior.h"
#include "run/services.h"
#include "tweedie/array_io.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

Summary denoise(const std::filesystem::path& model, const std::filesystem::path& x_file, double sigma,
                const std::filesystem::path& vjp_file, const RunContext& context) {
  const Stopwatch watch;
  if (!(sigma > 0) || !std::isfinite(sigma))
    throw Error("--sigma", fmt::format("{}: a finite number above 0 is meant", sigma));
  const LoadedPrior prior = load_prior(prior_of(model), context);
  const Shape shape = prior.denoiser->shape();
  const Tensor x = read_rows(x_file, shape).to(context.device);
  RunFolder folder(context.out, context.force);
  Summary summary = start_summary("denoise", 0, context);
  summary["prior"] = prior.description;
  add_warnings(summary, prior.warnings);
  summary["sigma"] = sigma;
  summary["rows"] = x.size(0);
  if (vjp_file.empty()) {
    write_npy(folder.path("denoised.npy"), prior.denoiser->mean(x, sigma).cpu());
  } else {
    const Tensor v = read_rows(vjp_file, shape).to(x.options());
    if (v.sizes() != x.sizes()) {
      throw Error(vjp_file.string(),
                  fmt::format("shape {}, but x has {}", to_string(v.sizes()), to_string(x.sizes())));
    }
    const Linearised linear = linearise(*prior.denoiser, x, sigma);
    write_npy(folder.path("denoised.npy"), linear.mean.cpu());
    write_npy(folder.path("vjp.npy"), linear.vjp(v).cpu());
  }
  finish_summary(summary, watch);
  write_atomically(folder.path("summary.json"), summary.dump(2) + "\n");
  folder.commit();
  return summary;
}

}  // namespace tweedie
