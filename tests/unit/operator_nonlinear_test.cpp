// Operators that are not linear: each derivative against differences, each value against its definition.

#include "core/rows.h"
#include "core/shape.h"
#include "support/named_operator.h"
#include "tweedie/image_operators.h"
#include "tweedie/nonlinear_operators.h"
#include "tweedie/operator_check.h"

#include "check_tensor.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace tweedie {
namespace {

using Case = NamedOperator<ForwardOperatorPtr>;

PhaseRetrieval coded(CodedMask mask, bool complex, int64_t height, int64_t width) {
  PhaseRetrieval settings{.oversampling = 1.5, .complex = complex};
  settings.masks = coded_masks(mask, 3, height, width, Noise(2));
  return settings;
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {"PhaseRetrieval",
       [] {
         return make_phase_retrieval({2, 4, 5}, {});
       }},
      {"PhaseRetrievalIntensity",
       [] {
         return make_phase_retrieval({4, 5}, {.oversampling = 1, .detector = Detector::intensity});
       }},
      {"PhaseRetrievalComplex",
       [] {
         return make_phase_retrieval({2, 4, 5}, {.complex = true});
       }},
      {"PhaseRetrievalCoded",
       [] {
         return make_phase_retrieval({2, 4, 5}, coded(CodedMask::phase, false, 4, 5));
       }},
      {"PhaseRetrievalCodedBinary",
       [] {
         return make_phase_retrieval({4, 5}, coded(CodedMask::binary, false, 4, 5));
       }},
      {"PhaseRetrievalCodedComplex",
       [] {
         return make_phase_retrieval({2, 4, 5}, coded(CodedMask::phase, true, 4, 5));
       }},
      {"Clip",
       [] {
         return make_saturation({3, 5}, ToneCurve::clip, 2, -1, 1);
       }},
      {"Tanh",
       [] {
         return make_saturation({3, 5}, ToneCurve::tanh, 1.5, -0.5, 1);
       }},
      {"QuantisationWithoutDerivative",
       [] {
         return make_quantisation({3, 5}, 5, -1, 1, QuantiserDerivative::zero);
       }},
      {"Perspective",
       [] {
         return make_perspective({6, 3}, normal({3, 4}, 3), 0.1);
       }},
      {"PerspectiveOfTwoCameras",
       [] {
         return make_perspective({2, 3, 3}, normal({2, 3, 4}, 4), 0.1);
       }},
      {"Chain",
       [] {
         return in_turn({make_downsample({4, 6}, 2), make_saturation({2, 3}, ToneCurve::tanh, 1, -1, 1),
                         make_matrix({2, 3}, normal({4, 6}, 5))});
       }},
      {"Sum",
       [] {
         return sum_of({make_identity({3, 5}), make_saturation({3, 5}, ToneCurve::tanh, 1, -1, 1)});
       }},
      {"Stack",
       [] {
         return stack_of({make_phase_retrieval({4, 5}, {}), make_identity({4, 5})});
       }},
      {"BlockDiagonal",
       [] {
         return block_diagonal({make_saturation({1, 4}, ToneCurve::clip, 2, -1, 1), make_identity({2, 4})});
       }},
      {"Scaled",
       [] {
         return scaled(make_phase_retrieval({4, 5}, {}), -2);
       }},
  };
  return all;
}

class EveryNonlinearOperator : public testing::TestWithParam<Case> {
 protected:
  Tensor x(int64_t rows, at::ScalarType dtype = at::kDouble) const {
    return normal(with_batch(rows, a->domain()), 20, dtype);
  }
  Tensor v(int64_t rows, at::ScalarType dtype = at::kDouble) const {
    return normal(with_batch(rows, a->codomain()), 21, dtype);
  }
  ForwardOperatorPtr a = GetParam().make();
};

TEST_P(EveryNonlinearOperator, HasItsDerivative) {
  for (const auto& check : check_operator(*a))
    EXPECT_TRUE(check.passed()) << check.name << " " << check.value;
}

TEST_P(EveryNonlinearOperator, IsNotLinear) {
  EXPECT_EQ(std::dynamic_pointer_cast<const LinearOperator>(a), nullptr);
}

