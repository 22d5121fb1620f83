// Future: a call that may run, or must run, at the same time as its caller.
//
//   weft::Future<int, B> sum = weft::Async(io, [&](B& io) { return Add(io); });
//   ...
//   int result = sum.Await(io);
//
// **Structure.** Nothing is detached: a Future that is destroyed before it was
// awaited cancels its task and waits for it to end.
//
// **Cancelling.** Await passes a cancel or a deadline of the waiter on to the
// task and goes on waiting for its end; what it returns is what the task made
// of that.
//
// **Exceptions** that leave the function are thrown by Await.
#ifndef WEFT_RUNTIME_FUTURE_H_
#define WEFT_RUNTIME_FUTURE_H_

#include <atomic>
#include <memory>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/internal/call.h"
#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/wall.h"
#include "weft/runtime/io.h"
#include "weft/runtime/task.h"

namespace weft {
namespace internal {

// Is told of the end of a task, if it still wants to know then.
class EndWatcher {
 public:
  // True: it does, and Resume has to follow soon. Does not park.
  virtual bool Claim() = 0;
  // The last use of the watcher. Does not park.
  virtual void Resume(Io& io) = 0;

 protected:
  ~EndWatcher() = default;
};

// A task whose end can be awaited.
class JoinableTask : public Task {
 public:
  // Parks until the task has ended; passes cancels on to it.
  void Await(Io& io);
  bool ended() const {
    return state_.load(std::memory_order_acquire) == kEnded;
  }
  // Has `watcher` told of the end; false if the task has ended. One at a time,
  // and not while somebody awaits the task.
  bool Watch(EndWatcher& watcher);
  // Takes the watcher off again: when this returns, the task does not use it
  // any more. Not needed after its Resume.
  void Unwatch(Io& io);
  // Runs on the caller's own task, since Start has answered `refused`. Ends
  // the program if that was misuse.
  void RunInline(const absl::Status& refused);

 protected:
  using Task::Task;

 private:
  // kTelling: has ended, and uses the watcher for a last time.
  enum : uint32_t { kRunning, kAwaited, kWatched, kTelling, kEnded };

  void AnnounceEnd() final;

  std::atomic<uint32_t> state_{kRunning};
  EndWatcher* watcher_ = nullptr;  // while kWatched or kTelling
};

template <class R>
class FutureTask : public JoinableTask {
 public:
  R Take() { return outcome_.Take(); }

 protected:
  using JoinableTask::JoinableTask;
  Outcome<R> outcome_;
};

template <class B, class Call>
class FutureCall final : public FutureTask<typename Call::Result> {
 public:
  template <class... Parts>
  FutureCall(B& io, const SpawnOptions& options, Parts&&... parts)
      : FutureTask<typename Call::Result>(io, &io.CurrentTask("Async"),
                                          options),
        call_(std::in_place, io, std::forward<Parts>(parts)...) {}

 private:
  void Run() override {
    this->outcome_.Capture(*call_);
    // What the function captured ends with the task, not with the future.
    call_.reset();
  }

  std::optional<Call> call_;
};

struct FutureMaker;

template <class B, class Fn, class... Arguments>
using CallFor = BoundCall<B, std::decay_t<Fn>, std::decay_t<Arguments>...>;

}  // namespace internal

// The end of a task of backend B that returns T. Movable; an empty Future, as
// a moved-from or awaited one is, may only be assigned or destroyed.
//
// **Threads.** Used by one task at a time.
template <class T, IoType B>
class [[nodiscard]] Future {
 public:
  using OwnerBackend = B;

  Future(Future&& other) noexcept = default;
  Future& operator=(Future&& other) noexcept {
    if (this != &other) {
      CancelAndAwait();
      io_ = other.io_;
      task_ = std::move(other.task_);
    }
    return *this;
  }
  ~Future() { CancelAndAwait(); }

  bool valid() const { return task_ != nullptr; }

  // True once Await will not park. Does not block.
  bool ready() const {
    internal::ReachCancelPoint();
    return task_ != nullptr && task_->ended();
  }

  // Parks until the task has ended; returns or throws what it did. Once.
  template <IoType Given>
  T Await(Given& io) {
    internal::RequireSameBackend<B, Given>();
    if (!valid()) {
      internal::Misuse(
          "Await on an empty Future; a Future can be awaited once, and not "
          "after it was moved from");
    }
    task_->Await(io);
    return std::exchange(task_, nullptr)->Take();
  }

