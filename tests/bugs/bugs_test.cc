// The default portfolio finds each bug within its budget, and nothing is
// reported on its twin. tools/explore --bugs does the same with many
// seeds and 100,000 schedules of each twin.
#include "weft/tests/bugs/bugs.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "weft/backends/sim/explore.h"
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

}  // namespace
}  // namespace weft::bugs
