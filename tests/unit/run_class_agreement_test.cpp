#include "run/class_agreement.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace tweedie {
namespace {

const Tensor labels = at::tensor({0, 0, 0, 2, 2}, at::kLong), seen = at::tensor({0, 2, 2, 2, 1}, at::kLong);

TEST(ClassAgreement, RowsOfTheConfusionAreLabelsAndColumnsWhatIsSeen) {
  const Tensor expected = at::tensor({1, 0, 2, 0, 0, 0, 0, 1, 1}, at::kLong).reshape({3, 3});
  EXPECT_TRUE(confusion_of(labels, seen, 3).equal(expected));
  EXPECT_FALSE(confusion_of(seen, labels, 3).equal(expected));
}

TEST(ClassAgreement, TableHasClassesThatWereDrawnAndTheirCommonestMistake) {
  Summary summary;
  EXPECT_EQ(class_table(summary), "");
  summary["class_agreement"] = 0.4;
  summary["class_confusion"]["draws"] = {{1, 0, 3}, {0, 0, 0}, {0, 0, 4}};
  const std::string alone = class_table(summary);
  EXPECT_NE(alone.find("| 0 | 4 | 25.0 ± 21.7% |  | 2 | 75.0 ± 21.7% |  |\n"), std::string::npos) << alone;
  EXPECT_EQ(alone.find("| 1 |"), std::string::npos) << alone;
  EXPECT_NE(alone.find("| 2 | 4 | 100.0 ± 0.0% |  |  |  |  |\n"), std::string::npos) << alone;
  summary["class_confusion"]["data"] = {{9, 0, 1}, {0, 10, 0}, {0, 0, 0}};
  const std::string beside = class_table(summary);
  EXPECT_NE(beside.find("| 25.0 ± 21.7% | 90.0 ± 9.5% | 2 | 75.0 ± 21.7% | 10.0 ± 9.5% |\n"),
            std::string::npos)
      << beside;
}

}  // namespace
}  // namespace tweedie
