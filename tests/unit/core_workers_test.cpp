#include "core/workers.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

namespace tweedie {
namespace {

TEST(Workers, VisitEachIndexOnce) {
  for (const int64_t threads : {1, 2, 5}) {
    Workers workers(threads);
    EXPECT_EQ(workers.threads(), threads);
    // Reused, with fewer and more indices than threads
    for (const int64_t count : {0, 1, 3, 1000, 2}) {
      std::vector<std::atomic<int>> visits(count);
      workers.for_each(count, [&](int64_t i) { ++visits[i]; });
      for (const auto& v : visits) EXPECT_EQ(v, 1);
    }
  }
}

TEST(Workers, RunAtOnce) {
  Workers workers(3);
  // Each waits until all three have begun.
  std::atomic<int> begun{0};
  std::mutex mutex;
  std::set<std::thread::id> ids;
  workers.for_each(3, [&](int64_t) {
    ++begun;
    while (begun < 3) std::this_thread::yield();
    const std::lock_guard lock(mutex);
    ids.insert(std::this_thread::get_id());
  });
  EXPECT_EQ(ids.size(), 3U);
}

TEST(Workers, PassExceptionsOnAndWorkOn) {
  for (const int64_t threads : {1, 2, 4}) {
    Workers workers(threads);
    std::atomic<int> visits{0};
    const auto fails = [&](int64_t i) {
      ++visits;
      if (i == 5) throw std::runtime_error("at 5");
    };
    try {
      workers.for_each(100'000, fails);
      ADD_FAILURE() << "no exception";
    } catch (const std::runtime_error& e) {
      EXPECT_STREQ(e.what(), "at 5");
    }
    EXPECT_GE(visits, 6);
    EXPECT_LT(visits, 100'000);  // those not yet begun are dropped

    visits = 0;
    workers.for_each(4, [&](int64_t) { ++visits; });
    EXPECT_EQ(visits, 4);
    EXPECT_THROW(workers.for_each(3, [](int64_t) { throw std::logic_error("all"); }), std::logic_error);
  }
}

TEST(Workers, RunOneThreadEachWithoutGradients) {
  const int here = at::get_num_threads();
  const bool gradients = at::GradMode::is_enabled();
  Workers workers(2);
  std::atomic<int> wrong{0};
  workers.for_each(8, [&](int64_t) { wrong += at::get_num_threads() != 1 || at::GradMode::is_enabled(); });
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(at::get_num_threads(), here);
  EXPECT_EQ(at::GradMode::is_enabled(), gradients);
}

TEST(Workers, ZeroIsOnePerCore) {
  EXPECT_EQ(Workers(0).threads(), available_cores());
  EXPECT_GE(available_cores(), 1);
  EXPECT_LE(available_cores(), std::max(1U, std::thread::hardware_concurrency()));
}

}  // namespace
}  // namespace tweedie
