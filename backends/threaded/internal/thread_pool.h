// The threads of one Threaded: started on demand, reused, ended when idle.
#ifndef WEFT_BACKENDS_THREADED_INTERNAL_THREAD_POOL_H_
#define WEFT_BACKENDS_THREADED_INTERNAL_THREAD_POOL_H_

#include <pthread.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/internal/crash_handlers.h"
#include "weft/runtime/task.h"

namespace weft::internal {

struct ThreadPoolOptions {
  size_t stack_size;
  uint32_t max_tasks;  // UINT32_MAX: no limit
  Duration idle_timeout;
  bool report_overflow;
};

class ThreadPool {
 public:
  ThreadPool(Io& io, const ThreadPoolOptions& options);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool();

  // Runs `task` on an idle thread with a stack of its size, or on a new one.
  // Takes a reference. RESOURCE_EXHAUSTED when the kernel or max_tasks refuses,
  // INVALID_ARGUMENT for an impossible size. Any thread.
  absl::Status Start(Task& task);

  // Counts a task that runs elsewhere; RESOURCE_EXHAUSTED at max_tasks.
  absl::Status CountTask(const std::string& name);
  void UncountTask();

  uint32_t threads() const;

 private:
  struct IdleThread {
    const size_t stack_size;
    std::condition_variable wake;
    Task* task = nullptr;  // guarded by mutex_; null: still idle
    bool stop = false;     // guarded by mutex_
  };

  static void* ThreadMain(void* start);
  void Serve(Task* task, size_t stack_size);
  void RunTask(Task& task);
  // The next task for the calling thread, which has a stack of `stack_size`;
  // null when it is to end.
  Task* AwaitTask(size_t stack_size);
  // Null if none has such a stack.
  IdleThread* TakeIdleLocked(size_t stack_size);
  size_t StackSizeFor(const Task& task) const {
    return task.stack_size() == 0 ? options_.stack_size : task.stack_size();
  }
  absl::Status CountLocked(const std::string& name);
  absl::Status StartThread(Task& task);
  void JoinEnded();

  Io& io_;
  const ThreadPoolOptions options_;
  std::optional<CrashHandlers> crash_handlers_;

  mutable std::mutex mutex_;
  std::vector<IdleThread*> idle_;  // guarded by mutex_; the last is taken first
  uint32_t tasks_ = 0;             // guarded by mutex_
  uint32_t threads_ = 0;           // guarded by mutex_
  bool stopping_ = false;          // guarded by mutex_
  std::vector<pthread_t> ended_;   // guarded by mutex_; to be joined
  std::condition_variable all_ended_;
};

}  // namespace weft::internal

#endif  // WEFT_BACKENDS_THREADED_INTERNAL_THREAD_POOL_H_