TEST_P(EveryNonlinearOperator, TreatsEachRowAlone) {
  for (const auto dtype : {at::kDouble, at::kFloat}) {
    const Tensor all = x(19, dtype), w = v(19, dtype), y = a->apply(all), g = a->vjp(all, w);
    EXPECT_EQ(y.scalar_type(), dtype);
    EXPECT_EQ(y.sizes().vec(), with_batch(19, a->codomain()));
    for (const int64_t start : {0, 3, 18}) {
      EXPECT_TRUE(at::equal(a->apply(all.narrow(0, start, 1)), y.narrow(0, start, 1)));
      EXPECT_TRUE(at::equal(a->vjp(all.narrow(0, start, 1), w.narrow(0, start, 1)), g.narrow(0, start, 1)));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Operators, EveryNonlinearOperator, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

// The derivative of |z|^2 without its 2, and one that forgets where the tone curve saturates.
class Wrong final : public ForwardOperator {
 public:
  Wrong(ForwardOperatorPtr a, bool constant) : a_(std::move(a)), constant_(constant) {}
  Shape domain() const override { return a_->domain(); }
  Shape codomain() const override { return a_->codomain(); }

 protected:
  Tensor do_apply(const Tensor& x) const override { return a_->apply(x); }
  Tensor do_vjp(const Tensor& x, const Tensor& v) const override { return constant_ ? v : a_->vjp(x, v) / 2; }

 private:
  ForwardOperatorPtr a_;
  bool constant_;
};

bool passes(const ForwardOperator& a) {
  const auto checks = check_operator(a);
  return std::all_of(checks.begin(), checks.end(), [](const auto& c) { return c.passed(); });
}

TEST(CheckOperator, RejectsAWrongDerivative) {
  const auto intensity = make_phase_retrieval({4, 5}, {.oversampling = 1, .detector = Detector::intensity});
  EXPECT_TRUE(passes(*intensity));
  EXPECT_FALSE(passes(Wrong(intensity, false)));
  const auto clip = make_saturation({4, 5}, ToneCurve::clip, 1, -1, 1);
  EXPECT_TRUE(passes(*clip));
  EXPECT_FALSE(passes(Wrong(clip, true)));
}

TEST(PhaseRetrieval, IsTheMagnitudeOfTheTransformOfThePaddedImage) {
  const Tensor x = normal({1, 3, 4}, 30);
  const Tensor y = make_phase_retrieval({3, 4}, {.oversampling = 2})->apply(x)[0];
  ASSERT_EQ(y.sizes().vec(), (Shape{6, 8}));
  for (const auto& [k, l] : {std::pair{0, 0}, std::pair{2, 7}, std::pair{5, 3}}) {
    double re = 0, im = 0;
    for (int64_t i = 0; i < 3; ++i) {
      for (int64_t j = 0; j < 4; ++j) {
        const double turn = -2 * M_PI * (k * static_cast<double>(i) / 6 + l * static_cast<double>(j) / 8);
        re += x[0][i][j].item<double>() * std::cos(turn);
        im += x[0][i][j].item<double>() * std::sin(turn);
      }
    }
    EXPECT_NEAR(y[k][l].item<double>(), std::hypot(re, im) / std::sqrt(48.0), 1e-13);
  }
  EXPECT_NEAR(y.square().sum().item<double>(), x.square().sum().item<double>(), 1e-12);  // Parseval
}

TEST(PhaseRetrieval, OfZeroHasADerivative) {
  const auto a = make_phase_retrieval({3, 4}, {});
  const Tensor g = a->vjp(at::zeros({1, 3, 4}, at::kDouble), at::ones({1, 6, 8}, at::kDouble));
  EXPECT_TRUE(at::equal(g, at::zeros_like(g)));
}

TEST(Saturation, ClipsAndBends) {
  const Tensor x = at::tensor({-3., -0.2, 0., 0.3, 5.}, at::kDouble).view({1, 5});
  const Tensor clipped = at::tensor({-1., -0.4, 0., 0.6, 1.}, at::kDouble).view({1, 5});
  EXPECT_TRUE(at::allclose(make_saturation({5}, ToneCurve::clip, 2, -1, 1)->apply(x), clipped));
  EXPECT_TRUE(at::allclose(make_saturation({5}, ToneCurve::tanh, 2, -1, 1)->apply(x), (2 * x).tanh()));
}

TEST(Quantisation, RoundsToItsLevels) {
  const auto a = make_quantisation({5}, 5, -1, 1, QuantiserDerivative::straight_through);
  const Tensor x = at::tensor({-3., -0.3, 0.2, 0.3, 1.}, at::kDouble).view({1, 5});
  const Tensor y = at::tensor({-1., -0.5, 0., 0.5, 1.}, at::kDouble).view({1, 5});
  EXPECT_TRUE(at::allclose(a->apply(x), y));
  EXPECT_TRUE(a->has_surrogate_derivative());
  const Tensor passed = at::tensor({0., 1., 1., 1., 1.}, at::kDouble).view({1, 5});
  EXPECT_TRUE(at::equal(a->vjp(x, at::ones_like(x)), passed));
  EXPECT_TRUE(in_turn({make_identity({5}), a})->has_surrogate_derivative());
}

// Depth 4, a shift of 0.2 of the camera: a shift of f b / depth in its image.
TEST(Perspective, SeesTheParallaxOfAStereoPair) {
  const Tensor k = at::tensor({2., 0., .5, 0., 2., .5, 0., 0., 1.}, at::kDouble).view({3, 3});
  const Tensor eye = at::eye(3, at::kDouble), none = at::zeros({3}, at::kDouble);
  const Tensor moved = at::tensor({-0.2, 0., 0.}, at::kDouble);
  const auto pair =
      make_perspective({1, 3}, at::stack({camera_matrix(k, eye, none), camera_matrix(k, eye, moved)}), 0.1);
  const Tensor y = pair->apply(at::tensor({1., -2., 4.}, at::kDouble).view({1, 1, 3}));
  ASSERT_EQ(y.sizes().vec(), (Shape{1, 2, 1, 2}));
  EXPECT_TRUE(at::allclose(y[0][0][0], at::tensor({1., -0.5}, at::kDouble)));
  EXPECT_TRUE(at::allclose(y[0][0][0] - y[0][1][0], at::tensor({2 * 0.2 / 4, 0.}, at::kDouble)));
  const Tensor behind = pair->apply(at::tensor({1., -2., -4.}, at::kDouble).view({1, 1, 3}));
  EXPECT_TRUE(behind.isfinite().all().item<bool>());
}

TEST(NonlinearOperators, RefuseWhatMakesNoSense) {
  EXPECT_THROW(make_phase_retrieval({5}, {}), Error);
  EXPECT_THROW(make_phase_retrieval({4, 5}, {.oversampling = 0.5}), Error);
  EXPECT_THROW(make_phase_retrieval({3, 4, 5}, {.complex = true}), Error);
  EXPECT_THROW(make_phase_retrieval({3, 4}, coded(CodedMask::phase, false, 4, 4)), Error);
  EXPECT_THROW(make_saturation({4}, ToneCurve::clip, 1, 1, 1), Error);
  EXPECT_THROW(make_saturation({4}, ToneCurve::clip, 0, -1, 1), Error);
  EXPECT_THROW(make_quantisation({4}, 1, -1, 1, QuantiserDerivative::zero), Error);
  EXPECT_THROW(make_perspective({4, 2}, normal({3, 4}, 1), 0.1), Error);
  EXPECT_THROW(make_perspective({4, 3}, normal({4, 4}, 1), 0.1), Error);
  EXPECT_THROW(make_perspective({4, 3}, normal({3, 4}, 1), 0), Error);
  const Tensor eye = at::eye(3, at::kDouble);
  EXPECT_THROW(camera_matrix(eye, 2 * eye, at::zeros({3}, at::kDouble)), Error);
  EXPECT_THROW(in_turn({make_identity({3}), make_saturation({4}, ToneCurve::clip, 1, -1, 1)}), Error);
  EXPECT_THROW(sum_of({make_identity({2, 2}), make_phase_retrieval({2, 2}, {})}), Error);
}

}  // namespace
}  // namespace tweedie
