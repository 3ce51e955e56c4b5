#include "core/rows.h"

#include "core/shape.h"
#include "tweedie/noise.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace tweedie {
namespace {

TEST(RowDot, IsTheSumOfProducts) {
  for (const int64_t n : {1, 7, 8, 9, 1003}) {
    const Tensor a = Noise(1).normal({3, n}, at::kDouble), b = Noise(2).normal({3, n}, at::kDouble);
    EXPECT_TRUE(at::allclose(row_dot(a, b), (a * b).sum(1), 1e-12, 1e-12));
    EXPECT_TRUE(at::allclose(row_dot(a.to(at::kFloat), b.to(at::kFloat)),
                             (a.to(at::kFloat).to(at::kDouble) * b.to(at::kFloat).to(at::kDouble)).sum(1),
                             1e-12, 1e-12));
  }
  EXPECT_EQ(row_dot(at::ones({2, 3, 4}), at::ones({2, 3, 4})).scalar_type(), at::kDouble);
  EXPECT_EQ(row_dot(at::ones({0, 4}), at::ones({0, 4})).numel(), 0);
  EXPECT_TRUE(at::equal(row_dot(at::ones({2, 3}).t(), at::ones({3, 2})), at::full({3}, 2, at::kDouble)));
  EXPECT_THROW(row_dot(at::ones({2, 3}), at::ones({2, 4})), Error);
  EXPECT_THROW(row_dot(at::ones({2, 3}), at::ones({2, 3}, at::kDouble)), Error);
}

TEST(RowMatmul, GivesARowTheSameBitsAnywhere) {
  const int threads = at::get_num_threads();
  for (const auto& [n, k] : {std::pair{3, 1}, std::pair{1, 5}, std::pair{37, 41}, std::pair{300, 257}}) {
    for (const auto dtype : {at::kFloat, at::kDouble}) {
      const Tensor x = Noise(3).normal({75, n}, dtype), m = Noise(4).normal({n, k}, dtype);
      at::set_num_threads(2);
      const Tensor all = row_matmul(x, m);
      EXPECT_TRUE(at::allclose(all, x.matmul(m), 1e-4, 1e-4));
      at::set_num_threads(1);
      for (const int64_t start : {0, 1, 15, 40, 74}) {
        for (int64_t rows = 1; start + rows <= 75; rows += 17) {
          EXPECT_TRUE(at::equal(row_matmul(x.narrow(0, start, rows), m), all.narrow(0, start, rows)))
              << n << "x" << k << " rows " << start << "+" << rows;
        }
      }
    }
  }
  at::set_num_threads(threads);
}

}  // namespace
}  // namespace tweedie
