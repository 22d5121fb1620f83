// Notices that a thread is blocked: a task of Sim has waited by means of its
// own, and no task can run any more.
#ifndef WEFT_BACKENDS_SIM_INTERNAL_BLOCKED_WATCH_H_
#define WEFT_BACKENDS_SIM_INTERNAL_BLOCKED_WATCH_H_

#include <pthread.h>
#include <sys/types.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "weft/runtime/clock.h"

namespace weft::sim {

// Watches the thread that makes it. Once that has slept in the kernel for
// `limit` without a break, says so on standard error and sends it SIGABRT,
// whose handler (crash.h) names the task that runs and the schedule.
//
// Sleep is what the kernel reports, so a thread that computes, that waits for
// a processor or a page, or that a debugger has stopped is not blocked. Does
// nothing if `limit` is 0, or without /proc.
class BlockedWatch {
 public:
  explicit BlockedWatch(Duration limit);
  BlockedWatch(const BlockedWatch&) = delete;
  BlockedWatch& operator=(const BlockedWatch&) = delete;
  ~BlockedWatch();

 private:
  void Watch();
  // False once the watch is to end. Waits for a part of the limit.
  bool WaitForNextLook();

  const Duration limit_;
  const pthread_t thread_;
  const pid_t thread_id_;
  std::mutex mutex_;
  std::condition_variable ending_;
  bool ended_ = false;  // guarded by mutex_
  std::thread watcher_;
};

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_INTERNAL_BLOCKED_WATCH_H_
