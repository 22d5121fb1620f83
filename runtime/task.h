// A task: a unit of concurrency on any backend.
//
// Users meet tasks as Future and TaskGroup and read `io.CurrentTask()`; they
// never make or own a Task.
#ifndef WEFT_RUNTIME_TASK_H_
#define WEFT_RUNTIME_TASK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/internal/task_record.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/source_location.h"

namespace weft {

class Io;

namespace internal {
class TaskQueue;
struct LocalNode;
}  // namespace internal

// What a task is started with.
struct SpawnOptions {
  // Shown in messages, dumps and, on Threaded, in `top -H` (15 characters).
  // Empty: the name of the parent is used. Copied; control characters become
  // question marks.
  std::string_view name;
  // Where the task is spawned, for messages and dumps.
  SourceLocation where = SourceLocation::Current();
  // Bytes of address space for the stack of this task, guard included; 64 KiB,
  // enough for 32 KiB of frames and a signal handler of 12 KiB, to 1 GiB; at
  // least as many are given. 0: Options::stack_size. Concurrent and
  // TaskGroup::Spawn answer INVALID_ARGUMENT to an impossible size, Async ends
  // the program. An Async that can start no task calls the function on the
  // stack of its caller: use Concurrent where that is too small.
  size_t stack_size = 0;
};

class Task {
 public:
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  // The name it was started with. Any thread while the task is alive.
  const std::string& name() const { return name_; }

  // Where it was spawned. Any thread while the task is alive.
  SourceLocation where() const { return where_; }

  // As in SpawnOptions. Any thread while the task is alive.
  size_t stack_size() const { return stack_size_; }

  // Different for every task of the process.
  uint64_t id() const { return id_; }

  // Makes every blocking call of the task return CANCELLED, from now to its
  // end. Does not block. Any thread that keeps the task alive.
  void RequestCancel();

  // What a blocking call of this task has to report now. Only the task's own
  // thread. Reads the clock if a scope has a deadline.
  Interruption Interrupted() const { return FindInterruption(nullptr); }
  // As Interrupted, for a call that ends because of it: the scope that is the
  // reason is noted as fired.
  Interruption GiveUp() const;

  // When the innermost scopes run out of time. Only the task's own thread.
  MonotonicTime deadline() const { return scope_->deadline; }

  // What stands for the task where its end is awaited: itself, or the group
  // that it belongs to. For reports.
  virtual const void* EndAwaitedOn() const { return this; }

  // --- For backends -------------------------------------------------------

  // Runs the task to its end on the calling thread or fiber, with the default
  // floating-point environment.
  void Execute();
  // Tells whoever waits for it that the task has ended. The caller still owns
  // its reference afterwards.
  void Announce() { AnnounceEnd(); }

  // INVALID_ARGUMENT if stack_size() is impossible.
  absl::Status CheckStackSize() const;

  void AddReference() { references_.fetch_add(1, std::memory_order_relaxed); }
  // Deletes the task with the last reference.
  void DropReference();

  Io& io() const { return *io_; }

  // The thread or worker that runs the task, in the backend's own type; null
  // before the start. Set once by the backend, before the first look at
  // Interrupted(); read by Io::Interrupt. Both sequentially consistent: of a
  // start and a cancel that meet, one sees the other.
  std::atomic<void*> carrier{nullptr};
  // How `carrier` runs it, in the backend's own type. Only the carrier's
  // thread.
  void* runner = nullptr;
  // What debuggers and dumps read. Listed in the TaskRegistry by the backend,
  // from the start to just before the end is announced.
  internal::TaskRecord record;
  // Links of the backend's queues; a task is in one of each kind at a time.
  Task* next_unstarted = nullptr;
  std::atomic<bool> interrupt_posted{false};
  Task* next_interrupted = nullptr;

 protected:
  // `parent` is null for tasks that the host program starts.
  Task(Io& io, Task* parent, const SpawnOptions& options);
  virtual ~Task();

  // The user's function; never lets an exception out.
  virtual void Run() = 0;
  // Tells whoever waits that the task has ended. The last use of the task by
  // its own run, apart from the reference.
  virtual void AnnounceEnd() = 0;

 private:
  friend class CancelScope;
  friend class internal::TaskQueue;
  template <class T>
  friend class TaskLocal;

  // `reason`, if given, is set to the scope that is the reason, if any.
  Interruption FindInterruption(internal::ScopeLink** reason) const;

  Io* const io_;
  const std::string name_;
  const SourceLocation where_;
  const size_t stack_size_;
  const uint64_t id_;
  std::atomic<uint32_t> references_{1};
  internal::ScopeLink root_scope_;
  internal::ScopeLink* scope_ = &root_scope_;
  std::shared_ptr<const internal::LocalNode> locals_;
};

namespace internal {

template <class Fn>
concept NotOptions = !std::is_same_v<std::remove_cvref_t<Fn>, SpawnOptions>;

// A pack of arguments leaves no room for a default argument.
inline SpawnOptions NowhereKnown() { return {.where = {}}; }

struct DropReference {
  void operator()(Task* task) const { task->DropReference(); }
};
// Owns one reference.
template <class T>
using TaskPointer = std::unique_ptr<T, DropReference>;

// First in, first out; not thread-safe. Holds one reference per task.
class TaskQueue {
 public:
  bool empty() const { return head_ == nullptr; }
  size_t size() const { return size_; }
  void PushBack(Task& task);
  // Null when empty.
  Task* PopFront();

 private:
  Task* head_ = nullptr;
  Task* tail_ = nullptr;
  size_t size_ = 0;
};

}  // namespace internal
}  // namespace weft

#endif  // WEFT_RUNTIME_TASK_H_
