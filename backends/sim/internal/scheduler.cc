#include "weft/backends/sim/internal/scheduler.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "weft/backends/sim/internal/task_tree.h"
#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/errno_marker.h"
#include "weft/runtime/internal/signal_stack.h"
#include "weft/runtime/internal/stack_measure.h"
#include "weft/runtime/internal/task_record.h"
#include "weft/runtime/status.h"

namespace weft::sim {
namespace {

// Where the clock of each schedule begins. Not at zero, so that code that
// takes zero for "never" is not lucky.
constexpr MonotonicTime kBeginning{std::chrono::hours(1)};

// How many yields change nothing, for each task that could run, before the
// clock moves: more than a task does that only lets others go first for a
// while, and soon enough for one that waits so.
constexpr uint32_t kIdleYieldsPerTask = 200;

}  // namespace

Scheduler::Scheduler(Io& io, const Limits& limits)
    : io_(io),
      limits_(limits),
      stacks_(std::make_unique<internal::StackPools>(
          limits.stack_size, limits.measure_stacks
                                 ? internal::StackPages::kFresh
                                 : internal::StackPages::kKept)),
      now_(kBeginning) {
  if (limits.report_overflow) {
    crash_handlers_.emplace(internal::CrashHandlers::Signals::kFaults);
  }
}

Scheduler::~Scheduler() {
  ForgetTasks();
  timers_.clear();
  for (WaitQueue& queue : queues_) queue.clear();
  // Abandoned fibers stay where they are.
  if (any_abandoned_) (void)stacks_.release();
}

void Scheduler::ForgetTasks() {
  for (const Fiber* fiber : fibers_) {
    if (fiber == nullptr || fiber->finished) continue;
    internal::TaskRegistry::Leave(fiber->task.record);
  }
}

void Scheduler::Reset(const Plan& plan) {
  ForgetTasks();
  strategy_ = &plan.strategy;
  seed_ = plan.seed;
  trace_ = plan.trace;
  faults_ = plan.faults;
  if (trace_ != nullptr) trace_->Clear();
  switch_faults_ = plan.switch_faults;
  late_results_ = internal::Rng(internal::DeriveSeed(plan.seed, 4));
  error_ = switch_faults_.errno_marker ? &errno : nullptr;
  survive_checks_ = plan.survive_checks;
  random_ = internal::Rng(internal::DeriveSeed(plan.seed, 1));
  fair_ = internal::Rng(internal::DeriveSeed(plan.seed, 2));
  history_.Clear();
  failure_.reset();
  objects_.Clear();
  tasks_.clear();
  fibers_.clear();
  alive_ = 0;
  unfinished_ = 0;
  runnable_.clear();
  ended_ = nullptr;
  now_ = kBeginning;
  // Of an abandoned schedule.
  timers_.clear();
  for (WaitQueue& queue : queues_) queue.clear();
  ownership_.Clear();
  joins_ = 0;
  notices_.clear();
  steps_ = 0;
  locks_ = 0;
  idle_yields_ = 0;
}

absl::Status Scheduler::Run(Task& root, const Plan& plan) {
  Reset(plan);
  thread_id_ = gettid();
  world_->Begin(internal::DeriveSeed(plan.seed, 3));
  if (absl::Status status = MakeFiber(root); !status.ok()) return status;
  std::optional<internal::SignalStack> signal_stack;
  if (limits_.report_overflow) signal_stack.emplace();
  internal::Context main;
  main_ = &main;
  current_ = &internal::current;
  const internal::Current before = *current_;
  internal::Explorer* const explorer_before = internal::current_explorer;
  current_->worker_of = &io_;
  internal::current_explorer = this;
  internal::Sockets* const sockets_before =
      std::exchange(internal::current_sockets, &world_->sockets());
  Fiber& first = *fibers_.front();
  SetRunning(&first);
  main.SwitchTo(first.context);
  ReclaimEnded();
  internal::current_explorer = explorer_before;
  internal::current_sockets = sockets_before;
  *current_ = before;
  if (alive_ == 0 && !failure_.has_value()) {
    if (const std::string left = world_->Leftovers(); !left.empty()) {
      Fail(FailureKind::kLeakedDescriptor, left);
    }
  }
  if (alive_ > 0) any_abandoned_ = true;
  return absl::OkStatus();
}

// --- Tasks -----------------------------------------------------------------

absl::Status Scheduler::MakeFiber(Task& task) {
  if (unfinished_ >= limits_.max_tasks) {
    return absl::ResourceExhaustedError(
        absl::StrCat("start task '", task.name(), "': the limit of ",
                     limits_.max_tasks, " tasks is reached"));
  }
  if (absl::Status status = task.CheckStackSize(); !status.ok()) return status;
  if (absl::Status status = stacks_->Reserve(task.stack_size()); !status.ok()) {
    return status;
  }
  const internal::Stack stack = stacks_->Take(task.stack_size());
  // At the top, which the fiber touches anyway.
  constexpr size_t kCacheLine = 64;
  constexpr size_t kSize =
      (sizeof(Fiber) + kCacheLine - 1) / kCacheLine * kCacheLine;
  const auto number = static_cast<uint32_t>(fibers_.size());
  auto* const fiber = new (stack.top() - kSize)
      Fiber(number, task, stack, &Scheduler::FiberMain);
  stack.SetOwner(&task);
  if (running_ != nullptr) fiber->host = running_->host;
  task.AddReference();
  task.runner = fiber;
  task.carrier.store(this, std::memory_order_relaxed);
  tasks_.push_back({.parent = running_ == nullptr ? 0 : running_->number,
                    .role = RoleOf(task),
                    .points = 0});
  fibers_.push_back(fiber);
  ++alive_;
  ++unfinished_;
  task.record.thread.store(thread_id_, std::memory_order_relaxed);
  task.record.stopped_at.store(fiber->context.stopped_at(),
                               std::memory_order_relaxed);
  internal::TaskRegistry::Enter(task.record, &io_, "sim");
  if (trace_ != nullptr) trace_->NameTask(task.name());
  MakeRunnable(*fiber);
  return absl::OkStatus();
}

uint32_t Scheduler::RoleOf(const Task& task) {
  const std::type_info& type = typeid(task);
  const auto same = [&type](const std::type_info* other) {
    return *other == type;
  };
  const auto found = std::find_if(roles_.begin(), roles_.end(), same);
  const auto role = static_cast<uint32_t>(found - roles_.begin());
  if (found == roles_.end()) roles_.push_back(&type);
  return role;
}

absl::Status Scheduler::Start(Task& task) {
  if (faults_ != nullptr && faults_->AtStart(*this)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("start task '", task.name(), "': a fault was injected"));
  }
  absl::Status status = MakeFiber(task);
  if (status.ok()) Reach(PointKind::kSpawn, nullptr);
  return status;
}

