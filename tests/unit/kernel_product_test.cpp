#include "kernel/product.h"

#include "check_tensor.h"

namespace tweedie {
namespace {

struct Sizes {
  int64_t m, k, n;
};

class Product : public testing::TestWithParam<Sizes> {
 protected:
  Sizes s = GetParam();
  Tensor a = normal({s.m, s.k}, 1, at::kFloat), b = normal({s.k, s.n}, 2, at::kFloat);
  int64_t columns = lanes_of(s.n);

  Tensor packed(StridedMatrix left, int64_t m, const Tensor& to, Addend addend = {}) const {
    const PackedMatrix matrix(b.data_ptr<float>(), s.n, 1, s.k, s.n);
    EXPECT_EQ(matrix.columns(), columns);
    multiply(left, matrix.view(), to.data_ptr<float>(), columns, m, s.k, columns, addend);
    return to.narrow(1, 0, s.n);
  }
  StridedMatrix rows(int64_t begin = 0) const { return {a.data_ptr<float>() + begin * s.k, s.k}; }
  Tensor exact() const { return at::matmul(a.to(at::kDouble), b.to(at::kDouble)); }
  // What a sum of k products rounds to at most, per unit of the sum of their sizes
  Tensor allowed() const {
    return (static_cast<double>(s.k) + 1) * 0x1p-24 * at::matmul(a.abs(), b.abs()).to(at::kDouble) + 1e-30;
  }
};

INSTANTIATE_TEST_SUITE_P(Shapes, Product,
                         testing::Values(Sizes{1, 1, 1}, Sizes{5, 7, 16}, Sizes{14, 64, 32},
                                         Sizes{17, 33, 40}, Sizes{29, 100, 96}, Sizes{64, 3, 100}));

TEST_P(Product, IsThatOfMatricesToRounding) {
  const Tensor to = at::full({s.m, columns}, 7.0F);
  const Tensor c = packed(rows(), s.m, to);
  EXPECT_TRUE(((c - exact()).abs() <= allowed()).all().item<bool>());
  EXPECT_FALSE(((c - exact()).abs() <= 1e-3 * allowed()).all().item<bool>() && s.k > 30);
  EXPECT_EQ(to.narrow(1, s.n, columns - s.n).abs().sum().item<float>(), 0);

  const Tensor there = at::ones({s.m, columns}), other = at::full({s.m, columns}, 2.0F),
               row = 1 + at::arange(columns, at::kFloat);
  const Tensor sum = packed(rows(), s.m, there, {.all = there.data_ptr<float>()});
  EXPECT_TRUE(((sum - exact() - 1).abs() <= allowed() + 1e-6).all().item<bool>());
  const Tensor moved = packed(rows(), s.m, at::empty({s.m, columns}),
                              {.all = other.data_ptr<float>(), .row = row.data_ptr<float>()});
  const Tensor row_only = packed(rows(), s.m, at::full({s.m, columns}, 7.0F), {.row = row.data_ptr<float>()});
  const auto near = [&](const Tensor& c) {
    return ((c - exact()).abs() <= allowed() + 2e-5).all().item<bool>();
  };
  EXPECT_TRUE(near(moved - 2 - row.narrow(0, 0, s.n)));
  EXPECT_TRUE(near(row_only - row.narrow(0, 0, s.n)));
  EXPECT_FALSE(near(moved - 2));
}

TEST_P(Product, TakesTransposes) {
  const Tensor transposed = a.t().contiguous();
  const Tensor c = packed({transposed.data_ptr<float>(), 1, s.m}, s.m, at::empty({s.m, columns}));
  EXPECT_TRUE(at::equal(c, packed(rows(), s.m, at::empty({s.m, columns}))));
  const Tensor b_transposed = b.t().contiguous();
  const PackedMatrix matrix(b_transposed.data_ptr<float>(), 1, s.k, s.k, s.n);
  const Tensor again = at::empty({s.m, columns});
  multiply(rows(), matrix.view(), again.data_ptr<float>(), columns, s.m, s.k, columns);
  EXPECT_TRUE(at::equal(again.narrow(1, 0, s.n), c));
}

TEST_P(Product, ARowsBitsDependOnThatRowAlone) {
  const Tensor all = packed(rows(), s.m, at::empty({s.m, columns}));
  for (int64_t i = 0; i < s.m; ++i) {
    EXPECT_TRUE(at::equal(packed(rows(i), 1, at::empty({1, columns}))[0], all[i]));
  }
}

}  // namespace
}  // namespace tweedie
