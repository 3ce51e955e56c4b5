#include "run/bench_meter.h"

#include "run/context.h"

#include <malloc.h>

#include <algorithm>
#include <array>
#include <fstream>

namespace tweedie {

namespace {
constexpr int64_t intervals = 5;
}

Meter::Meter(double seconds, Observer observer, int64_t pieces)
    : seconds_(seconds), observer_(std::move(observer)) {
  progress_.total = pieces * (intervals + 1);
}

double Meter::interval(const std::function<void()>& work, double seconds) {
  const Stopwatch watch;
  int64_t calls = 0;
  do {
    work();
    ++calls;
    if (observer_ && observer_(progress_) == Control::stop) throw Interrupted{};
  } while (watch.seconds() < seconds);
  ++progress_.done;
  return static_cast<double>(calls) / watch.seconds();
}

double Meter::rate(const std::function<void()>& work, double rows) {
  const double part = seconds_ / intervals;
  progress_.rows_per_second = rows * interval(work, part);
  std::array<double, intervals> rates{};
  for (double& rate : rates) {
    rate = interval(work, part);
    progress_.rows_per_second = rows * rate;
  }
  std::nth_element(rates.begin(), rates.begin() + intervals / 2, rates.end());
  if (observer_ && progress_.done == progress_.total && observer_(progress_) == Control::stop)
    throw Interrupted{};
  return rates[intervals / 2];
}

PeakMemory::PeakMemory() {
  malloc_trim(0);  // what earlier work has freed
  std::ofstream("/proc/self/clear_refs") << "5";
}

int64_t PeakMemory::bytes() const {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int64_t kilobytes = 0;
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes * 1024;
  }
  return peak_memory_bytes();
}

}  // namespace tweedie
