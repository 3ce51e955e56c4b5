#include "network/norm_silu.h"

#include "check_tensor.h"

#include <torch/csrc/autograd/autograd.h>

#include <cmath>

namespace tweedie {
namespace {

constexpr double bf16_rounding = 1.0 / 256;  // half a unit in the last place, relative

struct Values {
  Tensor y, dx, dscale, dshift;
  std::vector<std::pair<const char*, Tensor>> all() const {
    return {{"y", y}, {"dx", dx}, {"dscale", dscale}, {"dshift", dshift}};
  }
};

template <class Function>
Values evaluate(Function f, const Tensor& x, const Tensor& scale, const Tensor& shift, const Tensor& dy) {
  const at::AutoGradMode gradients(true);
  const std::vector<Tensor> inputs{x.detach().requires_grad_(), scale.detach().requires_grad_(),
                                   shift.detach().requires_grad_()};
  const Tensor y = f(inputs[0], inputs[1], inputs[2]);
  const auto g = torch::autograd::grad({y}, inputs, {dy});
  return {y.detach(), g[0], g[1], g[2]};
}

struct Sizes {
  int64_t rows, channels, height, width, groups, modulated_rows;
};

class NormSilu : public testing::TestWithParam<Sizes> {
 protected:
  // Largest difference of the fused path from the formula in float64 on the same inputs, against
  // allowed (1 + |value|)
  void expect_near_reference(at::ScalarType dtype, double allowed) {
    const auto [rows, channels, height, width, groups, modulated] = GetParam();
    const Tensor x = normal({rows, channels, height, width}, 1).to(dtype),
                 dy = normal(x.sizes(), 2).to(dtype);
    const Tensor scale = (1 + normal({modulated, channels}, 3) / 2).to(dtype);
    const Tensor shift = normal({modulated, channels}, 4).to(dtype);
    const auto wide = [](const Tensor& t) { return t.to(at::kDouble); };
    const int64_t g = groups;
    const Values exact = evaluate(
        [g](const Tensor& a, const Tensor& b, const Tensor& c) { return norm_silu_reference(a, b, c, g); },
        wide(x), wide(scale), wide(shift), wide(dy));
    for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
      const Values fused =
          evaluate([g](const Tensor& a, const Tensor& b, const Tensor& c) { return norm_silu(a, b, c, g); },
                   x.contiguous(format), scale, shift, dy);
      for (size_t i = 0; i < 4; ++i) {
        const auto [name, value] = fused.all()[i];
        const Tensor truth = exact.all()[i].second;
        ASSERT_EQ(value.sizes(), truth.sizes());
        EXPECT_EQ(value.scalar_type(), dtype);
        EXPECT_LT(((wide(value) - truth).abs() / (1 + truth.abs())).max().item<double>(), allowed) << name;
      }
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Shapes, NormSilu,
                         testing::Values(Sizes{2, 8, 5, 3, 2, 2}, Sizes{3, 32, 8, 8, 8, 1},
                                         Sizes{1, 4, 1, 1, 1, 1},  // one pixel
                                         Sizes{2, 8, 1, 1, 2, 2}, Sizes{2, 6, 7, 1, 6, 1},
                                         Sizes{5, 20, 16, 9, 5, 5}));

TEST_P(NormSilu, IsTheFormulaInFloat32) {
  expect_near_reference(at::kFloat, 1e-5);
}

TEST_P(NormSilu, IsTheFormulaInBfloat16) {
  expect_near_reference(at::kBFloat16, bf16_rounding);
}

// Other dtypes take the plain path.
TEST(NormSiluDouble, IsTheReference) {
  const Tensor x = normal({2, 8, 3, 3}, 1), scale = normal({2, 8}, 2), shift = normal({1, 8}, 3);
  EXPECT_TRUE(at::equal(norm_silu(x, scale, shift.expand({2, 8}), 4),
                        norm_silu_reference(x, scale, shift.expand({2, 8}), 4)));
}

double offset_error(double offset, const Tensor& variance_of) {
  const Tensor x = (offset + normal({2, 8, 16, 16}, 5)).to(at::kFloat);
  const Tensor one = at::ones({1, 8}), zero = at::zeros({1, 8});
  const Tensor exact = norm_silu_reference(x.to(at::kDouble), one.to(at::kDouble), zero.to(at::kDouble), 2);
  if (!variance_of.defined()) return max_difference(norm_silu(x, one, zero, 2), exact);
  // Mean square less squared mean, in float32
  const Tensor flat = x.reshape({2, 2, -1});
  const Tensor mean = flat.mean({2}, true), variance = flat.square().mean({2}, true) - mean.square();
  return max_difference(at::silu((flat - mean) / (variance.clamp_min(0) + 1e-5).sqrt()).view_as(x), exact);
}

// What is left is the rounding of x itself, offset 2^-24 in units of the standard deviation.
TEST(NormSiluOffset, StaysAccurate) {
  for (const double offset : {0.0, 100.0, 1e4}) {
    EXPECT_LT(offset_error(offset, {}), 1e-5 + 4 * offset * 0x1p-24) << offset;
  }
  EXPECT_GT(offset_error(1e4, at::ones({1})), 0.05);
}

TEST(NormSiluExtremes, StayFinite) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const double size : {100.0, 1e4, 1e8}) {
      const Tensor x = normal({2, 8, 4, 4}, 6).to(dtype);
      const Tensor scale = at::full({1, 8}, size, dtype), shift = at::zeros({1, 8}, dtype);
      const auto fused = [](const Tensor& a, const Tensor& b, const Tensor& c) {
        return norm_silu(a, b, c, 4);
      };
      const Values v = evaluate(fused, x, scale, shift, at::ones_like(x));
      for (const auto& [name, value] : v.all()) {
        EXPECT_TRUE(value.isfinite().all().item<bool>()) << name << " at " << size;
      }
      // silu(z) is z on the right and 0 on the left; z errs as x does, in units of the scale.
      const Tensor z = size * at::group_norm(x.to(at::kDouble), 4, {}, {}, 1e-5);
      const double allowed = dtype == at::kFloat ? 2e-6 : bf16_rounding;
      EXPECT_LT(((v.y - at::silu(z)) / (size + z.abs())).abs().max().item<double>(), allowed);
      EXPECT_LT(v.y.masked_select(z.lt(-100)).abs().max().item<double>(), 1e-20);
    }
  }
  // A constant image has no variance.
  const Tensor flat = at::full({1, 4, 3, 3}, 7.0F);
  EXPECT_EQ(norm_silu(flat, at::ones({1, 4}), at::zeros({1, 4}), 1).abs().max().item<double>(), 0);
}

}  // namespace
}  // namespace tweedie
