// TaskGroup: tasks that live and end together.
//
//   weft::TaskGroup<B> group(io, {.max_concurrent = 64});
//   for (const Upstream& upstream : upstreams) {
//     group.Spawn([&](B& io) { return Follow(io, upstream); });
//   }
//   absl::Status first_error = group.Await(io);
//
// **Structure.** A group never outlives its scope: its destructor cancels the
// tasks that are left and waits for them.
//
// **Errors.** A task may return void or absl::Status. The group keeps the
// first error and the first exception. CANCELLED from a task is no error once
// the group was cancelled.
//
// **Threads.** Spawn and Cancel: any task of the backend. Await and the
// destructor: one task. Cancel: any thread.
#ifndef WEFT_RUNTIME_TASK_GROUP_H_
#define WEFT_RUNTIME_TASK_GROUP_H_

#include <atomic>
#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "weft/runtime/internal/call.h"
#include "weft/runtime/internal/explorer.h"
#include "weft/runtime/internal/wall.h"
#include "weft/runtime/io.h"
#include "weft/runtime/task.h"

namespace weft {

struct TaskGroupOptions {
  // How many tasks may run at once; Spawn waits for a place. 0: no bound.
  uint32_t max_concurrent = 0;
  // The first error or exception of a task cancels the others.
  bool cancel_on_error = false;
};

namespace internal {

class GroupCore;

// A task that reports its end to a group.
class GroupTask : public Task, public boost::intrusive::list_base_hook<> {
 public:
  GroupTask(Io& io, const SpawnOptions& options, GroupCore& group)
      : Task(io, &io.CurrentTask("TaskGroup::Spawn"), options), group_(group) {}

  const void* EndAwaitedOn() const final { return &group_; }

 protected:
  absl::Status status_;
  std::exception_ptr exception_;

 private:
  friend class GroupCore;

  void AnnounceEnd() final;

  GroupCore& group_;
};

template <class B, class Call>
class GroupCall final : public GroupTask {
 public:
  template <class... Parts>
  GroupCall(B& io, const SpawnOptions& options, GroupCore& group,
            Parts&&... parts)
      : GroupTask(io, options, group),
        call_(std::in_place, io, std::forward<Parts>(parts)...) {}

 private:
  void Run() override {
    using Result = typename Call::Result;
    static_assert(
        std::is_void_v<Result> || std::is_convertible_v<Result, absl::Status>,
        "weft: a task of a TaskGroup returns void or absl::Status; "
        "use Async to get a value back");
    try {
      if constexpr (std::is_void_v<Result>) {
        (*call_)();
      } else {
        status_ = (*call_)();
      }
    } catch (...) {
      exception_ = std::current_exception();
    }
    call_.reset();
  }

  std::optional<Call> call_;
};

// The part of a group that does not depend on types.
class GroupCore {
 public:
  GroupCore(Io& io, const TaskGroupOptions& options)
      : io_(io), options_(options) {}
  GroupCore(const GroupCore&) = delete;
  GroupCore& operator=(const GroupCore&) = delete;
  ~GroupCore();

  // Waits for a place and starts the task; takes over the caller's reference.
  // False if it did not start; why is kept as an error.
  bool Spawn(GroupTask& task);
  void Cancel();
  absl::Status Await(Io& io);
  uint32_t running() const { return running_.load(std::memory_order_acquire); }

 private:
  friend class GroupTask;

  // Waits for a place and enters the task in the list.
  Interruption Enter(GroupTask& task);
  void Finish(GroupTask& task);
  // Removes the task from the list; the caller wakes if true.
  bool LeaveLocked(GroupTask& task);
  void AwaitEnd(Io& io);
  Awaited EndOfAll() const;
  void KeepError(absl::Status status);
  void CancelLocked();

  Io& io_;
  const TaskGroupOptions options_;
  std::mutex mutex_;
  boost::intrusive::list<GroupTask> tasks_;
  // The size of tasks_; changed under mutex_, waited on by Await and by Spawn.
  std::atomic<uint32_t> running_{0};
  uint32_t waiting_for_place_ = 0;
  bool cancelled_ = false;
  absl::Status first_error_;
  std::exception_ptr first_exception_;
};

}  // namespace internal

template <IoType B>
class TaskGroup {
 public:
  using OwnerBackend = B;

  explicit TaskGroup(B& io, TaskGroupOptions options = {})
      : io_(io), core_(io, options) {}

  // Runs `fn(io, arguments...)`, or `fn(arguments...)` if it takes no Io, in a
  // task of this group. The arguments are decayed and moved into the task.
  // Waits while the group is at max_concurrent. False, and `fn` is not called,
  // when the wait was interrupted or when no task could be started; why is
  // then kept as an error of the group.
  template <class Fn, class... Arguments>
  bool Spawn(const SpawnOptions& options, Fn&& fn, Arguments&&... arguments) {
    internal::RefuseForeignArguments<B, Fn, Arguments...>();
    using Call =
        internal::BoundCall<B, std::decay_t<Fn>, std::decay_t<Arguments>...>;
    return core_.Spawn(*new internal::GroupCall<B, Call>(
        io_, options, core_, std::forward<Fn>(fn),
        std::forward<Arguments>(arguments)...));
  }

  template <class Fn>
  bool Spawn(Fn&& fn, SourceLocation where = SourceLocation::Current()) {
    return Spawn(SpawnOptions{.where = where}, std::forward<Fn>(fn));
  }

  template <internal::NotOptions Fn, class... Arguments>
  requires(sizeof...(Arguments) > 0) bool Spawn(Fn&& fn,
                                                Arguments&&... arguments) {
    return Spawn(internal::NowhereKnown(), std::forward<Fn>(fn),
                 std::forward<Arguments>(arguments)...);
  }

  // Makes the blocking calls of all tasks return CANCELLED, those of tasks
  // spawned later included. Does not wait for them. Any thread.
  void Cancel() { core_.Cancel(); }

  // Parks until no task is left. Returns the first error, CANCELLED or
  // DEADLINE_EXCEEDED if the waiter was interrupted (which cancels the tasks,
  // and Await still waits for their end), or OK. Throws the first exception
  // that left a task, if any. The group may be used again afterwards.
  template <IoType Given>
  absl::Status Await(Given& io) {
    internal::RequireSameBackend<B, Given>();
    return core_.Await(io);
  }

  // How many tasks have not ended. Any thread; may be outdated at once.
  uint32_t running() const { return core_.running(); }

 private:
  B& io_;
  internal::GroupCore core_;
};

template <IoType B>
TaskGroup(B&) -> TaskGroup<B>;
template <IoType B>
TaskGroup(B&, TaskGroupOptions) -> TaskGroup<B>;

}  // namespace weft

#endif  // WEFT_RUNTIME_TASK_GROUP_H_
