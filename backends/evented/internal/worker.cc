#include "weft/backends/evented/internal/worker.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <vector>

#include "weft/backends/evented/internal/uring_driver.h"
#include "weft/backends/evented/internal/worker_group.h"
#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/current.h"
#include "weft/runtime/internal/errno_marker.h"
#include "weft/runtime/internal/forks.h"
#include "weft/runtime/internal/stack_measure.h"
#include "weft/runtime/status.h"

namespace weft::internal {
namespace {

// The distance between two looks at the ring, in switches. Longer saves system
// calls, shorter bounds how long a completion waits behind busy fibers.
constexpr uint32_t kSwitchesPerTurn = 128;

// How many tasks get a stack in one turn; the others may be stolen meanwhile.
constexpr uint32_t kStartsPerTurn = 64;

// Stacks begin at the same offset in a page, so their top frames would all
// compete for the same sets of the first-level cache. The places of the
// fibers are spread over a part of the page instead.
constexpr uint32_t kColours = 16;
constexpr size_t kColourSize = 64;

// How long the stacks of a burst are kept for the next one.
constexpr Duration kTrimDelay = std::chrono::seconds(1);

// Adds `item` to a list that any thread may add to and only the worker takes.
template <class T>
void Push(std::atomic<T*>& list, T& item, T* T::*next) {
  T* head = list.load(std::memory_order_relaxed);
  do {
    item.*next = head;
    // Release: whoever takes the list sees what happened before the push.
  } while (!list.compare_exchange_weak(head, &item, std::memory_order_release,
                                       std::memory_order_relaxed));
}

// Takes the whole list, in the order in which it was filled.
template <class T>
T* TakeAll(std::atomic<T*>& list, T* T::*next) {
  if (list.load(std::memory_order_relaxed) == nullptr) return nullptr;
  T* item = list.exchange(nullptr, std::memory_order_acquire);
  T* reversed = nullptr;
  while (item != nullptr) {
    T* const following = item->*next;
    item->*next = reversed;
    reversed = item;
    item = following;
  }
  return reversed;
}

// What to wait for before trying an operation again that the kernel refused
// with EAGAIN because its descriptor is in non-blocking mode.
op::Poll ReadinessFor(const Operation& operation) {
  return std::visit(Overloaded{[](const op::Accept& o) {
                                 return op::Poll{o.fd, POLLIN};
                               },
                               [](const op::Connect& o) {
                                 return op::Poll{o.fd, POLLOUT};
                               },
                               [](const op::Recv& o) {
                                 return op::Poll{o.fd, POLLIN};
                               },
                               [](const op::Send& o) {
                                 return op::Poll{o.fd, POLLOUT};
                               },
                               [](const op::RecvMessage& o) {
                                 return op::Poll{o.fd, POLLIN};
                               },
                               [](const op::SendMessage& o) {
                                 return op::Poll{o.fd, POLLOUT};
                               },
                               [](const op::ReadAt& o) {
                                 return op::Poll{o.fd, POLLIN};
                               },
                               [](const op::WriteAt& o) {
                                 return op::Poll{o.fd, POLLOUT};
                               },
                               [](const op::Sync& o) {
                                 return op::Poll{o.fd, POLLOUT};
                               },
                               [](const op::Poll& o) { return o; }},
                    operation);
}

}  // namespace

Worker::Worker(WorkerGroup& group, uint32_t index)
    : group_(group),
      io_(&group.io()),
      index_(index),
      perturbation_(group.options().perturb_seed == 0
                        ? nullptr
                        : std::make_unique<Perturbation>(
                              group.options().perturb_seed, index)) {}

Worker::~Worker() {
  WEFT_CHECK(running_.load(std::memory_order_relaxed) == nullptr &&
             ended_ == nullptr && ready_.empty());
  WEFT_CHECK(timers_.empty());
  WEFT_CHECK(posted_fibers_.load(std::memory_order_relaxed) == nullptr);
  WEFT_CHECK(posted_interrupts_.load(std::memory_order_relaxed) == nullptr);
  WEFT_CHECK(unstarted_.empty() && load() == 0);
}

absl::Status Worker::SetUp() {
  current_ = &current;
  thread_id_ = gettid();
  pthread_getcpuclockid(pthread_self(), &processor_clock_);
  current.worker = this;
  current.worker_of = io_;
  absl::StatusOr<std::unique_ptr<UringDriver>> driver =
      UringDriver::Create(group_.options().ring_entries);
  if (!driver.ok()) return driver.status();
  driver_ = *std::move(driver);
  loop_context_ = std::make_unique<Context>();
  return absl::OkStatus();
}

void Worker::Loop() {
  while (!group_.stopping()) {
    // Before taking what was posted: what is posted later leaves kNotified
    // behind, and then the worker does not wait.
    state_.exchange(kRunning, std::memory_order_seq_cst);
    turn_began_ = CoarseMonotonicNow();
    turns_.store(turns_.load(std::memory_order_relaxed) + 1,
                 std::memory_order_relaxed);
    TakePosted();
    StartTasks();
    RunReady();
    if (HasReady() || has_unstarted() || Steal()) {
      if (driver_->HasWork()) driver_->Poll(Driver::kNoWait);
      FireTimers();
    } else {
      WaitForWork();
    }
  }
  TakePosted();
}

void Worker::TearDown() {
  // On the thread that made it: the descriptor of the ring is registered with
  // the thread.
  driver_ = nullptr;
}

void Worker::WaitForWork() {
  // A partner of PostTask and WorkerGroup::StartTask: first say that this
  // worker is idle, then look once more; they first add, then look who is
  // idle.
  group_.BeginIdle();
  State expected = kRunning;
  const bool nothing = state_.compare_exchange_strong(
                           expected, kWaiting, std::memory_order_seq_cst) &&
                       !group_.stopping() && !Steal();
  const bool time_is_up =
      driver_->Poll(nothing ? EndOfWait() : Driver::kNoWait);
  group_.EndIdle();
  if (time_is_up) FireTimers();
}

void Worker::TakePosted() {
  for (Fiber* fiber = TakeAll(posted_fibers_, &Fiber::next_posted);
       fiber != nullptr;) {
    Fiber* const next = fiber->next_posted;
    MakeReady(*fiber);
    fiber = next;
  }
  for (Task* task = TakeAll(posted_interrupts_, &Task::next_interrupted);
       task != nullptr;) {
    Task* const next = task->next_interrupted;
    HandleInterrupt(*task);
    task = next;
  }
  if (!inspections_.empty()) [[unlikely]]
    AnswerInspections();
}

void Worker::HandleInterrupt(Task& task) {
  // From here on a further request posts the task again; this one is seen
  // below.
  task.interrupt_posted.store(false, std::memory_order_seq_cst);
  const auto* fiber = static_cast<const Fiber*>(task.runner);
  if (fiber != nullptr && fiber->park != nullptr &&
      fiber->park->interruptible() &&
      task.Interrupted() != Interruption::kNone) {
    fiber->park->Stop();
  }
  task.DropReference();
}

void Worker::AnswerInspections() {
  const auto requests = inspections_.Take();
  if (requests.empty()) return;
  std::vector<TaskRecord*> own;
  TaskRegistry::ForEach([&](TaskRecord& record) {
    if (record.stopped_at.load(std::memory_order_relaxed) != nullptr &&
        record.thread.load(std::memory_order_relaxed) == thread_id_) {
      own.push_back(&record);
    }
  });
  Fiber* const running = running_.load(std::memory_order_relaxed);
  Context& here = running == nullptr ? *loop_context_ : running->context;
  // Without the lock: the tasks of this worker stay as they are while this
  // runs.
  for (const TaskRecord* record : own) {
    TaskSnapshot snapshot(*record);
    snapshot.runs = Runs(*record);
    if (snapshot.runs) {
      TakeBacktrace(snapshot.backtrace);
    } else if (!stopped_backtrace_.Take(
                   here, static_cast<Fiber*>(record->task->runner)->context,
                   snapshot.backtrace)) {
      snapshot.no_backtrace = "it has not run yet";
    }
    for (const auto& request : requests) request->results().Add(snapshot);
  }
  for (const auto& request : requests) request->Answered(index_);
}

bool Worker::Runs(const TaskRecord& record) const {
  const Fiber* const running = running_.load(std::memory_order_relaxed);
  // Only the address: it may have ended by now.
  return running != nullptr &&
         record.stopped_at.load(std::memory_order_relaxed) ==
             running->context.stopped_at();
}

Duration Worker::ProcessorTime() const {
  timespec used = {};
  clock_gettime(processor_clock_, &used);
  return std::chrono::seconds(used.tv_sec) +
         std::chrono::nanoseconds(used.tv_nsec);
}

void Worker::StartTasks() {
  if (!has_unstarted()) return;
  TaskQueue batch;
  {
    const std::lock_guard lock(unstarted_mutex_);
    while (batch.size() < kStartsPerTurn) {
      Task* const task = unstarted_.PopFront();
      if (task == nullptr) break;
      batch.PushBack(*task);
    }
    unstarted_count_.store(static_cast<uint32_t>(unstarted_.size()),
                           std::memory_order_seq_cst);
  }
  while (Task* const task = batch.PopFront()) StartTask(*task);
}

void Worker::StartTask(Task& task) {
  const Stack stack = group_.stacks().Take(task.stack_size());
  // At the top, which the fiber touches anyway.
  constexpr size_t kSize =
      (sizeof(Fiber) + kColourSize - 1) / kColourSize * kColourSize;
  next_colour_ = (next_colour_ + 1) % kColours;
  std::byte* const place = stack.top() - kSize - next_colour_ * kColourSize;
  auto* const fiber = new (place) Fiber(*this, task, stack, &Worker::FiberMain);
  stack.SetOwner(&task);
  task.runner = fiber;
  task.record.thread.store(thread_id_, std::memory_order_relaxed);
  task.record.worker.store(static_cast<int32_t>(index_),
                           std::memory_order_relaxed);
  task.record.stopped_at.store(fiber->context.stopped_at(),
                               std::memory_order_relaxed);
  // Partner of the load in Evented::Interrupt.
  task.carrier.store(this, std::memory_order_seq_cst);
  MakeReady(*fiber);
}

inline Context& Worker::NextContext() {
  const uint32_t left = switches_left_.load(std::memory_order_relaxed);
  if (left == 0 || ready_.empty()) {
    SetRunning(nullptr);
    return *loop_context_;
  }
  switches_left_.store(left - 1, std::memory_order_relaxed);
  Fiber& next = ready_.front();
  ready_.pop_front();
  SetRunning(&next);
  return next.context;
}

void Worker::RunReady() {
  uint32_t switches = kSwitchesPerTurn;
  if (perturbation_ != nullptr) {
    perturbation_->Pick(ready_);
    switches = 1;
  }
  switches_left_.store(switches, std::memory_order_relaxed);
  if (ready_.empty()) return;
  loop_context_->SwitchTo(NextContext());
  ReclaimEnded();
}

void Worker::FireTimers() {
  if (timers_.empty()) return;
  const MonotonicTime now = group_.io().Now();
  while (!timers_.empty() && timers_.begin()->deadline() <= now) {
    Park& park = *timers_.begin();
    timers_.erase(timers_.begin());
    park.Stop();
  }
}

MonotonicTime Worker::EndOfWait() {
  StackPools& stacks = group_.stacks();
  if (stacks.HasExcess()) {
    const MonotonicTime now = group_.io().Now();
    if (trim_at_ == kNever) {
      trim_at_ = now + kTrimDelay;
    } else if (now >= trim_at_) {
      stacks.Trim();
      trim_at_ = kNever;
    }
  } else {
    trim_at_ = kNever;
  }
  return timers_.empty() ? trim_at_
                         : std::min(trim_at_, timers_.begin()->deadline());
}

bool Worker::Steal() {
  const auto& workers = group_.workers();
  for (size_t i = 1; i < workers.size(); ++i) {
    Worker& victim = *workers[(index_ + i) % workers.size()];
    if (!victim.has_unstarted()) continue;
    TaskQueue stolen = victim.GiveUnstarted();
    if (stolen.empty()) continue;
    const auto count = static_cast<uint32_t>(stolen.size());
    load_.fetch_add(count, std::memory_order_relaxed);
    const std::lock_guard lock(unstarted_mutex_);
    while (Task* const task = stolen.PopFront()) unstarted_.PushBack(*task);
    unstarted_count_.store(static_cast<uint32_t>(unstarted_.size()),
                           std::memory_order_seq_cst);
    return true;
  }
  return false;
}

TaskQueue Worker::GiveUnstarted() {
  TaskQueue given;
  const std::lock_guard lock(unstarted_mutex_);
  const size_t count = (unstarted_.size() + 1) / 2;
  for (size_t i = 0; i < count; ++i) given.PushBack(*unstarted_.PopFront());
  unstarted_count_.store(static_cast<uint32_t>(unstarted_.size()),
                         std::memory_order_seq_cst);
  load_.fetch_sub(static_cast<uint32_t>(count), std::memory_order_relaxed);
  return given;
}

bool Worker::PostTask(Task& task) {
  load_.fetch_add(1, std::memory_order_relaxed);
  {
    const std::lock_guard lock(unstarted_mutex_);
    unstarted_.PushBack(task);
    unstarted_count_.store(static_cast<uint32_t>(unstarted_.size()),
                           std::memory_order_seq_cst);
  }
  return OfThisThread() != this && Notify();
}

void Worker::PostInterrupt(Task& task) {
  if (task.interrupt_posted.exchange(true, std::memory_order_seq_cst)) return;
  task.AddReference();
  Push(posted_interrupts_, task, &Task::next_interrupted);
  Notify();
}

void Worker::MakeReady(Fiber& fiber) {
  fiber.park = nullptr;
  fiber.task.record.EndWait();
  ready_.push_back(fiber);
}

void Worker::MakeReadyFromAnywhere(Fiber& fiber) {
  if (OfThisThread() == this) {
    MakeReady(fiber);
    return;
  }
  // The fiber has left its stack: its worker looks at the list only between
  // two switches.
  Push(posted_fibers_, fiber, &Fiber::next_posted);
  Notify();
}

bool Worker::Notify() {
  // The exchange joins wakes: only the one that finds the worker waiting pays
  // for a system call. Sequentially consistent, so that it cannot pass the
  // push before it.
  if (state_.exchange(kNotified, std::memory_order_seq_cst) != kWaiting) {
    return false;
  }
  driver_->Wake();
  return true;
}

bool Worker::NotifyIfWaiting() {
  State expected = kWaiting;
  if (!state_.compare_exchange_strong(expected, kNotified,
                                      std::memory_order_seq_cst)) {
    return false;
  }
  driver_->Wake();
  return true;
}

int64_t Worker::Perform(const Operation& operation) {
  PerturbWait();
  Fiber& fiber = running();
  Task& task = fiber.task;
  for (;;) {
    if (const Interruption interruption = task.GiveUp();
        interruption != Interruption::kNone) {
      return InterruptionResult(interruption);
    }
    OperationPark park(fiber, task.deadline(), *driver_, operation);
    driver_->Submit(park);
    if (!park.completed()) {
      ParkFiber(park, {.what = Name(operation),
                       .descriptor = DescriptorOf(operation)});
    } else {
      PerturbWait();
    }
    const int64_t result = park.result();
    if (result == -EAGAIN) {
      const int64_t ready = Perform(ReadinessFor(operation));
      if (ready < 0) return ready;
      if (const auto* recv = std::get_if<op::Recv>(&operation);
          recv != nullptr && recv->probably_empty) {
        // The hint is outdated. On a descriptor that cannot be polled the
        // kernel would answer EAGAIN to it for ever.
        op::Recv again = *recv;
        again.probably_empty = false;
        return Perform(again);
      }
    } else if (result == -ECANCELED || result == -EINTR) {
      // EINTR is what an operation reports that was cancelled while a kernel
      // thread was at it. Without a request to cancel, it is tried again.
      const bool interrupted = task.Interrupted() != Interruption::kNone;
      if (!interrupted && result == -ECANCELED) return result;
      if (interrupted && std::holds_alternative<op::Accept>(operation)) {
        const int64_t accepted = AcceptAfterCancel(operation);
        if (accepted >= 0) return accepted;
      }
    } else {
      return result;
    }
  }
}

int64_t Worker::AcceptAfterCancel(const Operation& operation) {
  for (;;) {
    pollfd listener = {
        .fd = DescriptorOf(operation), .events = POLLIN, .revents = 0};
    // What comes after this wakes another accept: ours is off the list.
    if (poll(&listener, 1, 0) != 1 || (listener.revents & POLLIN) == 0) {
      return -ECANCELED;
    }
    OperationPark park(running(), kNever, *driver_, operation);
    driver_->Submit(park);
    if (!park.completed()) {
      // It takes what is there or, if another task was faster, nothing.
      park.Stop();
      ParkFiber(park, {.what = Name(operation),
                       .descriptor = DescriptorOf(operation)});
    }
    if (park.result() != -ECANCELED && park.result() != -EINTR) {
      return park.result();
    }
  }
}

WakeReason Worker::FutexWait(const std::atomic<uint32_t>& word,
                             uint32_t expected,
                             const FutexWaitOptions& options) {
  PerturbWait();
  Fiber& fiber = running();
  const Task& task = fiber.task;
  MonotonicTime deadline = options.deadline;
  if (options.interruptible) {
    if (task.Interrupted() != Interruption::kNone) {
      return word.load(std::memory_order_seq_cst) == expected
                 ? WakeReason::kInterrupted
                 : WakeReason::kValueDiffered;
    }
    deadline = std::min(deadline, task.deadline());
  }
  FutexPark park(fiber, deadline, options.interruptible);
  if (!ParkingLot::Enter(park, word, expected)) {
    return WakeReason::kValueDiffered;
  }
  ParkFiber(park, fiber.task.record.FutexWaitOn(&word));
  if (park.resumed()) return WakeReason::kWoken;
  return options.interruptible && task.Interrupted() != Interruption::kNone
             ? WakeReason::kInterrupted
             : WakeReason::kDeadline;
}

absl::Status Worker::SleepUntil(MonotonicTime when) {
  PerturbWait();
  Fiber& fiber = running();
  const Task& task = fiber.task;
  if (task.Interrupted() == Interruption::kNone && group_.io().Now() < when) {
    SleepPark park(fiber, std::min(when, task.deadline()));
    ParkFiber(park, {.what = "sleep"});
  }
  return InterruptionStatus(task.GiveUp(), "sleep");
}

void Worker::Yield() {
  Fiber& fiber = running();
  ready_.push_back(fiber);
  SwitchAway(fiber);
}

void Worker::Perturb() {
  if (perturbation_->YieldsBeforePark()) Yield();
  // It is the fiber's own, so this is what it finds after a wait.
  errno = kErrnoMarker;
}

void Worker::ParkFiber(Park& park, WaitDescription what) {
  // Spans of time repeat, so most deadlines come last: there the tree needs no
  // search.
  if (park.deadline() != kNever) timers_.insert(timers_.end(), park);
  Fiber& fiber = park.fiber();
  fiber.park = &park;
  what.since = turn_began_;
  what.deadline = park.deadline();
  fiber.task.record.BeginWait(what);
  SwitchAway(fiber);
  WEFT_CHECK(&running() == &fiber && current_->task == &fiber.task);
  // The timer, if it did not fire, leaves with the park.
}

void Worker::SwitchAway(Fiber& fiber) {
  Context& next = NextContext();
  if (&next == &fiber.context) return;
  fiber.context.SwitchTo(next);
  ReclaimEnded();
}

void Worker::FiberMain(void* argument) {
  auto& fiber = *static_cast<Fiber*>(argument);
  Worker& worker = fiber.worker;
  worker.ReclaimEnded();
  Task& task = fiber.task;
  const BirthProcess birth_process;
  task.Execute();
  birth_process.Require("the end of a task");
  WEFT_CHECK(&worker.running() == &fiber);
  // No cancel can reach the fiber from here on.
  task.runner = nullptr;
  TaskRegistry::Leave(task.record);
  worker.load_.fetch_sub(1, std::memory_order_relaxed);
  worker.group_.TaskEnded();
  if (worker.group_.options().measure_stacks) NoteStackUse(task);
  task.Announce();
  fiber.stack.SetOwner(nullptr);
  task.DropReference();
  worker.EndFiber(fiber);
}

void Worker::EndFiber(Fiber& fiber) {
  WEFT_CHECK(ended_ == nullptr);
  ended_ = &fiber;
  fiber.context.SwitchToForGood(NextContext());
}

void Worker::ReclaimFiber() {
  const Stack stack = ended_->stack;
  ended_->~Fiber();
  ended_ = nullptr;
  group_.stacks().Give(stack);
}

}  // namespace weft::internal
