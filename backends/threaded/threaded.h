// Threaded: the backend that runs each task on an OS thread of its own.
//
//   absl::StatusOr<std::unique_ptr<weft::Threaded>> io =
//       weft::Threaded::Create();
//   absl::Status status = (*io)->Run([](weft::Threaded& io) { ... });
//
// Operations are ordinary system calls; a task that has to wait blocks its
// thread. Idle threads are reused and end after a while.
//
// **Threads.** Any thread that is no worker of another backend may use a
// Threaded; one that the backend did not start counts as a task without a
// parent. Several instances may exist at once.
#ifndef WEFT_BACKENDS_THREADED_THREADED_H_
#define WEFT_BACKENDS_THREADED_THREADED_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/runtime/internal/call.h"
#include "weft/runtime/internal/forks.h"
#include "weft/runtime/io.h"
#include "weft/runtime/options.h"

namespace weft {
namespace internal {
class ThreadPool;
class Watcher;
}  // namespace internal

class Threaded final : public Io {
 public:
  // INVALID_ARGUMENT for an option that is out of range or does not apply.
  static absl::StatusOr<std::unique_ptr<Threaded>> Create(
      const Options& options = {});

  // Waits for the threads to end. All tasks must have ended. In a child process
  // that has inherited it, does nothing.
  ~Threaded() override;

  // Calls `fn(io)` as a task, on the calling thread, and returns what it
  // returns; what it throws is thrown. A result that has no room for an error
  // becomes an absl::Status or absl::StatusOr: RESOURCE_EXHAUSTED at max_tasks.
  template <class Fn>
  auto Run(Fn&& fn) {
    using Result = decltype(internal::CallAtRoot(*this, fn));
    const absl::StatusOr<Io*> before = BeginRoot();
    if (!before.ok()) return Result(before.status());
    struct End {
      ~End() { io.EndRoot(before); }
      Threaded& io;
      Io* before;
    } end{*this, *before};
    return Result(internal::CallAtRoot(*this, fn));
  }

  // How many threads the backend has started that have not ended. Any thread.
  uint32_t threads() const;

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

 private:
  explicit Threaded(const Options& options);

  // Bracket a task on a thread of the host program. The Io that the thread
  // used before is given back to EndRoot.
  absl::StatusOr<Io*> BeginRoot();
  void EndRoot(Io* before);

  const internal::BirthProcess birth_process_;
  std::unique_ptr<internal::ThreadPool> pool_;
  // Ends before the pool.
  std::unique_ptr<internal::Watcher> watcher_;
  const int dump_signal_;  // 0: none
};

}  // namespace weft

#endif  // WEFT_BACKENDS_THREADED_THREADED_H_
