#include "weft/backends/sim/sim.h"

#include <cerrno>
#include <cstdlib>
#include <limits>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "weft/backends/sim/failure.h"
#include "weft/backends/sim/internal/network_core.h"
#include "weft/backends/sim/internal/scheduler.h"
#include "weft/backends/sim/internal/task_tree.h"
#include "weft/backends/sim/network.h"
#include "weft/backends/sim/strategy.h"
#include "weft/runtime/fiber/shadow_stack.h"
#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/current.h"
#include "weft/runtime/internal/stack_measure.h"
#include "weft/runtime/internal/write_error.h"
#include "weft/runtime/status.h"

namespace weft {
namespace {

// What the calendar says when the virtual clock shows zero: any day will do,
// if it is the same in every run.
constexpr WallTime kCalendarBeginning{
    std::chrono::seconds(1'700'000'000)};  // 14 November 2023

[[noreturn]] void Die(const sim::Failure& failure, uint64_t seed) {
  internal::WriteError(absl::StrCat(
      "weft: sim: ", Name(failure.kind), " at step ", failure.step, ", seed ",
      seed, ": ", failure.text, "\ntasks:\n", failure.tasks, "\n"));
  std::abort();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Sim>> Sim::Create(
    const Options& options, const SimOptions& sim_options) {
  absl::Status status = options.Validate();
  for (const auto& [name, given] :
       {std::pair("driver", options.driver.has_value()),
        {"workers", options.workers.has_value()},
        {"ring_entries", options.ring_entries.has_value()},
        {"idle_thread_timeout", options.idle_thread_timeout.has_value()},
        {"perturb_seed", options.perturb_seed.has_value()},
        {"watchdog", options.watchdog.has_value()},
        {"dump_signal", options.dump_signal.has_value()}}) {
    if (!given) continue;
    status.Update(absl::InvalidArgumentError(
        absl::StrCat("option ", name, ": does not apply to the sim backend")));
  }
  if (options.measure_stacks.value_or(false)) {
    status.Update(internal::CheckStacksCanBeMeasured());
  }
  status.Update(internal::CheckShadowStacks());
  if (!status.ok()) return status;
  absl::StatusOr<std::unique_ptr<sim::Strategy>> strategy =
      sim::MakeStrategy(sim_options.strategy);
  if (!strategy.ok()) return strategy.status();
  return std::unique_ptr<Sim>(
      new Sim(options, sim_options, *std::move(strategy)));
}

Sim::Sim(const Options& options, const SimOptions& sim_options,
         std::unique_ptr<sim::Strategy> strategy)
    : scheduler_(std::make_unique<sim::Scheduler>(
          *this,
          sim::Limits{
              .stack_size = options.stack_size.value_or(kDefaultStackSize),
              .max_tasks = options.max_tasks.value_or(
                  std::numeric_limits<uint32_t>::max()),
              .report_overflow = options.report_overflow.value_or(false),
              .measure_stacks = options.measure_stacks.value_or(false),
              .unfair_steps = sim_options.unfair_steps,
              .max_steps = sim_options.max_steps})),
      core_(std::make_unique<sim::NetworkCore>(*scheduler_)),
      network_(std::make_unique<sim::Network>(*core_)),
      strategy_(std::move(strategy)),
      seed_(sim_options.seed) {
  scheduler_->SetWorld(*core_);
}

Sim::~Sim() = default;

absl::Status Sim::RunToEnd(Task& root) {
  if (internal::current.worker_of != nullptr) {
    internal::Misuse(
        "Sim::Run was called in a task of Sim or on a worker of a backend, "
        "which it would block; call it from a plain thread");
  }
  if (running_.exchange(true, std::memory_order_acquire)) {
    internal::Misuse(
        "Sim::Run was called while another thread is in it; Sim runs all its "
        "tasks on one thread, one Run after the other");
  }
  const absl::Cleanup ran = [this] {
    running_.store(false, std::memory_order_release);
  };
  const uint64_t seed = internal::DeriveSeed(seed_, runs_++);
  if (!strategy_->Begin(seed)) {
    return absl::OutOfRangeError(
        "the strategy of this Sim has no schedule left");
  }
  if (absl::Status status =
          scheduler_->Run(root, {.strategy = *strategy_, .seed = seed});
      !status.ok()) {
    return status;
  }
  if (scheduler_->failure().has_value()) Die(*scheduler_->failure(), seed_);
  strategy_->End({.tasks = scheduler_->tasks(),
                  .decisions = scheduler_->history().decisions(),
                  .turned_fair = scheduler_->turned_fair()});
  return absl::OkStatus();
}

void Sim::ReportFailure(std::string_view what) {
  Require("ReportFailure");
  scheduler_->Fail(sim::FailureKind::kExpectation, what);
}

inline void Sim::Require(const char* call) const {
  if (internal::current.io == this) [[likely]]
    return;
  internal::Misuse(absl::StrCat(
      call, " was called with a Sim ",
      internal::current.io != nullptr ? "by a task of another backend or "
                                        "instance"
                                      : "outside of its tasks",
      ": Sim runs all its tasks on one thread, and what comes from elsewhere "
      "could not be replayed. Use the Io that the task was given, and start "
      "everything inside Sim::Run or Explore; see docs/crossing.md"));
}

int64_t Sim::Perform(const Operation& operation) {
  Require(Name(operation));
  scheduler_->Reach(sim::PointKind::kOperation, nullptr);
  if (const Interruption interruption = internal::current.task->GiveUp();
      interruption != Interruption::kNone) {
    return internal::InterruptionResult(interruption);
  }
  const int64_t result = core_->Perform(operation);
  scheduler_->ReachAfterOperation();
  return result;
}

absl::Status Sim::Start(Task& task) {
  Require("starting a task");
  return scheduler_->Start(task);
}

void Sim::Interrupt(Task& task) {
  Require("cancelling");
  scheduler_->Interrupt(task);
}

void Sim::Yield() {
  Require("Yield");
  scheduler_->Yield();
}

Task& Sim::CurrentTask(const char* call) {
  Require(call);
  return *internal::current.task;
}

WakeReason Sim::FutexWait(const std::atomic<uint32_t>& word, uint32_t expected,
                          const FutexWaitOptions& options) {
  Require("FutexWait");
  return scheduler_->FutexWait(word, expected, options);
}

uint32_t Sim::FutexWake(const std::atomic<uint32_t>& word, uint32_t count) {
  Require("FutexWake");
  return scheduler_->FutexWake(word, count);
}

absl::Status Sim::SleepUntil(MonotonicTime when) {
  Require("Sleep");
  return scheduler_->SleepUntil(when);
}

MonotonicTime Sim::Now() const { return scheduler_->ReadClock(); }

WallTime Sim::WallNow() const {
  return kCalendarBeginning + Now().time_since_epoch();
}

uint64_t Sim::Random() { return scheduler_->Random(); }

void Sim::Inspect(const std::shared_ptr<internal::TaskInspection>& inspection) {
  Require("DumpTasks");
  sim::InspectTasks(*scheduler_, *inspection);
}

Description Sim::Describe() const {
  return {.backend = "sim",
          .driver = "",
          .workers = 1,
          .details = absl::StrCat("seed ", seed_)};
}

}  // namespace weft
