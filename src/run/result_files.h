#pragma once
// Results in the format of the measurement, beside the .npy that are always there.

#include "io/run_folder.h"
#include "run/measurement.h"

namespace tweedie {

struct Results {
  Tensor draws;      // (draws, cases, *shape)
  Tensor mean, std;  // (cases, *shape); std undefined where the method gives none
};

struct ResultFiles {
  std::vector<std::string> names;     // of what was written
  std::vector<std::string> warnings;  // of what could not be carried through
};

// mean and std, and the draws where the config names a format, like the truth's or the measurement's file.
ResultFiles write_results(const OutputConfig& config, const Measured& measured, const Results& results,
                          const RunFolder& folder);
// Throws what write_results would of a format that has no room for them, before anything is computed.
void check_output(const OutputConfig& config, const Measured& measured, const Shape& shape);

}  // namespace tweedie
