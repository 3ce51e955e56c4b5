// Filtered back-projection (src/operator/filtered_back_projection.cpp) as a method.

#include "tweedie/fbp.h"

#include "operator/radon.h"
#include "posterior/case_by_case.h"

#include <ATen/ATen.h>

namespace tweedie {

namespace {

class FilteredBackProjection final : public PosteriorSampler {
 public:
  FilteredBackProjection(const FbpOptions& options, DrawOptions draw_options)
      : options_(options), draw_options_(draw_options) {}

  Draws sample(const Problem& problem, int64_t draws, const Noise&, const Observer& observer) const override {
    problem.likelihood.noise_std();  // throws for other than Gaussian noise, of which it knows nothing
    const auto* radon = dynamic_cast<const RadonOperator*>(&problem.likelihood.forward());
    if (radon == nullptr) {
      throw Error("method.kind", "fbp inverts line integrals; an operator of kind radon is needed");
    }
    const Shape domain = radon->domain();
    const RadonGeometry& g = radon->geometry();
    return case_by_case(problem, draws, observer, draw_options_, "fbp", [&](const Tensor& y) {
      const Tensor views = y.reshape({-1, static_cast<int64_t>(g.angles.size()), g.detectors});
      const Tensor x =
          filtered_back_projection(g, domain[domain.size() - 2], domain.back(), views, options_.filter);
      return CaseEstimate{.x = x.reshape(with_batch(1, domain)), .applications = 1};
    });
  }

 private:
  FbpOptions options_;
  DrawOptions draw_options_;
};

}  // namespace

std::unique_ptr<const PosteriorSampler> posterior_sampler(const FbpOptions& options,
                                                          DrawOptions draw_options) {
  return std::make_unique<FilteredBackProjection>(options, draw_options);
}

}  // namespace tweedie