void Scheduler::FiberMain(void* argument) {
  auto& fiber = *static_cast<Fiber*>(argument);
  auto& self = *static_cast<Scheduler*>(
      fiber.task.carrier.load(std::memory_order_relaxed));
  self.ReclaimEnded();
  Task& task = fiber.task;
  task.Execute();
  self.Reach(PointKind::kFinish, nullptr);
  WEFT_CHECK(self.running_ == &fiber);
  // No cancel can reach the fiber from here on.
  task.runner = nullptr;
  fiber.finished = true;
  if (self.limits_.measure_stacks) internal::NoteStackUse(task);
  internal::TaskRegistry::Leave(task.record);
  // Who waits for the end may start another task at once.
  --self.unfinished_;
  task.Announce();
  fiber.stack.SetOwner(nullptr);
  task.DropReference();
  self.EndFiber(fiber);
}

void Scheduler::EndFiber(Fiber& fiber) {
  fibers_[fiber.number] = nullptr;
  --alive_;
  WEFT_CHECK(ended_ == nullptr);
  ended_ = &fiber;
  MakeNotRunnable(fiber);
  if (alive_ == 0) {
    SetRunning(nullptr);
    fiber.context.SwitchToForGood(*main_);
  }
  if (fiber.locks != 0) [[unlikely]]
    CheckKeptLocks(fiber.number);
  if (fiber.number == 0) {
    for (const Fiber* other : fibers_) {
      if (other == nullptr || other->finished) continue;
      Abandon(FailureKind::kLeakedTask,
              absl::StrCat("the body has returned, and task ", other->number,
                           " '", other->task.name(), "' still runs"));
    }
  }
  Fiber& next = ChooseAfter(PointKind::kEnd, nullptr);
  SetRunning(&next);
  fiber.context.SwitchToForGood(next.context);
}

