// Operators of imaging from the words of a config file.

#include "tweedie/operator_options.h"

#include "check_tensor.h"
#include "core/shape.h"
#include "operator/k_space.h"
#include "operator/radon.h"
#include "support/imaging_cases.h"

#include <gtest/gtest.h>

#include <map>

namespace tweedie {
namespace {

LinearOperatorPtr make(const OperatorOptions& options, const Shape& domain,
                       const std::map<std::string, Tensor>& files = {}) {
  return std::dynamic_pointer_cast<const LinearOperator>(
      make_operator(options, domain, Noise(1), [&](const auto& path) { return files.at(path.string()); }));
}

const KSpace& k_space_of(const LinearOperatorPtr& a) {
  return dynamic_cast<const CartesianOperator&>(*a).k_space();
}

TEST(MakeImaging, SamplesWhatTheOptionsSay) {
  FourierOptions lines;
  lines.cartesian.sampling = {.pattern = SamplingPattern::lines, .acceleration = 2, .centre = 2};
  const auto a = make(lines, {1, 8, 12});
  EXPECT_EQ(a->codomain(), (Shape{48, 2}));
  EXPECT_TRUE(k_space_of(a).keep().narrow(1, 5, 2).all().item<bool>());
  lines.cartesian.k_space.centred = false;  // the same lines, with frequency 0 first
  EXPECT_TRUE(at::equal(k_space_of(make(lines, {8, 12})).keep().roll({4, 6}, {0, 1}), k_space_of(a).keep()));
  FourierOptions file;
  file.cartesian.mask = "mask.npy";
  const Tensor line = at::tensor({1, 0, 0, 1, 1, 0}, at::kByte);
  const Tensor keep = k_space_of(make(file, {4, 6}, {{"mask.npy", line}})).keep();
  EXPECT_TRUE(at::equal(keep, line.to(at::kBool).expand({4, 6})));
  EXPECT_TRUE(at::equal(k_space_of(make(file, {4, 6}, {{"mask.npy", keep}})).keep(), keep));
}

TEST(MakeImaging, MakesTheOthers) {
  const Tensor s = some_sensitivities(3, 8, 12, 1);
  MultiCoilOptions coils{.sensitivities = "s.npy", .cartesian = {}};
  coils.cartesian.k_space.complex = true;
  EXPECT_EQ(make(coils, {2, 8, 12}, {{"s.npy", s}})->codomain(), (Shape{3, 96, 2}));
  EXPECT_EQ(make(NufftOptions{.spokes = 5}, {8, 12})->codomain(), (Shape{5, 12, 2}));
  NufftOptions spiral{.trajectory = NufftOptions::Trajectory::spiral, .interleaves = 3};
  spiral.sensitivities = "s.npy";
  EXPECT_EQ(make(spiral, {8, 12}, {{"s.npy", s}})->codomain(), (Shape{3, 3, 38, 2}));  // 2 turns of pi 12 / 2
  const NufftOptions points{.trajectory = NufftOptions::Trajectory::file, .file = "k.npy"};
  EXPECT_EQ(make(points, {8, 12}, {{"k.npy", at::zeros({7, 2}, at::kDouble)}})->codomain(), (Shape{7, 2}));
  const auto geometry = [](const LinearOperatorPtr& a) {
    return dynamic_cast<const RadonOperator&>(*a).geometry();
  };
  const auto parallel = geometry(make(RadonOptions{.views = 4}, {1, 8, 6}));
  EXPECT_EQ(parallel.angles, (std::vector<double>{0, 45, 90, 135}));
  EXPECT_EQ(parallel.detectors, 10);  // the diagonal
  RadonOptions fan{.beam = RadonGeometry::Beam::fan_flat, .views = 2, .first = 10};
  fan.source_distance = 20;
  fan.detector_distance = 20;
  EXPECT_EQ(geometry(make(fan, {8, 6})).angles, (std::vector<double>{10, 190}));
  EXPECT_EQ(geometry(make(fan, {8, 6})).detectors, 21);  // 40 tan(asin(5 / 20)), twice
  fan.angles = "angles.npy";
  EXPECT_EQ(geometry(make(fan, {8, 6}, {{"angles.npy", at::tensor({3.0, 4.0}, at::kFloat)}})).angles,
            (std::vector<double>{3, 4}));
}

TEST(MakeImaging, SaysWhatIsWrongInTheConfigsWords) {
  const Shape image{8, 8};
  const auto expect = [&](const OperatorOptions& o, const std::map<std::string, Tensor>& files,
                          const std::vector<std::string>& pieces) {
    expect_error([&] { make(o, image, files); }, pieces);
  };
  const Tensor ones = at::ones({8, 8}, at::kByte);
  FourierOptions fourier;
  fourier.cartesian.sampling = {.pattern = SamplingPattern::lines, .acceleration = 4, .centre = 5};
  expect(fourier, {}, {"measurement.operator.centre", "5"});
  fourier.cartesian.mask = "m.npy";
  expect(fourier, {}, {"measurement.operator.pattern", "mask"});
  fourier.cartesian.sampling = {};
  expect(fourier, {{"m.npy", 2 * ones}}, {"measurement.operator.mask", "m.npy", "besides 0 and 1"});
  expect(fourier, {{"m.npy", ones.narrow(0, 0, 7)}}, {"measurement.operator.mask", "m.npy", "(7, 8)"});
  expect(fourier, {{"m.npy", 0 * ones}}, {"measurement.operator.mask", "m.npy", "none"});
  fourier.cartesian = {};
  fourier.cartesian.k_space.complex = true;
  expect(fourier, {}, {"measurement.operator: shape (8, 8)", "(2, H, W)"});
  expect(MultiCoilOptions{}, {}, {"measurement.operator.sensitivities", "no file"});
  const MultiCoilOptions coils{.sensitivities = "s.npy", .cartesian = {}};
  expect(coils, {{"s.npy", some_sensitivities(2, 9, 8, 1)}},
         {"measurement.operator.sensitivities", "s.npy", "(2, 9, 8)", "(coils, 8, 8)"});
  NufftOptions nufft{.trajectory = NufftOptions::Trajectory::file};
  expect(nufft, {}, {"measurement.operator.file", "no file"});
  nufft.file = "k.npy";
  expect(nufft, {{"k.npy", at::full({3, 2}, 4.0)}}, {"measurement.operator.file", "k.npy", "reaches 4"});
  nufft.sensitivities = "s.npy";
  expect(nufft, {{"k.npy", at::zeros({3, 2})}, {"s.npy", some_sensitivities(2, 8, 9, 1)}},
         {"measurement.operator.sensitivities", "s.npy", "(2, 8, 9)"});
  expect(NufftOptions{.spokes = 0}, {}, {"measurement.operator.spokes"});
  expect(RadonOptions{.beam = RadonGeometry::Beam::fan_arc}, {},
         {"measurement.operator.source_distance", "0"});
  RadonOptions radon{.angles = "a.npy"};
  expect(radon, {{"a.npy", at::zeros({2, 2})}}, {"measurement.operator.angles", "a.npy", "(2, 2)"});
  expect(radon, {{"a.npy", at::full({2}, NAN)}}, {"measurement.operator.angles", "a.npy"});
  fourier.cartesian = {};
  fourier.cartesian.sampling = {.pattern = SamplingPattern::lines, .acceleration = 4};
  expect(ComposeOptions{{{fourier}}}, {}, {"measurement.operator.parts[0].mask", "random lines"});
  // As a part of another, at the part's own place
  const OperatorPart identity{IdentityOptions{}};
  expect(ComposeOptions{{identity, {radon}}}, {{"a.npy", at::zeros({2, 2})}},
         {"measurement.operator.parts[1].angles", "a.npy"});
  expect(SumOptions{{{MultiCoilOptions{}}}}, {}, {"measurement.operator.parts[0].sensitivities", "no file"});
}

// k-space stays complex through whatever leaves it one array of pairs.
TEST(MakeImaging, MeasuresComplexNumbersAsAPartToo) {
  const Shape image{2, 8, 8};
  FourierOptions both;  // of two planes, real and imaginary
  both.cartesian.k_space.complex = true;
  NufftOptions radial{.spokes = 3};
  radial.settings.complex = true;
  const OperatorPart fourier{both}, one{FourierOptions{}}, nufft{radial}, identity{IdentityOptions{}};
  const auto complex = [&](const OperatorOptions& o) { return make(o, image)->measures_complex(); };
  EXPECT_TRUE(complex(ComposeOptions{{identity, fourier}}));
  EXPECT_TRUE(complex(ComposeOptions{{identity, nufft}}));
  EXPECT_TRUE(complex(ScaleOptions{.parts = {fourier}, .factor = 2}));
  EXPECT_TRUE(complex(SumOptions{{fourier, fourier}}));
  EXPECT_TRUE(complex(BlockDiagonalOptions{{one, one}}));
  EXPECT_FALSE(complex(StackOptions{{fourier, fourier}}));  // flattened
  EXPECT_FALSE(complex(ComposeOptions{{identity, identity}}));
  const auto takes = [&](const OperatorOptions& o) { return make(o, image)->takes_complex(); };
  EXPECT_TRUE(takes(ComposeOptions{{identity, fourier}}));
  EXPECT_TRUE(takes(ScaleOptions{.parts = {nufft}, .factor = 2}));
  EXPECT_TRUE(takes(StackOptions{{fourier, fourier}}));
  EXPECT_FALSE(takes(BlockDiagonalOptions{{one, one}}));  // two real images
  EXPECT_FALSE(takes(IdentityOptions{}));
}

}  // namespace
}  // namespace tweedie
