#include "weft/backends/evented/evented.h"

#include <pthread.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "weft/backends/evented/internal/worker.h"
#include "weft/backends/evented/internal/worker_group.h"
#include "weft/runtime/fiber/shadow_stack.h"
#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/current.h"
#include "weft/runtime/internal/parking_lot.h"
#include "weft/runtime/internal/processors.h"
#include "weft/runtime/internal/random.h"
#include "weft/runtime/internal/stack_measure.h"

namespace weft {
namespace {

using internal::Worker;

constexpr uint32_t kDefaultRingEntries = 512;
constexpr uint32_t kMostWorkers = 256;
constexpr Duration kDefaultWatchdog = std::chrono::seconds(1);

uint32_t DefaultWorkers() {
  return std::min(internal::AvailableProcessors(), kMostWorkers);
}

std::string ThreadName() {
  char name[16] = "";
  pthread_getname_np(pthread_self(), name, sizeof(name));
  return name;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Evented>> Evented::Create(
    const Options& options) {
  absl::Status status = options.Validate();
  if (options.idle_thread_timeout.has_value()) {
    status.Update(absl::InvalidArgumentError(
        "option idle_thread_timeout: does not apply to the evented backend"));
  }
  if (options.driver == DriverKind::kEpoll) {
    status.Update(absl::UnimplementedError(
        "option driver: this version has no epoll driver; give auto or "
        "uring"));
  }
  if (options.measure_stacks.value_or(false)) {
    status.Update(internal::CheckStacksCanBeMeasured());
  }
  status.Update(internal::CheckShadowStacks());
  if (!status.ok()) return status;
  std::unique_ptr<Evented> evented(new Evented(options));
  status = evented->group_->Start();
  if (!status.ok()) return status;
  return evented;
}

Evented::Evented(const Options& options)
    : group_(std::make_unique<internal::WorkerGroup>(
          *this,
          internal::WorkerGroupOptions{
              .workers = options.workers.has_value() ? *options.workers
                                                     : DefaultWorkers(),
              .ring_entries =
                  options.ring_entries.value_or(kDefaultRingEntries),
              .stack_size = options.stack_size.value_or(kDefaultStackSize),
              .max_tasks = options.max_tasks.value_or(
                  std::numeric_limits<uint32_t>::max()),
              .report_overflow = options.report_overflow.value_or(false),
              .measure_stacks = options.measure_stacks.value_or(false),
              .perturb_seed = options.perturb_seed.value_or(0),
              .watchdog = options.watchdog.value_or(kDefaultWatchdog),
              .dump_signal = options.dump_signal.value_or(0)})) {}

Evented::~Evented() {
  RefuseOnWorker("~Evented");
  // Its threads are not there to be joined.
  if (birth_process_.IsParent()) internal::KeepInherited(std::move(group_));
}

void Evented::RefuseOnWorker(const char* call) {
  if (internal::current.worker_of == nullptr) return;
  internal::Misuse(absl::StrCat(
      call, " was called on worker thread '", ThreadName(),
      "' of a backend, which it would block; call it from a plain thread"));
}

inline Worker& Evented::WorkerFor(const char* call) {
  if (internal::current.io != this) [[unlikely]]
    RefuseForeign(call);
  return *Worker::OfThisThread();
}

void Evented::RefuseForeign(const char* call) const {
  birth_process_.Require(call);
  const internal::Current& current = internal::current;
  const bool on_worker = current.worker_of != nullptr;
  internal::Misuse(absl::StrCat(
      call, " was called with an Evented on thread '", ThreadName(), "', ",
      on_worker                 ? "a worker of another backend or instance"
      : current.task != nullptr ? "which runs a task of the threaded backend"
                                : "which is none of its workers",
      ": there is no fiber of it to park. Use the Io that the task was given, "
      "or start a task with Evented::Run; see docs/crossing.md"));
}

int64_t Evented::Perform(const Operation& operation) {
  return WorkerFor(Name(operation)).Perform(operation);
}

absl::Status Evented::Start(Task& task) {
  birth_process_.Require("starting a task");
  return group_->StartTask(task);
}

void Evented::Interrupt(Task& task) {
  birth_process_.Require("cancelling");
  // Partner of the store in Worker::StartTask. A task that has no worker yet
  // looks at its scopes when it first blocks.
  auto* worker =
      static_cast<Worker*>(task.carrier.load(std::memory_order_seq_cst));
  if (worker != nullptr) worker->PostInterrupt(task);
}

void Evented::Yield() { WorkerFor("Yield").Yield(); }

Task& Evented::CurrentTask(const char* call) {
  WorkerFor(call);
  return *internal::current.task;
}

WakeReason Evented::FutexWait(const std::atomic<uint32_t>& word,
                              uint32_t expected,
                              const FutexWaitOptions& options) {
  return WorkerFor("FutexWait").FutexWait(word, expected, options);
}

uint32_t Evented::FutexWake(const std::atomic<uint32_t>& word, uint32_t count) {
  birth_process_.Require("waking a task");
  return internal::ParkingLot::Wake(word, count);
}

absl::Status Evented::SleepUntil(MonotonicTime when) {
  return WorkerFor("Sleep").SleepUntil(when);
}

MonotonicTime Evented::Now() const { return internal::KernelMonotonicNow(); }

WallTime Evented::WallNow() const { return internal::KernelWallNow(); }

uint64_t Evented::Random() { return internal::RandomBits(); }

void Evented::Inspect(
    const std::shared_ptr<internal::TaskInspection>& inspection) {
  birth_process_.Require("DumpTasks");
  group_->Inspect(inspection);
}

Description Evented::Describe() const {
  return {.backend = "evented",
          .driver = "uring",
          .workers = group_->options().workers,
          .details = group_->DescribeDriver()};
}

}  // namespace weft
