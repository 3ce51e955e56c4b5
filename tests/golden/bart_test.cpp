// Fourier transforms, uniform and not, against BART's (make_bart.py). BART's gridding is good to some 1e-3.

#include "tweedie/array_io.h"
#include "tweedie/imaging.h"
#include "tweedie/nufft.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace tweedie {
namespace {

Tensor read(const char* name) {
  const Tensor x = read_array(std::string(TWEEDIE_SOURCE_DIR) + "/tests/golden/" + name);
  return x.to(x.is_complex() ? at::kComplexDouble : at::kDouble);
}

// (2, 12, 10): real and imaginary part
Tensor image() {
  const Tensor x = read("bart_image.npy");
  return at::stack({at::real(x), at::imag(x)});
}

double relative(const Tensor& value, const Tensor& truth) {
  return ((value - truth).norm() / truth.norm()).item<double>();
}

TEST(Bart, HasTheSameFourierTransform) {
  const auto a = make_fourier({2, 12, 10}, at::ones({12, 10}, at::kBool), {.complex = true});
  const Tensor y = at::view_as_complex(a->apply(image().unsqueeze(0))).reshape({12, 10}),
               bart = read("bart_fft.npy");
  EXPECT_LT(relative(y, bart), 1e-6);
  EXPECT_GT(relative(y.roll({1}, {1}), bart), 0.3);
  const auto corner =
      make_fourier({2, 12, 10}, at::ones({12, 10}, at::kBool), {.complex = true, .centred = false});
  EXPECT_GT(relative(at::view_as_complex(corner->apply(image().unsqueeze(0))).reshape({12, 10}), bart), 0.3);
}

TEST(Bart, HasTheSameNonuniformFourierTransform) {
  const Tensor k = read("bart_k.npy"), bart = read("bart_nufft.npy"), back = read("bart_adjoint.npy");
  const auto a = make_nufft({2, 12, 10}, k, {}, {.complex = true});
  EXPECT_LT(relative(at::view_as_complex(a->apply(image().unsqueeze(0)))[0], bart), 1e-2);
  const Tensor x = a->adjoint(at::view_as_real(bart).unsqueeze(0))[0];
  EXPECT_LT(relative(at::complex(x[0], x[1]), back), 1e-2);
  const auto exchanged = make_nufft({2, 12, 10}, k.flip({2}), {}, {.complex = true});
  EXPECT_GT(relative(at::view_as_complex(exchanged->apply(image().unsqueeze(0)))[0], bart), 0.3);
}

}  // namespace
}  // namespace tweedie
