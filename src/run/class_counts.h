#pragma once
// Data of which only classes and their counts are known, such as Pearson's crabs.

#include "report/canvas.h"
#include "tweedie/dataset.h"
#include "tweedie/mixture_fit.h"

namespace tweedie {

// As for fit_grouped_mixture
struct ClassCounts {
  Tensor edges;   // (n + 1) float64
  Tensor counts;  // (n)
};

// From rows (middle, count) of classes of one width, or (lower edge, upper edge, count) of adjacent classes.
// Throws Error at the data's name on rows of another length, and on classes that overlap, leave gaps or are
// of several widths.
ClassCounts class_counts(const Dataset& data);

// The counts as a density, with that of the mixture and of each of its components times its weight.
Figure class_counts_figure(const ClassCounts& classes, const MixtureFit& fit, const std::string& title);

}  // namespace tweedie
