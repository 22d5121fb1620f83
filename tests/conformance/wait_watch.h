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

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <string_view>

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
    return thread != 0 && (thread == gettid() || Sleeps(thread));
  }

  static bool Sleeps(pid_t thread) {
    const std::string path =
        "/proc/self/task/" + std::to_string(thread) + "/stat";
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    char text[512];
    const ssize_t size = read(fd, text, sizeof(text));
    close(fd);
    if (size <= 0) return false;
    // "12 (name) S ...", where the name may have parentheses of its own.
    const std::string_view stat(text, static_cast<size_t>(size));
    const size_t name_end = stat.rfind(')');
    return name_end != std::string_view::npos &&
           stat.substr(name_end).starts_with(") S");
  }

  std::atomic<pid_t> thread_{0};
};

}  // namespace weft::testing

#endif  // WEFT_TESTS_CONFORMANCE_WAIT_WATCH_H_
