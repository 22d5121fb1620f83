// The default portfolio finds each bug within its budget, but for those that
// nobody has to find, and nothing is reported on its twin. tools/explore --bugs
// does the same with many seeds and 100,000 schedules of each twin.
#include "weft/tests/bugs/bugs.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "weft/backends/sim/explore.h"
#include "weft/tests/bugs/failures.h"
#include "weft/tests/sim/abandoned.h"

namespace weft::bugs {
namespace {

using sim::ExploreResult;
using sim::FindFailure;

class BugTest : public ::testing::TestWithParam<Bug> {};
INSTANTIATE_TEST_SUITE_P(All, BugTest, ::testing::ValuesIn(AllBugs()),
                         [](const auto& bug) {
                           return std::string(bug.param.name);
                         });

TEST_P(BugTest, IsFound) {
  if (GetParam().stretch) GTEST_SKIP() << "nobody has to find it";
  const sim::KeepAbandoned keep;
  const auto budget = static_cast<uint64_t>(GetParam().Budget());
  const ExploreResult result =
      FindFailure({.schedules = budget, .shrink = false}, GetParam().bug);
  EXPECT_FALSE(result.ok()) << result.report;
}

TEST_P(BugTest, IsNotReportedOnTheTwin) {
  const ExploreResult result =
      FindFailure({.schedules = 2'000}, GetParam().twin);
  EXPECT_TRUE(result.ok()) << result.report;
}

// Else the first failure could not be run again, in this process or another.
TEST(FailuresTest, SelectLocksInTheSameOrderInEverySchedule) {
  const sim::KeepAbandoned keep;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const ExploreResult result =
        FindFailure({.seed = seed, .shrink = false}, FailsInSelect);
    ASSERT_FALSE(result.ok()) << result.report;
    EXPECT_FALSE(result.token.empty()) << result.report;
  }
}

}  // namespace
}  // namespace weft::bugs
