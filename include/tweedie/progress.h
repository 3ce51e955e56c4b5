#pragma once
// How long work reports and is stopped: progress bar, log, web stream and cancel alike are an Observer.

#include <cstdint>
#include <functional>
#include <limits>

namespace tweedie {

struct Progress {
  int64_t done = 0, total = 0;  // in units of the work: training steps, or slices of draws
  double rows_per_second = 0;   // images (or vectors) through the network per second
  double loss = std::numeric_limits<double>::quiet_NaN();  // training: recent mean, weighted, per dimension
  double learning_rate = 0;                                // training
  double gradient_norm = 0;                                // training, before clipping
};

enum class Control { proceed, stop };

using Observer = std::function<Control(const Progress&)>;

}  // namespace tweedie
