#pragma once
// Did several Markov chains, or several runs of a particle method, explore the same law, and how much are
// their draws worth? Vehtari, Gelman, Simpson, Carpenter and Buerkner 2021 ("Rank-normalization, folding, and
// localization: an improved R-hat"), with Stan's thresholds.
//
// chains: (draws, chains, *shape), float32 or float64, in the order in which each chain made its draws; a
// single chain is compared with itself by halves. At least 4 draws of each. Results have the shape *shape and
// are float64. NaN and infinity throw Error. A coordinate that never varies has nothing to disagree about:
// its R-hat is 1, and each of its draws counts.

#include "tweedie/diagnostics.h"
#include "tweedie/posterior.h"

namespace tweedie {

// The larger of the R-hat of location and of scale: of ranks, and of ranks of the distance from the median,
// both turned into normal quantiles, over the halves of the chains. 1 for chains that agree; infinite for
// chains of which each stands still elsewhere.
Tensor split_rhat(const Tensor& chains);

// Effective numbers of draws for the bulk (of the ranks' normal quantiles), for the tails (the smaller of
// those of the 5% and the 95% quantile) and for the mean.
Tensor bulk_ess(const Tensor& chains);
Tensor tail_ess(const Tensor& chains);
Tensor mean_ess(const Tensor& chains);

// Monte Carlo standard errors, in the units of x
Tensor mcse_mean(const Tensor& chains);
Tensor mcse_quantile(const Tensor& chains, double probability);  // in (0, 1)

// value: the largest R-hat; p_value: that independent draws had one as large. Passes up to 1.01; fails above
// 1.05 where that is more than chance does to chains as short.
Finding rhat(const Tensor& chains, const Significance& significance = {});
// value: the smallest of bulk and tail ESS. Passes from 100 a chain; fails below 10 a chain where that is
// less than a quarter of the draws.
Finding effective_draws(const Tensor& chains);

// (sum w)^2 / sum w^2 over the first axis of log weights (N, ...): (...) float64. 0 where all weights vanish.
// Throws Error on NaN and +infinity.
Tensor effective_size(const Tensor& log_weight);

// ancestor: (steps, N) whole numbers: particle i after step s came from particle ancestor[s][i] before it.
// How many of the first N have a descendant after the last step.
int64_t unique_ancestors(const Tensor& ancestor);

// value: the smallest effective size over all steps. Fails where it is below 1% of the particles or below 2;
// warns below 10%, and where the chains of a case together descend from fewer than 10 particles.
Finding particle_health(const ParticleRecord& record);

}  // namespace tweedie
