// A root task that a thread of the host program waits for.
#ifndef WEFT_BACKENDS_EVENTED_INTERNAL_AWAITED_ROOT_TASK_H_
#define WEFT_BACKENDS_EVENTED_INTERNAL_AWAITED_ROOT_TASK_H_

#include <condition_variable>
#include <mutex>

#include "weft/runtime/internal/root_task.h"

namespace weft::internal {

template <class B, class Fn>
class AwaitedRootTask final : public RootTask<B, Fn> {
 public:
  using RootTask<B, Fn>::RootTask;

  // Blocks the calling thread until the task has ended.
  auto Wait() {
    std::unique_lock lock(mutex_);
    ended_changed_.wait(lock, [this] { return ended_; });
    return this->Take();
  }

 private:
  void AnnounceEnd() override {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    ended_changed_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable ended_changed_;
  bool ended_ = false;  // guarded by mutex_
};

}  // namespace weft::internal

#endif  // WEFT_BACKENDS_EVENTED_INTERNAL_AWAITED_ROOT_TASK_H_