void Scheduler::ReclaimFiber() {
  const internal::Stack stack = ended_->stack;
  auto* const end = reinterpret_cast<std::byte*>(ended_);
  ended_->~Fiber();
  ended_ = nullptr;
  if (switch_faults_.poison_stacks) internal::PoisonStack(stack.bottom, end);
  stacks_->Give(stack);
}

// --- Who runs --------------------------------------------------------------

void Scheduler::MakeRunnable(Fiber& fiber) {
  runnable_.insert(
      std::lower_bound(runnable_.begin(), runnable_.end(), fiber.number),
      fiber.number);
  if (!turned_fair()) history_.CanRun(fiber.number);
  idle_yields_ = 0;
}

void Scheduler::MakeNotRunnable(Fiber& fiber) {
  runnable_.erase(
      std::lower_bound(runnable_.begin(), runnable_.end(), fiber.number));
  if (!turned_fair()) history_.CannotRun(fiber.number);
  idle_yields_ = 0;
}

void Scheduler::SetRunning(Fiber* fiber) {
  running_ = fiber;
  current_->io = fiber == nullptr ? nullptr : &io_;
  current_->task = fiber == nullptr ? nullptr : &fiber->task;
}

void Scheduler::CountStep(PointKind kind, const void* object) {
  ++tasks_[running_->number].points;
  ++steps_;
  if (trace_ != nullptr) {
    trace_->Add({.number = steps_,
                 .task = running_->number,
                 .kind = kind,
                 .object = object == nullptr ? 0 : objects_.Of(object),
                 .time = now_ - kBeginning});
  }
  if (steps_ > limits_.max_steps) [[unlikely]] {
    Abandon(FailureKind::kLivelock,
            absl::StrCat("the schedule does not end within ", limits_.max_steps,
                         " steps; ", trace_ == nullptr ? "" : trace_->Loop()));
  }
}

void Scheduler::Reach(PointKind kind, const void* object) {
  CountStep(kind, object);
  if (faults_ != nullptr) [[unlikely]]
    faults_->AtPoint(*this);
  if (runnable_.size() > 1) SwitchTo(Choose(kind, runnable_));
}

void Scheduler::ReachAfterOperation() {
  constexpr uint32_t kOneOf = 4;
  if (switch_faults_.late_results && late_results_.Below(kOneOf) == 0) {
    Reach(PointKind::kOperation, nullptr);
  }
}

Fiber& Scheduler::Choose(PointKind kind,
                         const std::vector<uint32_t>& candidates) {
  const auto count = static_cast<uint32_t>(candidates.size());
  if (count == 1) return *fibers_[candidates.front()];
  if (turned_fair()) [[unlikely]] {
    return *fibers_[candidates[fair_.Below(count)]];
  }
  const uint32_t current = running_->number;
  const uint32_t chosen =
      strategy_->Pick({.kind = kind,
                       .candidates = candidates,
                       .current = current,
                       .current_can_go_on = kind != PointKind::kPark &&
                                            kind != PointKind::kEnd &&
                                            kind != PointKind::kYield,
                       .tasks = tasks_,
                       .history = history_});
  if (chosen == Strategy::kRefuse) [[unlikely]] {
    Abandon(FailureKind::kDivergence, strategy_->refusal());
  }
  history_.Decide(kind, chosen);
  return *fibers_[chosen];
}

Fiber& Scheduler::ChooseAfter(PointKind kind, const void* object) {
  CountStep(kind, object);
  while (runnable_.empty()) {
    if (NextTime() == kNever) AbandonIdle();
    AdvanceClock();
  }
  return Choose(kind, runnable_);
}

void Scheduler::SwitchTo(Fiber& next) {
  Fiber& self = *running_;
  if (&next == &self) return;
  SetRunning(&next);
  self.context.SwitchTo(next.context);
  if (error_ != nullptr) *error_ = internal::kErrnoMarker;
  ReclaimEnded();
}

