// Nothing is found in weft's own primitives: not with one preemption at every
// place, and not at random. tools/explore --primitives does the same with two
// preemptions and 100,000 schedules.
#include "weft/tests/bugs/primitives.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "weft/backends/sim/explore.h"
#include "weft/tests/sim/abandoned.h"

namespace weft::bugs {
namespace {

using namespace std::chrono_literals;
using sim::ExploreResult;
using sim::FindFailure;

class PrimitiveTest : public ::testing::TestWithParam<Program> {};
INSTANTIATE_TEST_SUITE_P(All, PrimitiveTest, ::testing::ValuesIn(Primitives()),
                         [](const auto& program) {
                           return std::string(program.param.name);
                         });

TEST_P(PrimitiveTest, IsRightWithOnePreemptionAnywhere) {
  const sim::KeepAbandoned keep;
  const ExploreResult result = FindFailure(
      {.schedules = 1'000'000, .strategy = "exhaustive1"}, GetParam().body);
  EXPECT_TRUE(result.ok()) << result.report;
  EXPECT_TRUE(result.complete) << result.report;
}

// As many schedules as there is time for, so that slow ways to run the tests
// stay bearable.
TEST_P(PrimitiveTest, IsRightInRandomSchedules) {
  const sim::KeepAbandoned keep;
  for (const char* strategy : {"random", "pct"}) {
    const ExploreResult result =
        FindFailure({.schedules = 100'000, .strategy = strategy, .time = 200ms},
                    GetParam().body);
    EXPECT_TRUE(result.ok()) << result.report;
  }
}

}  // namespace
}  // namespace weft::bugs
