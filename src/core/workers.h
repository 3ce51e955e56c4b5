#pragma once
// Threads over slices of a batch. Each worker runs libtorch's operations on its own thread alone, so that a
// slice's arithmetic, and with it every bit of its result, does not depend on how many workers there are.

#include <cstdint>
#include <functional>
#include <memory>

namespace tweedie {

class Workers {
 public:
  // threads >= 1; 0: one per core this process may run on
  explicit Workers(int64_t threads = 0);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  int64_t threads() const;

  // work(i) once for each i in [0, count), in any order. Rethrows the first exception after all have stopped;
  // the i not yet begun are then dropped. Gradients are off inside.
  void for_each(int64_t count, const std::function<void(int64_t)>& work);

 private:
  struct Pool;
  std::unique_ptr<Pool> pool_;
};

// While it lives, the loops of the thread that made it (for_each below) are shared out among these workers.
class UseWorkers {
 public:
  explicit UseWorkers(Workers& workers);
  ~UseWorkers();
  UseWorkers(const UseWorkers&) = delete;
  UseWorkers& operator=(const UseWorkers&) = delete;

 private:
  Workers* before_;
};

// How many threads for_each has here
int64_t threads_in_use();
// work(i) once for each i in [0, count): on the workers that this thread uses, without any one after another.
void for_each(int64_t count, const std::function<void(int64_t)>& work);

// The cores this process may run on
int64_t available_cores();

// Does this CPU multiply bfloat16 in hardware (AVX512-BF16 or AMX)?
bool cpu_has_bfloat16();

}  // namespace tweedie
