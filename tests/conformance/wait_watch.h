// WaitWatch: tells when a task that is about to wait does wait.
//
//   WaitWatch watch;
//   auto reader = Async(io, [&](B& io) {
//     watch.Begin();
//     return Read(io);
//   });
//   watch.AwaitParked(io);
//   reader.Cancel();   // meets a task that is blocked
#ifndef WEFT_TESTS_CONFORMANCE_WAIT_WATCH_H_
#define WEFT_TESTS_CONFORMANCE_WAIT_WATCH_H_

#include <unistd.h>

#include <atomic>

#include "weft/runtime/internal/thread_status.h"
#include "weft/runtime/io.h"

namespace weft::testing {

class WaitWatch {
 public:
  // The task waits next.
  void Begin() { BeginOn(gettid()); }
  void BeginOn(pid_t thread) {
    thread_.store(thread, std::memory_order_release);
  }

  // Lets others run until the task waits: its thread sleeps, or it is the
  // thread of the caller, which runs something else, namely the caller.
  void AwaitParked(Io& io) const {
    while (!Parked()) io.Yield();
  }

 private:
  bool Parked() const {
    const pid_t thread = thread_.load(std::memory_order_acquire);
    return thread != 0 && (thread == gettid() ||
                           internal::ThreadStatus::Of(thread).state == 'S');
  }

  std::atomic<pid_t> thread_{0};
};

}  // namespace weft::testing

#endif  // WEFT_TESTS_CONFORMANCE_WAIT_WATCH_H_
