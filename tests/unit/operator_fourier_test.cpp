// Fourier operators against direct sums, in complex128.

#include "operator/k_space.h"
#include "tweedie/imaging.h"

#include "check_tensor.h"
#include "support/imaging_cases.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace tweedie {
namespace {

// exp(-2 pi i (k - c) (r - c) / n) / sqrt(n), (n, n)
Tensor dft(int64_t n, int64_t c) {
  const Tensor i = at::arange(n, at::kDouble) - c;
  const Tensor angle = -2 * std::numbers::pi / static_cast<double>(n) * i.outer(i);
  return at::complex(angle.cos(), angle.sin()) / std::sqrt(static_cast<double>(n));
}

// The whole centred transform of complex images (B, H, W), by matrices
Tensor direct(const Tensor& x, bool centred) {
  const int64_t h = x.size(-2), w = x.size(-1);
  return at::matmul(at::matmul(dft(h, centred ? h / 2 : 0), x), dft(w, centred ? w / 2 : 0));
}

Tensor as_complex(const Tensor& x) {
  return at::complex(x.select(1, 0), x.select(1, 1));
}
Tensor as_channels(const Tensor& x) {
  return at::stack({at::real(x), at::imag(x)}, 1);
}

TEST(FourierOperator, IsTheDirectSum) {
  for (const auto& [h, w] :
       {std::pair<int64_t, int64_t>{8, 6}, {7, 9}, {1, 5}, {30, 22}, {64, 48}, {17, 128}}) {
    for (const bool centred : {true, false}) {
      const Tensor keep = h < 3 ? at::ones({h, w}, at::kBool) : some_mask(h, w, SamplingPattern::gaussian, 1);
      const auto a = make_fourier({2, h, w}, keep, {.complex = true, .centred = centred});
      const Tensor x = normal({3, 2, h, w}, 2), truth = direct(as_complex(x), centred);
      const Tensor kept = truth.flatten(1).index_select(1, keep.flatten().nonzero().flatten());
      EXPECT_LT(max_difference(a->apply(x), at::view_as_real(kept)), 1e-13) << h << " " << w;
      EXPECT_LT(max_difference(a->apply(x.to(at::kFloat)), at::view_as_real(kept)), 1e-5);
      const auto real = make_fourier({h, w}, keep, {.centred = centred});
      EXPECT_LT(
          max_difference(real->apply(x.select(1, 0)),
                         make_fourier({2, h, w}, keep, {.complex = true, .centred = centred})
                             ->apply(at::stack({x.select(1, 0), at::zeros({3, h, w}, at::kDouble)}, 1))),
          1e-14);
    }
  }
}

// A(i x) = i A(x) and <A x, y> = <x, A^H y>, the complex products.
TEST(FourierOperator, IsComplexLinear) {
  const Tensor s = some_sensitivities(3, 8, 6, 3), keep = some_mask(8, 6, SamplingPattern::lines, 4);
  const KSpaceOptions complex{.complex = true};
  for (const auto& a :
       {make_fourier({2, 8, 6}, keep, complex), make_multi_coil({2, 8, 6}, s, keep, complex)}) {
    const Tensor x = normal({2, 2, 8, 6}, 5), cx = as_complex(x);
    const c10::complex<double> i(0, 1);
    const Tensor ax = at::view_as_complex(a->apply(x));
    EXPECT_LT((at::view_as_complex(a->apply(as_channels(cx * i))) - ax * i).abs().max().item<double>(),
              1e-13);
    const Tensor y = normal(a->apply(x).sizes(), 6), cy = at::view_as_complex(y);
    const Tensor left = (ax * cy.conj()).sum(), right = (cx * as_complex(a->adjoint(y)).conj()).sum();
    EXPECT_LT((left - right).abs().item<double>(), 1e-12);
  }
}

TEST(MultiCoilOperator, IsTheFourierOperatorOfEachCoil) {
  const Tensor s = some_sensitivities(3, 8, 6, 7), keep = some_mask(8, 6, SamplingPattern::poisson, 8);
  const auto a = make_multi_coil({2, 8, 6}, s, keep, {.complex = true});
  const Tensor x = normal({2, 2, 8, 6}, 9), y = a->apply(x);
  for (int64_t c = 0; c < 3; ++c) {
    const auto one = make_fourier({2, 8, 6}, keep, {.complex = true});
    EXPECT_LT(max_difference(y.select(1, c), one->apply(as_channels(as_complex(x) * s[c]))), 1e-14);
  }
  EXPECT_LT(max_difference(a->normal(x), a->adjoint(y)), 1e-12);
}

// What is wrong in practice: a transform one entry off, a mask that is meant for the other layout, and the
// adjoint without the conjugate of the sensitivities. Each differs from the right one by as much as there is.
TEST(FourierOperator, IsToldFromItsWrongTwins) {
  const int64_t h = 16, w = 12;
  const Tensor keep = some_mask(h, w, SamplingPattern::lines, 10), x = normal({1, 2, h, w}, 11);
  const KSpaceOptions complex{.complex = true};
  const auto a = make_fourier({2, h, w}, keep, complex);
  const Tensor kept = keep.flatten().nonzero().flatten();
  const auto measured = [&](const Tensor& k) { return at::view_as_real(k.flatten(1).index_select(1, kept)); };
  const Tensor whole = direct(as_complex(x), true), y = a->apply(x);
  EXPECT_LT(max_difference(y, measured(whole)), 1e-13);
  EXPECT_GT(max_difference(y, measured(whole.roll({1}, {2}))), 0.3);                // shifted by one
  EXPECT_GT(max_difference(y, measured(whole.roll({h / 2, w / 2}, {1, 2}))), 0.3);  // masked before the shift
  EXPECT_GT(max_difference(y, measured(direct(as_complex(x), false))), 0.3);
  const Tensor s = some_sensitivities(2, h, w, 12), z = normal({1, 2, kept.numel(), 2}, 13);
  const auto coils = make_multi_coil({2, h, w}, s, keep, complex),
             wrong = make_multi_coil({2, h, w}, s.conj().resolve_conj(), keep, complex);
  const double right = (coils->apply(x) * z).sum().item<double>();
  EXPECT_NEAR((coils->adjoint(z) * x).sum().item<double>(), right, 1e-11);
  EXPECT_GT(std::abs((wrong->adjoint(z) * x).sum().item<double>() - right), 1);
}

TEST(FourierOperator, KnowsItsGrid) {
  const Tensor keep = some_mask(6, 5, SamplingPattern::gaussian, 14);
  const auto a = std::dynamic_pointer_cast<const CartesianOperator>(
      make_multi_coil({6, 5}, some_sensitivities(2, 6, 5, 15), keep));
  ASSERT_TRUE(a);
  EXPECT_EQ(a->grid(), (Shape{2, 6, 5, 2}));
  const Tensor y = normal({3, 2, keep.sum().item<int64_t>(), 2}, 16);
  EXPECT_TRUE(at::equal(a->measured(a->laid_out(y)), y));
  EXPECT_TRUE(a->laid_out(y).abs().sum(at::IntArrayRef{0, 1, 4}).gt(0).eq(keep).all().item<bool>());
}

TEST(SamplingMask, KeepsWhatItPromises) {
  const auto count = [](const Tensor& m) { return m.sum().item<int64_t>(); };
  const SamplingOptions lines{.pattern = SamplingPattern::lines, .acceleration = 4, .centre = 8};
  const Tensor m = sampling_mask(32, 64, lines, Noise(1));
  EXPECT_EQ(count(m), 16 * 32);
  EXPECT_TRUE(m.narrow(1, 28, 8).all().item<bool>());
  EXPECT_TRUE(m.eq(m[0]).all().item<bool>());
  EXPECT_TRUE(at::equal(m, sampling_mask(32, 64, lines, Noise(1))));
  EXPECT_FALSE(at::equal(m, sampling_mask(32, 64, lines, Noise(2))));
  SamplingOptions rows = lines;
  rows.columns = false;
  EXPECT_EQ(count(sampling_mask(64, 32, rows, Noise(1))), 16 * 32);
  const Tensor even = sampling_mask(
      8, 64, {.pattern = SamplingPattern::equispaced, .acceleration = 4, .centre = 0}, Noise(1));
  EXPECT_EQ(count(even), 16 * 8);
  EXPECT_TRUE(even[0][32].item<bool>());
  for (const auto pattern : {SamplingPattern::gaussian, SamplingPattern::poisson}) {
    const Tensor p = sampling_mask(48, 40, {.pattern = pattern, .acceleration = 5, .centre = 6}, Noise(3));
    EXPECT_EQ(count(p), 384);
    EXPECT_TRUE(p.narrow(0, 21, 6).narrow(1, 17, 6).all().item<bool>());
    // Denser in the middle: of an even pattern with the same centre 27 + 87 would be there.
    EXPECT_GT(count(p.narrow(0, 12, 24).narrow(1, 10, 20)), 150);
  }
}

// Neighbours in a Poisson disc are rarer than in a gaussian pattern of as many points.
TEST(SamplingMask, OfAPoissonDiscKeepsItsDistance) {
  const auto neighbours = [](SamplingPattern pattern) {
    const Tensor m =
        sampling_mask(64, 64, {.pattern = pattern, .acceleration = 8, .centre = 0, .spread = 10}, Noise(4));
    return m.narrow(1, 1, 63).logical_and(m.narrow(1, 0, 63)).sum().item<int64_t>();
  };
  EXPECT_LT(neighbours(SamplingPattern::poisson), 6);  // next to the centre the radius is below 1
  EXPECT_GT(neighbours(SamplingPattern::gaussian), 20);
}

TEST(Imaging, NamesWhatIsWrong) {
  const Tensor keep = at::ones({6, 5}, at::kBool), s = some_sensitivities(2, 6, 5, 1);
  expect_error([&] { make_fourier({6, 6}, keep); }, {"fourier.keep", "(6, 5)", "(6, 6)"});
  expect_error([&] { make_fourier({6, 5}, keep, {.complex = true}); }, {"fourier.domain", "(2, H, W)"});
  expect_error([&] { make_fourier({6, 5}, keep.logical_not()); }, {"fourier.keep", "none"});
  expect_error(
      [&] {
        make_multi_coil({6, 5}, some_sensitivities(2, 5, 6, 1), keep);
      },
      {"multi-coil.sensitivities", "(2, 5, 6)", "(coils, 6, 5)"});
  expect_error([&] { make_multi_coil({3, 6, 5}, s, keep); }, {"multi-coil.domain", "(3, 6, 5)"});
  expect_error([&] { make_multi_coil({6, 5}, at::zeros_like(s), keep); }, {"all zero"});
  const auto sampling = [](SamplingOptions o) { return [o] { sampling_mask(8, 8, o, Noise(1)); }; };
  expect_error(sampling({.acceleration = 0.5}), {"sampling.acceleration", "0.5"});
  expect_error(sampling({.pattern = SamplingPattern::lines, .acceleration = 4, .centre = 3}),
               {"sampling.centre", "3", "2"});
  expect_error(sampling({.centre = -1}), {"sampling.centre"});
  expect_error(sampling({.pattern = SamplingPattern::gaussian, .spread = 0}), {"sampling.spread"});
}

}  // namespace
}  // namespace tweedie
