#pragma once
// Is what was measured like the rows that the prior was learned from? Sees, without a truth, that a prior is
// of something else.

#include "tweedie/denoiser.h"
#include "tweedie/diagnostics.h"
#include "tweedie/noise.h"

namespace tweedie {

// Reference rows that a case needs, for a covariance of five levels
constexpr int64_t least_reference_rows = 19;

// ln |D(x + sigma n; sigma) - x|^2 of rows x (B, *shape) at each level, in the units of x: (B, levels)
// float64.
Tensor denoising_profile(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& levels,
                         Noise noise);

// drawn: (cases, levels), the profile of one draw of each case; reference: (n, cases, levels), those of n
// reference rows for each case, no row for two. value: the draws' distance from their reference rows, over
// the median of these rows' own from each other; p_value: one-sided, from ranks, exact where cases, rows and
// draws are independent and of one law. Fails when the value is above 4. Skipped below least_reference_rows,
// and where p cannot be below warn_below.
Finding typicality(const Tensor& drawn, const Tensor& reference, const Significance& significance = {});

}  // namespace tweedie
