#include "kernel/scratch.h"

#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>

namespace tweedie {

namespace {

constexpr int64_t line = 16;  // numbers in a cache line

struct Free {
  void operator()(float* memory) const { std::free(memory); }
};
struct ThreadMemory {
  std::unique_ptr<float, Free> data;
  int64_t size = 0;
  bool taken = false;
};
thread_local ThreadMemory memory;

int64_t lines(int64_t count) {
  return (count + line - 1) / line * line;
}

}  // namespace

Scratch::Scratch(int64_t count) {
  if (memory.taken) throw std::logic_error("scratch memory is taken twice");
  if (count > memory.size) {
    memory.data.reset();
    memory.size = 0;
    memory.data.reset(static_cast<float*>(std::aligned_alloc(64, lines(count) * sizeof(float))));
    if (!memory.data) throw std::bad_alloc();
    memory.size = lines(count);
  }
  memory.taken = true;
  next_ = memory.data.get();
  end_ = next_ + memory.size;
}

Scratch::~Scratch() {
  memory.taken = false;
}

float* Scratch::take(int64_t count) {
  float* result = next_;
  next_ += lines(count);
  if (next_ > end_) throw std::logic_error("more scratch memory is taken than was asked for");
  return result;
}

int64_t Scratch::sum(std::initializer_list<int64_t> counts) {
  int64_t total = 0;
  for (const int64_t count : counts) total += lines(count);
  return total;
}

}  // namespace tweedie
