// Filtered back-projection (src/operator/filtered_back_projection.cpp) as a method.

#include "tweedie/fbp.h"

#include "core/shape.h"
#include "operator/radon.h"
#include "posterior/point_estimate.h"

#include <ATen/ATen.h>

namespace tweedie {

namespace {

class FilteredBackProjection final : public PointEstimate {
 public:
  FilteredBackProjection(const FbpOptions& options, DrawOptions draw)
      : PointEstimate(draw), options_(options) {}

  Draws sample(const Problem& problem, int64_t draws, const Noise& noise,
               const Observer& observer) const override {
    const auto* radon = dynamic_cast<const RadonOperator*>(&problem.likelihood.forward());
    if (radon == nullptr)
      throw Error("method.kind", "fbp inverts line integrals; an operator of kind radon is needed");
    const PointRun run{.method = FbpOptions::kind,
                       .problem = problem,
                       .draws = draws,
                       .noise = noise,
                       .observer = observer,
                       .options = draw_options_,
                       .iterations = 1,
                       .linear_only = true};
    return run_point_estimate(run, [&](const PointCase& c) { return solve(c, *radon); });
  }

 private:
  PointAnswer solve(const PointCase& c, const RadonOperator& radon) const {
    const Shape domain = radon.domain();
    const RadonGeometry& g = radon.geometry();
    const Tensor views = c.y.reshape({-1, static_cast<int64_t>(g.angles.size()), g.detectors});
    const Tensor x =
        filtered_back_projection(g, domain[domain.size() - 2], domain.back(), views, options_.filter);
    c.applied(1);
    return {.x = x.reshape(with_batch(1, domain)), .iterations = 1};
  }

  FbpOptions options_;
};

}  // namespace

std::unique_ptr<const PosteriorSampler> point_estimate(const FbpOptions& options, DrawOptions draw) {
  return std::make_unique<FilteredBackProjection>(options, draw);
}

}  // namespace tweedie
