#include "core/special.h"

#include <gtest/gtest.h>

#include <cmath>

namespace tweedie {
namespace {

TEST(DiagnosticSpecial, Chi2IsKnownForTwoDegreesAndAtTabulatedPoints) {
  for (double x : {0.1, 1.0, 7.0}) EXPECT_NEAR(chi2_cdf(x, 2), 1 - std::exp(-x / 2), 1e-14);
  EXPECT_NEAR(chi2_tail(3.841458820694124, 1), 0.05, 1e-12);
  EXPECT_NEAR(chi2_cdf(3.247, 10), 0.025, 1e-5);
  EXPECT_EQ(chi2_cdf(0, 5), 0);
  EXPECT_EQ(chi2_tail(0, 5), 1);
}

// Wilson and Hilferty's cube root, whose error is O(1/k)
TEST(DiagnosticSpecial, Chi2HoldsForMillionsOfDegrees) {
  const double k = 4e6, x = k + 2 * std::sqrt(2 * k);
  const double z = (std::cbrt(x / k) - (1 - 2 / (9 * k))) / std::sqrt(2 / (9 * k));
  EXPECT_NEAR(chi2_cdf(x, k), normal_cdf(z), 1e-6);
}

TEST(DiagnosticSpecial, IncompleteBetaIsAPolynomialForIntegers) {
  for (double x : {0.01, 0.3, 0.5, 0.9}) {
    EXPECT_NEAR(incomplete_beta(2, 3, x), x * x * (6 - 8 * x + 3 * x * x), 1e-13);
    EXPECT_NEAR(incomplete_beta(2, 3, x) + incomplete_beta(3, 2, 1 - x), 1, 1e-13);
  }
}

TEST(DiagnosticSpecial, StudentTailIsKnown) {
  EXPECT_NEAR(student_t_tail(1, 1), 0.25, 1e-13);
  EXPECT_NEAR(student_t_tail(-1, 1), 0.75, 1e-13);
  EXPECT_NEAR(student_t_tail(2.228138851964939, 10), 0.025, 1e-10);
  EXPECT_NEAR(student_t_tail(1.5, 1e7), 1 - normal_cdf(1.5), 1e-6);
}

}  // namespace
}  // namespace tweedie
