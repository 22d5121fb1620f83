// A task that a thread of the host program waits for.
#ifndef WEFT_BACKENDS_EVENTED_INTERNAL_ROOT_TASK_H_
#define WEFT_BACKENDS_EVENTED_INTERNAL_ROOT_TASK_H_

#include <condition_variable>
#include <mutex>

#include "weft/runtime/internal/call.h"
#include "weft/runtime/task.h"

namespace weft::internal {

template <class B, class Fn>
class RootTask final : public Task {
 public:
  using Result = typename RootResult<InvokeWithIoResult<B, Fn&>>::type;

  // `fn` must outlive the task; it is called once.
  RootTask(B& io, Fn& fn) : Task(io, nullptr, {}), io_(io), fn_(fn) {}

  // Blocks the calling thread until the task has ended.
  Result Wait() {
    std::unique_lock lock(mutex_);
    ended_changed_.wait(lock, [this] { return ended_; });
    return outcome_.Take();
  }

 private:
  void Run() override {
    outcome_.Capture([this] { return CallAtRoot(io_, fn_); });
  }

  void AnnounceEnd() override {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    ended_changed_.notify_one();
  }

  B& io_;
  Fn& fn_;
  Outcome<Result> outcome_;
  std::mutex mutex_;
  std::condition_variable ended_changed_;
  bool ended_ = false;  // guarded by mutex_
};

}  // namespace weft::internal

#endif  // WEFT_BACKENDS_EVENTED_INTERNAL_ROOT_TASK_H_
