#pragma once
// The figures of sample and infer.

#include "report/canvas.h"
#include "tweedie/tensor.h"

#include <optional>
#include <string>
#include <vector>

namespace tweedie {

// (N, *shape): images as a grid, 2-D points as a cloud, else histograms of the first coordinates. columns: of
// the grid.
Figure sample_figure(const Tensor& x, std::optional<double> low, std::optional<double> high,
                     const std::string& title, int64_t columns = 8);

struct InferPictures {
  Tensor draws;        // (draws, cases, *shape)
  Tensor mean, std;    // (cases, *shape)
  Tensor truth;        // (cases, *shape), or undefined
  Tensor measurement;  // (cases, C, H, W): y as a picture, NaN where nothing was measured, or undefined
  std::optional<double> low, high;
  std::string title;
  std::vector<std::string> captions;  // for each case
  bool point = false;                 // an estimate, which the draws are copies of
};
// For images: measurement, truth, mean, std, |error| and six draws of the first cases; else mean and
// intervals.
Figure infer_figure(const InferPictures& pictures);

struct CalibrationPictures {
  std::string title;
  Tensor counts;                   // (statistics, bins) of the ranks
  Tensor level;                    // (levels)
  Tensor central;                  // (levels, statistics): what central intervals cover
  Tensor expected;                 // (levels): expected coverage by TARP
  double band;                     // simultaneous 95% band about the diagonal
  std::vector<std::string> names;  // of the statistics
};
// A rank histogram for each statistic, with the band that holds 99% of the bins; coverage against the
// diagonal.
Figure calibration_figure(const CalibrationPictures& pictures);

}  // namespace tweedie
