#include "core/workers.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <sched.h>

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace tweedie {

struct Workers::Pool {
  std::mutex mutex;
  std::condition_variable begin, end;
  const std::function<void(int64_t)>* work = nullptr;
  int64_t next = 0, count = 0, busy = 0;
  std::exception_ptr failure;
  bool stop = false;
  std::vector<std::thread> threads;

  void run() {
    // The calling thread's own limit must be known to libtorch before this thread's is set: the setting is
    // both per thread and a default for threads yet to come.
    at::set_num_threads(1);
    const at::NoGradGuard no_gradients;
    std::unique_lock lock(mutex);
    while (true) {
      begin.wait(lock, [&] { return stop || (work != nullptr && next < count); });
      if (stop) return;
      const int64_t i = next++;
      const auto* current = work;
      ++busy;
      lock.unlock();
      std::exception_ptr error;
      try {
        (*current)(i);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      --busy;
      if (error) {
        if (!failure) failure = error;
        next = count;
      }
      if (next >= count && busy == 0) end.notify_all();
    }
  }
};

Workers::Workers(int64_t threads) : pool_(std::make_unique<Pool>()) {
  at::get_num_threads();
  const int64_t count = threads > 0 ? threads : available_cores();
  for (int64_t i = 0; i < count; ++i) pool_->threads.emplace_back([this] { pool_->run(); });
}

Workers::~Workers() {
  {
    const std::lock_guard lock(pool_->mutex);
    pool_->stop = true;
  }
  pool_->begin.notify_all();
  for (std::thread& thread : pool_->threads) thread.join();
}

int64_t Workers::threads() const {
  return static_cast<int64_t>(pool_->threads.size());
}

void Workers::for_each(int64_t count, const std::function<void(int64_t)>& work) {
  if (count == 0) return;
  std::unique_lock lock(pool_->mutex);
  pool_->work = &work;
  pool_->next = 0;
  pool_->count = count;
  pool_->failure = nullptr;
  pool_->begin.notify_all();
  pool_->end.wait(lock, [&] { return pool_->next >= pool_->count && pool_->busy == 0; });
  pool_->work = nullptr;
  if (pool_->failure) std::rethrow_exception(pool_->failure);
}

namespace {
thread_local Workers* in_use = nullptr;
}

UseWorkers::UseWorkers(Workers& workers) : before_(in_use) {
  in_use = &workers;
}
UseWorkers::~UseWorkers() {
  in_use = before_;
}

int64_t threads_in_use() {
  return in_use == nullptr ? 1 : in_use->threads();
}

void for_each(int64_t count, const std::function<void(int64_t)>& work) {
  if (count > 1 && threads_in_use() > 1) return in_use->for_each(count, work);
  for (int64_t i = 0; i < count; ++i) work(i);
}

int64_t available_cores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (sched_getaffinity(0, sizeof cores, &cores) == 0) return std::max(1, CPU_COUNT(&cores));
  return std::max(1u, std::thread::hardware_concurrency());
}

bool cpu_has_bfloat16() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

}  // namespace tweedie
