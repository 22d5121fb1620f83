// What the kernel says of the threads of this process, and a way to start one
// that stays out of what the program does with signals.
#ifndef WEFT_RUNTIME_INTERNAL_THREAD_STATUS_H_
#define WEFT_RUNTIME_INTERNAL_THREAD_STATUS_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>

namespace weft::internal {

// A thread at one moment, as in proc(5).
struct ThreadStatus {
  // Reads it. All of it is absent if there is no such thread, or no /proc.
  static ThreadStatus Of(pid_t thread);

  // R: runs or could; S: sleeps; D: sleeps, and no signal ends that; T, t:
  // stopped, by a signal or a debugger; 0: unknown.
  char state = 0;
  // How often it has left a processor since it began.
  std::optional<uint64_t> switches;
};

// The number of the system call that the thread is in. Absent if it is in
// none, as one that waits for a page, and where the kernel does not tell.
std::optional<int64_t> SystemCallOf(pid_t thread);

// "read(2)" for calls in which programs block, "system call 451" for others.
std::string SystemCallName(int64_t number);

// Starts a thread that blocks all signals from the start, so that those sent
// to the process go to others. Throws std::system_error if there is none.
std::thread StartWithoutSignals(std::function<void()> body);

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_INTERNAL_THREAD_STATUS_H_
