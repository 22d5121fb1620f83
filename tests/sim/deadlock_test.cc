// Deadlocks: who waits for whom, and circles of waits while others go on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "weft/backends/sim/explore.h"
#include "weft/runtime/future.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/condition.h"
#include "weft/sync/event.h"
#include "weft/sync/mutex.h"
#include "weft/sync/once.h"
#include "weft/sync/semaphore.h"
#include "weft/sync/shared_mutex.h"
#include "weft/tests/sim/abandoned.h"
#include "weft/tests/sim/programs.h"

namespace weft::sim {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kPartial[] =
    "partial deadlock: these wait for ever, while others could go on\n";

// What the tasks of a test share.
struct Shared {
  Mutex<Sim> a;
  Mutex<Sim> b;
  SharedMutex<Sim> shared;
  SharedMutex<Sim> other_shared;
  Semaphore<Sim> permits{1, 1};
  Semaphore<Sim> other_permits{1, 1};
  Event<Sim> event;
};

using Part = std::function<void(Sim&, Shared&)>;

// Runs `parts` at the same time, and beside them a task that always has
// something to do: so no schedule comes to where nobody can go on.
ExploreResult Together(const std::vector<Part>& parts) {
  const KeepAbandoned keep;
  return FindFailure({.schedules = 1'000}, [&](Sim& io) {
    Shared shared;
    auto ticker = Async(io, {.name = "ticker"}, [&] {
      for (int i = 0; i < 200; ++i) (void)Sleep(io, 1ms);
    });
    std::vector<Future<void, Sim>> tasks;
    for (size_t i = 0; i < parts.size(); ++i) {
      tasks.push_back(Async(io, {.name = i == 0 ? "first" : "second"},
                            [&, i] { parts[i](io, shared); }));
    }
    ticker.Await(io);
  });
}

void ExpectPartial(const ExploreResult& result, const std::string& lines) {
  ASSERT_EQ(KindOf(result), FailureKind::kDeadlock) << result.report;
  EXPECT_THAT(result.failure->text,
              AllOf(StartsWith(kPartial), Not(HasSubstr("ticker")),
                    ContainsRegex(lines)));
}

// --- Circles ---------------------------------------------------------------

TEST(PartialDeadlockTest, TwoMutexesInOppositeOrder) {
  const ExploreResult result = Together({[](Sim& io, Shared& shared) {
                                           MutexLock outer(shared.a, io);
                                           MutexLock inner(shared.b, io);
                                         },
                                         [](Sim& io, Shared& shared) {
                                           MutexLock outer(shared.b, io);
                                           MutexLock inner(shared.a, io);
                                         }});
  // Both tasks, with both places.
  for (const char* lines :
       {"  task 2 'first' [(].*deadlock_test.cc:[0-9]+[)] waits for mutex "
        "#[0-9]+\n    task 3 'second' [(].*[)] holds mutex #[0-9]+ since step "
        "[0-9]+, taken at .*deadlock_test.cc:[0-9]+",
        "  task 3 'second' [(].*deadlock_test.cc:[0-9]+[)] waits for mutex "
        "#[0-9]+\n    task 2 'first' [(].*[)] holds mutex #[0-9]+ since step "
        "[0-9]+, taken at .*deadlock_test.cc:[0-9]+"}) {
    ExpectPartial(result, lines);
  }
}

TEST(PartialDeadlockTest, HolderAwaitsATaskThatWantsTheMutex) {
  const Part part = [](Sim& io, Shared& shared) {
    MutexLock lock(shared.a, io);
    auto child =
        Async(io, {.name = "child"}, [&] { MutexLock inner(shared.a, io); });
    // Neither is a way out: it is passed on, and the wait goes on.
    Deadline deadline(io, 1ms);
    child.Await(io);
  };
  const ExploreResult result = Together({part});
  ExpectPartial(result,
                "  task 2 'first' .* waits for the end of task 3 'child'");
  ExpectPartial(result,
                "  task 3 'child' .* waits for mutex #[0-9]+\n"
                "    task 2 'first' .* holds mutex #[0-9]+ since step");
}

TEST(PartialDeadlockTest, HolderAwaitsAGroupOfWhichOneTaskWantsTheMutex) {
  const Part part = [](Sim& io, Shared& shared) {
    MutexLock lock(shared.a, io);
    TaskGroup<Sim> group(io);
    group.Spawn([] {});
    group.Spawn([&] {
      auto grandchild = Async(io, {.name = "grandchild"},
                              [&] { MutexLock inner(shared.a, io); });
      grandchild.Await(io);
    });
  };
  ExpectPartial(Together({part}), "waits for the end of task group #[0-9]+");
}

TEST(PartialDeadlockTest, WritersOfTwoSharedMutexes) {
  ExpectPartial(Together({[](Sim& io, Shared& shared) {
                            ExclusiveLock outer(shared.shared, io);
                            SharedLock inner(shared.other_shared, io);
                          },
                          [](Sim& io, Shared& shared) {
                            ExclusiveLock outer(shared.other_shared, io);
                            SharedLock inner(shared.shared, io);
                          }}),
                "waits for a share of shared mutex #[0-9]+\n"
                "    task [23] .* holds shared mutex #[0-9]+ since step "
                "[0-9]+, taken at .*deadlock_test.cc:[0-9]+");
}

TEST(PartialDeadlockTest, WriterWaitsForAReaderThatWaitsForAMutex) {
  ExpectPartial(Together({[](Sim& io, Shared& shared) {
                            SharedLock outer(shared.shared, io);
                            MutexLock inner(shared.a, io);
                          },
                          [](Sim& io, Shared& shared) {
                            MutexLock outer(shared.a, io);
                            ExclusiveLock inner(shared.shared, io);
                          }}),
                "waits for shared mutex #[0-9]+\n"
                "    task 2 'first' .* holds shared mutex #[0-9]+, shared,");
}

TEST(PartialDeadlockTest, ReaderReadsAgainBehindAWriter) {
  ExpectPartial(Together({[](Sim& io, Shared& shared) {
                            SharedLock outer(shared.shared, io);
                            SharedLock inner(shared.shared, io);
                          },
                          [](Sim& io, Shared& shared) {
                            ExclusiveLock lock(shared.shared, io);
                          }}),
                "  task 2 'first' .* waits for a share of shared mutex");
}

// Locks and does not unlock, which the analysis would not let pass.
void KeepLocked(Sim& io, Mutex<Sim>& mutex) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  mutex.Lock(io);
}

