// Every class on weft, and every wrong twin, at the flags of this build.
// tools/switch-matrix does the same at many.
#include <gtest/gtest.h>

#include <vector>

#include "weft/tests/switch/adapters/evented.h"
#include "weft/tests/switch/adapters/weft.h"
#include "weft/tests/switch/classes/s01_migration.h"
#include "weft/tests/switch/classes/s02_errno.h"
#include "weft/tests/switch/classes/s03_exceptions.h"
#include "weft/tests/switch/classes/s04_floating_point.h"
#include "weft/tests/switch/classes/s05_alignment.h"
#include "weft/tests/switch/classes/s06_registers.h"
#include "weft/tests/switch/classes/s07_current.h"
#include "weft/tests/switch/classes/s08_readied_before_saved.h"
#include "weft/tests/switch/classes/s09_shadow_stack.h"
#include "weft/tests/switch/classes/s10_end_of_walk.h"
#include "weft/tests/switch/classes/s11_escaping_exception.h"
#include "weft/tests/switch/classes/s12_forced_unwinding.h"
#include "weft/tests/switch/classes/s13_sanitizers.h"
#include "weft/tests/switch/classes/s14_overflow.h"
#include "weft/tests/switch/classes/s15_signal_frame.h"
#include "weft/tests/switch/classes/s16_fork.h"
#include "weft/tests/switch/classes/s17_foreign_lock.h"
#include "weft/tests/switch/classes/s18_library_state.h"
#include "weft/tests/switch/classes/s19_deep_stacks.h"
#include "weft/tests/switch/run_check.h"
#include "weft/tests/switch/twins.h"
#include "weft/tests/switch/wrong_policies.h"
#include "weft/tests/switch/wrong_switches.h"

namespace weft::switches {
namespace {

struct Row {
  const char* name;
  Check right;
  std::vector<Check> twins;
};

template <class... Classes>
std::vector<Row> RowsOf() {
  return {Row{.name = Classes::kName,
              .right = CheckOf<Classes, WeftSwitch>(),
              .twins = TwinsOf<Classes>::template All<Classes>()}...};
}

class SwitchTest : public testing::TestWithParam<Row> {};

TEST_P(SwitchTest, WeftPasses) {
  const Outcome outcome = RunCheck(GetParam().right.run);
  if (outcome.verdict == Verdict::kCannot) GTEST_SKIP() << outcome.message;
  EXPECT_EQ(outcome.verdict, Verdict::kPassed) << outcome.message;
}

TEST_P(SwitchTest, EveryWrongTwinIsCaught) {
  if (GetParam().twins.empty()) GTEST_SKIP() << "no twin on this processor";
  for (const Check& twin : GetParam().twins) {
    const Outcome outcome = RunCheck(twin.run);
    if (outcome.verdict == Verdict::kCannot) GTEST_SKIP() << outcome.message;
    EXPECT_TRUE(IsCaught(outcome)) << twin.name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Classes, SwitchTest,
    testing::ValuesIn(
        RowsOf<s01_migration::Class, s02_errno::Class, s03_exceptions::Class,
               s04_floating_point::Class, s05_alignment::Class,
               s06_registers::Class, s07_current::Class,
               s08_readied_before_saved::Class, s09_shadow_stack::Class,
               s10_end_of_walk::Class, s11_escaping_exception::Class,
               s12_forced_unwinding::Class, s13_sanitizers::Class,
               s14_overflow::Class, s15_signal_frame::Class, s16_fork::Class,
               s17_foreign_lock::Class, s18_library_state::Class,
               s19_deep_stacks::Class>()),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace weft::switches