  // Asks the task to stop; its blocking calls return CANCELLED. Does not
  // block and does not wait: Await does.
  void Cancel() {
    if (!valid()) return;
    internal::ReachCancelPoint();
    task_->RequestCancel();
  }

 private:
  using Pointer = internal::TaskPointer<internal::FutureTask<T>>;
  friend struct internal::FutureMaker;

  Future(B& io, Pointer task) : io_(&io), task_(std::move(task)) {}

  void CancelAndAwait() {
    if (!valid()) return;
    internal::ReachCancelPoint();
    task_->RequestCancel();
    task_->Await(*io_);
    task_ = nullptr;
  }

  B* io_;
  Pointer task_;
};

namespace internal {

struct FutureMaker {
  // A future of a call that was started, or was refused by Io::Start.
  template <IoType B, class Fn, class... Arguments>
  static auto Make(B& io, const SpawnOptions& options, absl::Status& started,
                   Fn&& fn, Arguments&&... arguments) {
    RefuseForeignArguments<B, Fn, Arguments...>();
    using Call = CallFor<B, Fn, Arguments...>;
    using Result = typename Call::Result;
    TaskPointer<FutureTask<Result>> task(
        new FutureCall<B, Call>(io, options, std::forward<Fn>(fn),
                                std::forward<Arguments>(arguments)...));
    started = io.Start(*task);
    return Future<Result, B>(io, std::move(task));
  }

  template <class T, class B>
  static void RunInline(Future<T, B>& future, const absl::Status& refused) {
    future.task_->RunInline(refused);
  }

  // Null if the future is empty.
  template <class T, class B>
  static JoinableTask* TaskOf(Future<T, B>& future) {
    return future.task_.get();
  }

  template <class T, class B>
  static void Forget(Future<T, B>& future) {
    future.task_ = nullptr;
  }
};

}  // namespace internal

// Calls `fn(io, arguments...)`, or `fn(arguments...)` if it takes no Io, in a
// task that may run at the same time as the caller. When no task can be
// started, runs it at once, before Async returns. The arguments are decayed
// and moved into the task; pass references with std::ref.
template <IoType B, class Fn, class... Arguments>
auto Async(B& io, const SpawnOptions& options, Fn&& fn,
           Arguments&&... arguments) {
  absl::Status started;
  auto future =
      internal::FutureMaker::Make(io, options, started, std::forward<Fn>(fn),
                                  std::forward<Arguments>(arguments)...);
  if (!started.ok()) internal::FutureMaker::RunInline(future, started);
  return future;
}

template <IoType B, class Fn>
auto Async(B& io, Fn&& fn, SourceLocation where = SourceLocation::Current()) {
  return Async(io, SpawnOptions{.where = where}, std::forward<Fn>(fn));
}

template <IoType B, internal::NotOptions Fn, class... Arguments>
requires(sizeof...(Arguments) > 0) auto Async(B& io, Fn&& fn,
                                              Arguments&&... arguments) {
  return Async(io, internal::NowhereKnown(), std::forward<Fn>(fn),
               std::forward<Arguments>(arguments)...);
}

// As Async, but the task must run at the same time as the caller:
// RESOURCE_EXHAUSTED, and `fn` is not called, when a thread, a stack or the
// limit on tasks refuses it.
template <IoType B, class Fn, class... Arguments>
auto Concurrent(B& io, const SpawnOptions& options, Fn&& fn,
                Arguments&&... arguments) {
  absl::Status started;
  auto future =
      internal::FutureMaker::Make(io, options, started, std::forward<Fn>(fn),
                                  std::forward<Arguments>(arguments)...);
  using Result = absl::StatusOr<decltype(future)>;
  if (started.ok()) return Result(std::move(future));
  internal::FutureMaker::Forget(future);
  return Result(std::move(started));
}

template <IoType B, class Fn>
auto Concurrent(B& io, Fn&& fn,
                SourceLocation where = SourceLocation::Current()) {
  return Concurrent(io, SpawnOptions{.where = where}, std::forward<Fn>(fn));
}

template <IoType B, internal::NotOptions Fn, class... Arguments>
requires(sizeof...(Arguments) > 0) auto Concurrent(B& io, Fn&& fn,
                                                   Arguments&&... arguments) {
  return Concurrent(io, internal::NowhereKnown(), std::forward<Fn>(fn),
                    std::forward<Arguments>(arguments)...);
}

}  // namespace weft

#endif  // WEFT_RUNTIME_FUTURE_H_