TEST(PartialDeadlockTest, MutexIsKeptByATaskThatHasEnded) {
  ExpectPartial(
      Together({[](Sim& io, Shared& shared) { KeepLocked(io, shared.a); },
                [](Sim& io, Shared& shared) { MutexLock lock(shared.a, io); }}),
      "  task 3 'second' .* waits for mutex #[0-9]+\n"
      "    task 2, which has ended, holds mutex #[0-9]+ since step [0-9]+, "
      "taken at .*deadlock_test.cc:[0-9]+");
}

// --- No circles ------------------------------------------------------------

TEST(PartialDeadlockTest, WaitThatEndsByItselfIsNone) {
  const auto take = [](Sim& io, Mutex<Sim>& first, Mutex<Sim>& second) {
    MutexLock lock(first, io);
    if (second.TryLockFor(io, 1ms)) second.Unlock(io);
  };
  const ExploreResult result = Together(
      {[&](Sim& io, Shared& shared) { take(io, shared.a, shared.b); },
       [&](Sim& io, Shared& shared) { take(io, shared.b, shared.a); }});
  EXPECT_TRUE(result.ok()) << result.report;
}

TEST(PartialDeadlockTest, WaitThatACancelEndsIsNone) {
  const auto take = [](Sim& io, SharedMutex<Sim>& first,
                       SharedMutex<Sim>& second) {
    ExclusiveLock lock(first, io);
    CancelScope scope(io);
    auto canceller = Async(io, [&] {
      (void)Sleep(io, 1ms);
      scope.Cancel();
    });
    if (second.LockUnlessCancelled(io)) second.Unlock(io);
    canceller.Await(io);
  };
  const ExploreResult result =
      Together({[&](Sim& io, Shared& shared) {
                  take(io, shared.shared, shared.other_shared);
                },
                [&](Sim& io, Shared& shared) {
                  take(io, shared.other_shared, shared.shared);
                }});
  EXPECT_TRUE(result.ok()) << result.report;
}

TEST(PartialDeadlockTest, ReaderBehindAWriterThatGivesUpIsNone) {
  const ExploreResult result =
      Together({[](Sim& io, Shared& shared) {
                  SharedLock outer(shared.shared, io);
                  SharedLock inner(shared.shared, io);
                },
                [](Sim& io, Shared& shared) {
                  if (shared.shared.TryLockFor(io, 1ms)) {
                    shared.shared.Unlock(io);
                  }
                }});
  EXPECT_TRUE(result.ok()) << result.report;
}

