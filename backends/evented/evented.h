// Evented: the backend that runs tasks as fibers on a few worker threads, over
// io_uring.
//
//   absl::StatusOr<std::unique_ptr<weft::Evented>> io =
//       weft::Evented::Create({.workers = 2});
//   absl::Status status = (*io)->Run([](weft::Evented& io) { ... });
//
// A task that waits parks its fiber; the worker goes on with the next one. A
// fiber that computes without ever waiting keeps its worker from everything
// else: let it Yield now and then.
//
// **Threads.** Blocking calls come from tasks of this instance only. Any other
// thread may call Run, several at once. Several instances may exist at once.
// Workers have SIGPIPE blocked; a process that is started from a task inherits
// that.
#ifndef WEFT_BACKENDS_EVENTED_EVENTED_H_
#define WEFT_BACKENDS_EVENTED_EVENTED_H_

#include <memory>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/backends/evented/internal/awaited_root_task.h"
#include "weft/runtime/internal/forks.h"
#include "weft/runtime/io.h"
#include "weft/runtime/options.h"

namespace weft {
namespace internal {
class Worker;
class WorkerGroup;
}  // namespace internal

class Evented final : public Io {
 public:
  // Starts the workers. INVALID_ARGUMENT for an option that is out of range or
  // does not apply; FAILED_PRECONDITION where the kernel refuses io_uring, with
  // the reason, and on a thread with a shadow stack (CET); RESOURCE_EXHAUSTED
  // for threads, descriptors or memory. All workers start or none.
  static absl::StatusOr<std::unique_ptr<Evented>> Create(
      const Options& options = {});

  // Stops and joins the workers. All calls of Run must have returned. In a
  // child process that has inherited it, does nothing.
  ~Evented() override;

  // Calls `fn(io)` in a task and returns what it returns; what it throws is
  // thrown. Blocks the calling thread, which must not be a worker. A result
  // that has no room for an error becomes an absl::Status or absl::StatusOr:
  // RESOURCE_EXHAUSTED when the task could not be started.
  template <class Fn>
  auto Run(Fn&& fn) {
    RefuseOnWorker("Evented::Run");
    using Root =
        internal::AwaitedRootTask<Evented, std::remove_reference_t<Fn>>;
    const internal::TaskPointer<Root> root(new Root(*this, fn));
    if (absl::Status status = Start(*root); !status.ok()) {
      return typename Root::Result(std::move(status));
    }
    return root->Wait();
  }

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
  explicit Evented(const Options& options);

  static void RefuseOnWorker(const char* call);
  [[noreturn]] void RefuseForeign(const char* call) const;
  // The worker of the task that calls; ends the program if there is none.
  internal::Worker& WorkerFor(const char* call);

  const internal::BirthProcess birth_process_;
  std::unique_ptr<internal::WorkerGroup> group_;
};

}  // namespace weft

#endif  // WEFT_BACKENDS_EVENTED_EVENTED_H_
