// Explore: a GoogleTest test in many schedules.
//
//   TEST(Counter, LosesNoUpdate) {
//     weft::sim::Explore({.schedules = 1'000}, [](weft::Sim& io) {
//       ...
//       EXPECT_EQ(counter, 2);
//     });
//   }
//
// EXPECT and ASSERT in the body and in its tasks belong to the schedule: the
// first schedule in which one fails ends the exploration, and the test fails
// with one report, which says how to replay that schedule. ASSERT leaves the
// function it stands in, as always.
//
// This header is the only one of weft that needs GoogleTest; programs that
// include it link it themselves.
#ifndef WEFT_BACKENDS_SIM_GTEST_H_
#define WEFT_BACKENDS_SIM_GTEST_H_

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "weft/backends/sim/explore.h"

namespace weft::sim {
namespace internal_gtest {

// Gives failed expectations of this thread to the schedule that runs.
class Expectations final : public ::testing::ScopedFakeTestPartResultReporter {
 public:
  Expectations()
      : ScopedFakeTestPartResultReporter(INTERCEPT_ONLY_CURRENT_THREAD,
                                         &unused_) {}

  void BelongTo(Sim& sim) { sim_ = &sim; }

  void ReportTestPartResult(const ::testing::TestPartResult& result) override {
    if (!result.failed() || sim_ == nullptr) return;
    sim_->ReportFailure(
        absl::StrCat(result.file_name() == nullptr ? "" : result.file_name(),
                     ":", result.line_number(), ": ", result.message()));
  }

 private:
  ::testing::TestPartResultArray unused_;
  Sim* sim_ = nullptr;
};

}  // namespace internal_gtest

// Runs `body` in many schedules (explore.h); the test fails if one of them
// fails. Returns what FindFailure does. The last two are where the call
// stands.
inline ExploreResult Explore(const ExploreOptions& options,
                             const std::function<void(Sim&)>& body,
                             const char* file = __builtin_FILE(),
                             int line = __builtin_LINE()) {
  const ExploreResult result = [&] {
    internal_gtest::Expectations expectations;
    return FindFailure(options, [&](Sim& sim) {
      expectations.BelongTo(sim);
      body(sim);
    });
  }();
  if (!result.ok()) {
    ADD_FAILURE_AT(file, line) << result.report;
  }
  return result;
}

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_GTEST_H_