TEST(PartialDeadlockTest, PermitsThatAnotherTaskGivesBackAreNone) {
  const auto take = [](Sim& io, Semaphore<Sim>& first, Semaphore<Sim>& second) {
    EXPECT_TRUE(first.Acquire(io).ok());
    EXPECT_TRUE(second.Acquire(io).ok());
  };
  const ExploreResult result =
      Together({[&](Sim& io, Shared& shared) {
                  take(io, shared.permits, shared.other_permits);
                },
                [&](Sim& io, Shared& shared) {
                  take(io, shared.other_permits, shared.permits);
                },
                [](Sim& io, Shared& shared) {
                  for (Semaphore<Sim>* permits :
                       {&shared.permits, &shared.other_permits}) {
                    while (permits->permits() == 1) (void)Sleep(io, 1ms);
                    permits->Release(io);
                  }
                }});
  EXPECT_TRUE(result.ok()) << result.report;
}

TEST(PartialDeadlockTest, HolderThatWaitsForAnEventIsNone) {
  const ExploreResult result =
      Together({[](Sim& io, Shared& shared) {
                  MutexLock lock(shared.a, io);
                  (void)shared.event.Wait(io);
                },
                [](Sim& io, Shared& shared) { MutexLock lock(shared.a, io); },
                [](Sim& io, Shared& shared) {
                  (void)Sleep(io, 5ms);
                  shared.event.Set(io);
                }});
  EXPECT_TRUE(result.ok()) << result.report;
}

// --- Who holds it ----------------------------------------------------------

TEST(DeadlockReportTest, NamesWhoHoldsWhat) {
  const KeepAbandoned keep;
  const ExploreResult result = FindFailure({}, [](Sim& io) {
    Semaphore<Sim> permits(3, 3);
    Once<Sim> once;
    EXPECT_TRUE(permits.Acquire(io, 2).ok());
    auto runner = Async(io, {.name = "runner"}, [&] {
      return once.Run(io, [&] { return permits.Acquire(io, 2); });
    });
    while (permits.waiters() == 0) io.Yield();
    (void)once.Run(io, [] {});
  });
  ASSERT_EQ(KindOf(result), FailureKind::kDeadlock) << result.report;
  EXPECT_THAT(
      result.failure->tasks,
      ::testing::MatchesRegex(
          "  0 'body' waits for once #[0-9]+, since step [0-9]+\n"
          "      task 1 'runner' .* holds once #[0-9]+ since step [0-9]+\n"
          "      holds 2 of semaphore #[0-9]+ since step [0-9]+\n"
          "    1 'runner' .* waits for semaphore #[0-9]+, since step [0-9]+\n"
          "        task 0 'body' holds 2 of semaphore #[0-9]+ since step "
          "[0-9]+\n"
          "        holds once #[0-9]+ since step [0-9]+"));
}

TEST(DeadlockReportTest, TellsOfTheNotifyThatWasLost) {
  const KeepAbandoned keep;
  const auto body = [](Sim& io, bool early) {
    Mutex<Sim> mutex;
    Condition<Sim> condition;
    const auto wait = [&] {
      MutexLock lock(mutex, io);
      (void)condition.Wait(io, mutex);
    };
    if (early) condition.NotifyOne(io);
    auto first = Async(io, {.name = "first"}, wait);
    auto second = Async(io, {.name = "second"}, wait);
    if (!early) {
      while (condition.waiters() < 2) io.Yield();
      condition.NotifyOne(io);
    }
    first.Await(io);
    second.Await(io);
  };
  ExploreResult result =
      FindFailure({}, [&](Sim& io) { body(io, /*early=*/true); });
  ASSERT_EQ(KindOf(result), FailureKind::kDeadlock) << result.report;
  EXPECT_THAT(result.failure->tasks,
              ContainsRegex("waits for condition #[0-9]+, since step [0-9]+\n"
                            " +it was last notified at step [0-9]+ by task 0 "
                            "'body' while nobody waited"));
  result = FindFailure({}, [&](Sim& io) { body(io, /*early=*/false); });
  ASSERT_EQ(KindOf(result), FailureKind::kDeadlock) << result.report;
  EXPECT_THAT(result.failure->tasks,
              ContainsRegex("it was last notified at step [0-9]+ by task 0 "
                            "'body', which woke task [12], which has ended"));
}

}  // namespace
}  // namespace weft::sim
