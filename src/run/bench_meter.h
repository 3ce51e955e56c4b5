#pragma once
// How often a piece of work runs in a second, and the memory it takes.

#include "tweedie/progress.h"

#include <cstdint>
#include <functional>

namespace tweedie {

// Measures a known number of pieces of work one after another, and tells the observer how far it is.
class Meter {
 public:
  // seconds: to measure each for, at least
  Meter(double seconds, Observer observer, int64_t pieces);

  // Calls per second: after a warm-up, the median over five intervals of at least a fifth of the seconds, and
  // at least one call, each. rows: per call, told to the observer (0: none). Throws Interrupted when the
  // observer, asked after every call, says stop.
  double rate(const std::function<void()>& work, double rows = 0);

 private:
  double interval(const std::function<void()>& work, double seconds);

  double seconds_;
  Observer observer_;
  Progress progress_;
};

// The most memory that the process has held since start(), in bytes; since it began where the kernel does not
// let it count anew.
class PeakMemory {
 public:
  PeakMemory();
  int64_t bytes() const;
};

}  // namespace tweedie
