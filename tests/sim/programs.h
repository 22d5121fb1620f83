// Small programs that the tests of explorations explore.
#ifndef WEFT_TESTS_SIM_PROGRAMS_H_
#define WEFT_TESTS_SIM_PROGRAMS_H_

#include <chrono>
#include <mutex>

#include "weft/backends/sim/explore.h"
#include "weft/backends/sim/failure.h"
#include "weft/backends/sim/sim.h"
#include "weft/runtime/future.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/task.h"

namespace weft::sim {

// A task that nobody awaits.
class StrayTask final : public Task {
 public:
  explicit StrayTask(Io& own) : Task(own, nullptr, {.name = "stray"}) {}

 private:
  void Run() override { (void)Sleep(io(), std::chrono::hours(1)); }
  void AnnounceEnd() override {}
};

// Two tasks that add to a counter, `times` each, by a load and a store.
inline void RacyCounter(Sim& io, int times) {
  internal::ExploredAtomic<int> counter{0};
  const auto add = [&] {
    for (int i = 0; i < times; ++i) counter.store(counter.load() + 1);
  };
  auto first = Async(io, {.name = "first"}, add);
  auto second = Async(io, {.name = "second"}, add);
  first.Await(io);
  second.Await(io);
  if (counter.load() != 2 * times) io.ReportFailure("an update was lost");
}

inline void RepairedCounter(Sim& io) {
  internal::ExploredAtomic<int> counter{0};
  const auto add = [&] { counter.fetch_add(1); };
  auto first = Async(io, add);
  auto second = Async(io, add);
  first.Await(io);
  second.Await(io);
  if (counter.load() != 2) io.ReportFailure("an update was lost");
}

// Two tasks that take two locks in opposite order.
inline void OppositeLocks(Sim& io) {
  internal::ExploredLock a;
  internal::ExploredLock b;
  const auto take = [](internal::ExploredLock& x, internal::ExploredLock& y) {
    const std::lock_guard outer(x);
    const std::lock_guard inner(y);
  };
  auto ab = Async(io, {.name = "ab"}, [&] { take(a, b); });
  auto ba = Async(io, {.name = "ba"}, [&] { take(b, a); });
  ab.Await(io);
  ba.Await(io);
}

// kOptions if there was no failure, which no test here looks for.
inline FailureKind KindOf(const ExploreResult& result) {
  return result.ok() ? FailureKind::kOptions : result.failure->kind;
}

// A task beside a body that has as many accesses to the same word.
inline void CountedProgram(Sim& io, int steps) {
  internal::ExploredAtomic<int> word{0};
  const auto use = [&] {
    for (int i = 0; i < steps; ++i) word.fetch_add(1);
  };
  auto task = Async(io, use);
  use();
  task.Await(io);
}

}  // namespace weft::sim

#endif  // WEFT_TESTS_SIM_PROGRAMS_H_
