// Every distance between two sets of draws at once.

#include "tweedie/metrics.h"

namespace tweedie {

Comparison compare(const SampleSet& a, const SampleSet& b, const CompareOptions& options) {
  Comparison c{};
  c.energy_distance = energy_distance_unbiased(a, b);  // first: it checks the sets
  c.energy_p_value = energy_p_value(a, b, options.permutation);
  c.rows_a = a.x.size(0);
  c.rows_b = b.x.size(0);
  c.dimension = a.x.numel() / c.rows_a;
  c.sliced_wasserstein = sliced_wasserstein(a, b, options.sliced);
  c.sliced_floor = sliced_wasserstein_floor(a, b, options.sliced, options.splits);
  const double excess = c.sliced_wasserstein - c.sliced_floor.mean;
  c.sliced_ratio = excess == 0 ? 1 : c.sliced_wasserstein / c.sliced_floor.mean;
  c.sliced_z = excess == 0 ? 0 : excess / c.sliced_floor.std;
  c.mean = mean_error(a, b);
  c.covariance = covariance_error(a, b);
  return c;
}

}  // namespace tweedie
