// Sim: the backend for tests. One thread runs all tasks as fibers; a strategy
// picks who runs at every scheduling point, and time is virtual.
//
//   weft::sim::Explore({.schedules = 10'000}, [](weft::Sim& io) {  // gtest.h
//     weft::Mutex<weft::Sim> mutex;
//     ...
//   });
//
// Explore runs a body in many schedules and is what tests use. A Sim of one's
// own, as below, runs one schedule per Run.
//
// **Scheduling points.** Others may run before each operation, each wait and
// wake, each cancel, each access to an atomic inside of a primitive, after
// each start of a task and before its end is known. Between two points a task
// runs alone: plain variables are safe there, and a race on them is found only
// if there is a point in between. Memory is sequentially consistent; weak
// memory is what ThreadSanitizer and hardware are for.
//
// **Time** moves only when no task can run, or when those that can do nothing
// but yield; then it jumps to where the next sleep or deadline ends. Those
// that end at once are woken at once, in an order that is the strategy's.
//
// **Threads.** All calls come from the thread that is in Run or Explore. Any
// other is a misuse that ends the program: what it did could not be replayed.
#ifndef WEFT_BACKENDS_SIM_SIM_H_
#define WEFT_BACKENDS_SIM_SIM_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/internal/root_task.h"
#include "weft/runtime/io.h"
#include "weft/runtime/options.h"

namespace weft {

class Sim;

namespace sim {
class Network;
class NetworkCore;
class Scheduler;
class Strategy;
}  // namespace sim

// Which schedules there are.
struct SimOptions {
  // What Random returns and who runs when follows from it. Each Run of a Sim
  // has a different schedule.
  uint64_t seed = 1;
  // As in sim/strategy.h.
  std::string strategy = "random";
  // After so many steps a schedule turns fair: every task that can run will,
  // whatever the strategy wants.
  uint64_t unfair_steps = 10'000;
  // A schedule that has more steps than this fails as a livelock.
  uint64_t max_steps = 1'000'000;
};

class Sim final : public Io {
 public:
  // Makes the primitives of Sim ask it before each access.
  using Atomics = internal::ExploredAtomics;

  // INVALID_ARGUMENT for an option that is out of range or does not apply, and
  // for a strategy there is not. FAILED_PRECONDITION on a thread with a shadow
  // stack (CET).
  static absl::StatusOr<std::unique_ptr<Sim>> Create(
      const Options& options = {}, const SimOptions& sim_options = {});
  ~Sim() override;

  // Calls `fn(io)` in a task, runs that and all tasks that it starts to their
  // end, on the calling thread, and returns what `fn` returns; what it throws
  // is thrown. A deadlock, a livelock or a task that is left running ends the
  // program with a message.
  template <class Fn>
  auto Run(Fn&& fn) {
    using Root = internal::RootTask<Sim, std::remove_reference_t<Fn>>;
    const internal::TaskPointer<Root> root(new Root(*this, fn));
    if (absl::Status status = RunToEnd(*root); !status.ok()) {
      return typename Root::Result(std::move(status));
    }
    return root->Take();
  }

  // Notes that the schedule that runs has failed, as EXPECT does in gtest.h;
  // it goes on to its end. Outside of Explore, ends the program with `what`.
  void ReportFailure(std::string_view what);

  // The simulated network, which is what net/ uses in tasks of a Sim; see
  // network.h. Descriptors of the kernel are not open here.
  sim::Network& network() { return *network_; }

  int64_t Perform(const Operation& operation) override;
  absl::Status Start(Task& task) override;
  void Interrupt(Task& task) override;
  void Yield() override;
  Task& CurrentTask(const char* call) override;
  WakeReason FutexWait(const std::atomic<uint32_t>& word, uint32_t expected,
                       const FutexWaitOptions& options) override;
  uint32_t FutexWake(const std::atomic<uint32_t>& word,
                     uint32_t count) override;
  absl::Status SleepUntil(MonotonicTime when) override;
  MonotonicTime Now() const override;
  WallTime WallNow() const override;
  uint64_t Random() override;
  Description Describe() const override;
  void Inspect(
      const std::shared_ptr<internal::TaskInspection>& inspection) override;

  // For Explore.
  sim::Scheduler& scheduler() { return *scheduler_; }

 private:
  Sim(const Options& options, const SimOptions& sim_options,
      std::unique_ptr<sim::Strategy> strategy);

  absl::Status RunToEnd(Task& root);
  // Ends the program unless a task of this Sim calls.
  void Require(const char* call) const;

  const std::unique_ptr<sim::Scheduler> scheduler_;
  const std::unique_ptr<sim::NetworkCore> core_;
  const std::unique_ptr<sim::Network> network_;
  const std::unique_ptr<sim::Strategy> strategy_;
  const uint64_t seed_;
  uint64_t runs_ = 0;
  // A thread is in Run. Only there for the check.
  std::atomic<bool> running_{false};
};

}  // namespace weft

#endif  // WEFT_BACKENDS_SIM_SIM_H_
