#pragma once
// A learned denoiser beside the exact one, where the data's law is known at every noise level.

#include "report/canvas.h"
#include "tweedie/denoiser.h"
#include "tweedie/noise.h"

namespace tweedie {

// What the learned denoiser's squared error exceeds the least possible one by, over that least one:
// E|D - D*|^2 / E|x_0 - D*|^2 at x_0 + sigma n, where D* is the exact denoiser (the cross term vanishes).
// x: (N, *shape) from the law. One number for each sigma.
std::vector<double> excess_denoising_loss(const Denoiser& learned, const Denoiser& exact, const Tensor& x,
                                          const std::vector<double>& sigmas, Noise noise);

// Of laws in the plane: fields of sigma times the score, exact above learned, a column for each sigma.
Figure score_sheet(const Denoiser& learned, const Denoiser& exact, const std::vector<double>& sigmas,
                   const std::string& title);

}  // namespace tweedie