void Scheduler::Yield() {
  Fiber& self = *running_;
  CountStep(PointKind::kYield, nullptr);
  // Those who wait for something by yielding want time to pass.
  if (++idle_yields_ > kIdleYieldsPerTask * runnable_.size() &&
      NextTime() != kNever) {
    AdvanceClock();
  }
  others_ = runnable_;
  others_.erase(std::lower_bound(others_.begin(), others_.end(), self.number));
  if (others_.empty()) return;
  // Not a choice, but a switch that the history would not show otherwise.
  if (others_.size() == 1 && !turned_fair()) {
    history_.Decide(PointKind::kYield, others_.front());
  }
  SwitchTo(Choose(PointKind::kYield, others_));
}

// --- Waits -----------------------------------------------------------------

WakeReason Scheduler::Park(Wait& wait) {
  Fiber& self = *running_;
  wait.step = steps_;
  wait.time = now_;
  if (wait.address != nullptr) QueueOf(wait.address).push_back(wait);
  if (wait.deadline != kNever) timers_.insert(wait);
  self.wait = &wait;
  internal::WaitDescription description =
      wait.kind == Wait::Kind::kWord
          ? self.task.record.FutexWaitOn(wait.address)
          : internal::WaitDescription{.what = wait.operation,
                                      .object = wait.address};
  description.since = wait.time;
  description.deadline = wait.deadline;
  self.task.record.BeginWait(description);
  MakeNotRunnable(self);
  CheckCircle(self);
  SwitchTo(ChooseAfter(PointKind::kPark, wait.address));
  WEFT_CHECK(running_ == &self && current_->task == &self.task &&
             self.wait == nullptr);
  return wait.reason;
}

void Scheduler::Wake(Wait& wait, WakeReason reason) {
  if (wait.address != nullptr) {
    QueueOf(wait.address).erase(WaitQueue::s_iterator_to(wait));
  }
  if (wait.deadline != kNever) timers_.erase(Timers::s_iterator_to(wait));
  wait.reason = reason;
  wait.fiber.wait = nullptr;
  wait.fiber.task.record.EndWait();
  MakeRunnable(wait.fiber);
}

uint32_t Scheduler::WakeAll(Wait::Kind kind, const void* address,
                            uint32_t count) {
  WaitQueue& queue = QueueOf(address);
  uint32_t woken = 0;
  for (auto at = queue.begin(); at != queue.end() && woken < count;) {
    Wait& wait = *at++;
    if (wait.address != address || wait.kind != kind) continue;
    Wake(wait, WakeReason::kWoken);
    ++woken;
  }
  return woken;
}

Scheduler::WaitQueue& Scheduler::QueueOf(const void* address) {
  // Fibonacci hashing. Where the address lies makes no difference to the
  // order of the waiters of one address.
  const auto bits = reinterpret_cast<uintptr_t>(address);
  return queues_[(bits * 0x9E3779B97F4A7C15u) >> (64 - kQueueBits)];
}

MonotonicTime Scheduler::NextTime() const {
  const MonotonicTime event = world_->NextEvent();
  return timers_.empty() ? event : std::min(event, timers_.begin()->deadline);
}

void Scheduler::AdvanceClock() { AdvanceTo(NextTime()); }

MonotonicTime Scheduler::NextDeadline() const {
  const MonotonicTime own = running_->task.deadline();
  return own != kNever && own > now_ ? own : NextTime();
}

void Scheduler::AdvanceTo(MonotonicTime when) {
  now_ = std::max(now_, when);
  world_->Advance(now_);
  // All whose time it is can run at once; who of them does is up to the
  // strategy.
  while (!timers_.empty() && timers_.begin()->deadline <= now_) {
    Wake(*timers_.begin(), WakeReason::kDeadline);
  }
}

WakeReason Scheduler::FutexWait(const std::atomic<uint32_t>& word,
                                uint32_t expected,
                                const FutexWaitOptions& options) {
  Reach(PointKind::kWait, &word);
  const Task& task = running_->task;
  const bool differs = word.load(std::memory_order_relaxed) != expected;
  if (differs) return WakeReason::kValueDiffered;
  Wait wait(*running_, Wait::Kind::kWord, &word);
  wait.deadline = options.deadline;
  wait.interruptible = options.interruptible;
  if (options.interruptible) {
    if (task.Interrupted() != Interruption::kNone) {
      return WakeReason::kInterrupted;
    }
    wait.deadline = std::min(wait.deadline, task.deadline());
  }
  if (wait.deadline <= now_) return WakeReason::kDeadline;
  const WakeReason reason = Park(wait);
  if (reason != WakeReason::kDeadline) return reason;
  // Whose deadline was it?
  return options.interruptible && task.Interrupted() != Interruption::kNone
             ? WakeReason::kInterrupted
             : WakeReason::kDeadline;
}

