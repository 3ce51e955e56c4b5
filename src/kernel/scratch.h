#pragma once
// Memory of a thread that kernels work in: it grows to the most that was ever asked for, and is then taken
// again without an allocation.

#include <cstdint>
#include <initializer_list>
#include <vector>

namespace tweedie {

// Takes the calling thread's memory while it lives; one at a time. The numbers are whatever was there before.
class Scratch {
 public:
  explicit Scratch(int64_t count);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // The next `count` numbers, rounded up to cache lines; in all at most what was asked for.
  float* take(int64_t count);

  // Numbers to ask for, for parts of these sizes
  static int64_t sum(std::initializer_list<int64_t> counts);

 private:
  float* next_;
  float* end_;
};

}  // namespace tweedie
