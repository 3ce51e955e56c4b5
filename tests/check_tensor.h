#pragma once
// What tests of arrays have in common.

#include "tweedie/error.h"
#include "tweedie/noise.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

namespace tweedie {

inline double max_difference(const Tensor& a, const Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

inline Tensor normal(at::IntArrayRef shape, uint64_t seed, at::ScalarType dtype = at::kDouble) {
  return Noise(seed).normal(shape, dtype);
}

// A well-conditioned random covariance
inline Tensor random_covariance(int64_t d, uint64_t seed) {
  const Tensor f = normal({d, d}, seed);
  return at::matmul(f, f.t()) / d + 0.1 * at::eye(d, at::kDouble);
}

// The statement throws Error whose line holds each of the pieces.
template <class Statement>
void expect_error(Statement statement, const std::vector<std::string>& pieces) {
  try {
    statement();
    ADD_FAILURE() << "no Error";
  } catch (const Error& e) {
    for (const auto& piece : pieces) EXPECT_THAT(e.what(), testing::HasSubstr(piece));
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << e.what();
  }
}

}  // namespace tweedie