uint32_t Scheduler::FutexWake(const std::atomic<uint32_t>& word,
                              uint32_t count) {
  Reach(PointKind::kWake, &word);
  return WakeAll(Wait::Kind::kWord, &word, count);
}

absl::Status Scheduler::SleepUntil(MonotonicTime when) {
  Reach(PointKind::kWait, nullptr);
  const Task& task = running_->task;
  if (task.Interrupted() == Interruption::kNone && now_ < when) {
    Wait wait(*running_, Wait::Kind::kSleep, nullptr);
    wait.operation = "sleep";
    wait.deadline = std::min(when, task.deadline());
    wait.interruptible = true;
    Park(wait);
  }
  return internal::InterruptionStatus(task.GiveUp(), "sleep");
}

void Scheduler::CallSucceeded(const char* call) {
  if (faults_ != nullptr && faults_->AfterCall(*this, call)) {
    running_->task.RequestCancel();
  }
}

uint32_t Scheduler::AliveBesideBody() const {
  uint32_t count = 0;
  for (size_t i = 1; i < fibers_.size(); ++i) {
    if (fibers_[i] != nullptr && !fibers_[i]->finished) ++count;
  }
  return count;
}

WakeReason Scheduler::Block(const BlockedOn& on) {
  const Task& task = running_->task;
  if (task.Interrupted() != Interruption::kNone) {
    return WakeReason::kInterrupted;
  }
  Wait wait(*running_, Wait::Kind::kOperation, on.object);
  wait.operation = on.what;
  wait.interruptible = true;
  wait.deadline = std::min(on.deadline, task.deadline());
  if (wait.deadline <= now_) return WakeReason::kDeadline;
  return Park(wait);
}

void Scheduler::WakeBlocked(const void* object) {
  WakeAll(Wait::Kind::kOperation, object, UINT32_MAX);
}

void Scheduler::Interrupt(Task& task) {
  // Not a scheduling point: TaskGroup cancels its tasks under a lock.
  const auto* fiber = static_cast<const Fiber*>(task.runner);
  if (fiber == nullptr || fiber->wait == nullptr ||
      !fiber->wait->interruptible ||
      task.Interrupted() == Interruption::kNone) {
    return;
  }
  Wake(*fiber->wait, WakeReason::kInterrupted);
}

MonotonicTime Scheduler::ReadClock() {
  if (running_ != nullptr && ++steps_ > limits_.max_steps) [[unlikely]] {
    Abandon(FailureKind::kLivelock,
            absl::StrCat("the schedule does not end within ", limits_.max_steps,
                         " steps; task ", running_->number, " '",
                         running_->task.name(),
                         "' reads the clock again and again, which only moves "
                         "while no task can run; sleep until the time comes"));
  }
  return now_;
}

// --- As Explorer -----------------------------------------------------------

void Scheduler::Point(const void* object) { Reach(PointKind::kAccess, object); }

void Scheduler::WaitForLock(const void* lock) {
  Wait wait(*running_, Wait::Kind::kLock, lock);
  wait.operation = "lock of a primitive";
  Park(wait);
}

void Scheduler::LockReleased(const void* lock) {
  WakeAll(Wait::Kind::kLock, lock, UINT32_MAX);
}

void Scheduler::CancelPoint() { Reach(PointKind::kCancel, nullptr); }

void Scheduler::CheckFailed(std::string_view line) {
  if (survive_checks_) Abandon(FailureKind::kCheck, line);
}

// --- Failures --------------------------------------------------------------

void Scheduler::Fail(FailureKind kind, std::string_view text) {
  if (failure_.has_value()) return;
  failure_ = Failure{.kind = kind,
                     .text = std::string(text),
                     .tasks = DescribeTasks(*this),
                     .step = steps_};
}

void Scheduler::Abandon(FailureKind kind, std::string_view text) {
  Fail(kind, text);
  internal::Context& left = running_->context;
  SetRunning(nullptr);
  left.SwitchTo(*main_);
  internal::Bug("an abandoned schedule stays abandoned", __FILE__, __LINE__);
}

}  // namespace weft::sim
