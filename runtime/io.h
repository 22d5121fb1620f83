// Io: the abstract interface of the backends. A function that takes an `Io&`
// may block.
//
//   absl::Status Greet(weft::Io& io, weft::net::TcpStream& peer) {
//     return peer.WriteAll(io, "hello\n");
//   }
//
// This is the interface that backends implement. Users call what is built on
// it: sockets (net/), primitives (sync/), Future, TaskGroup, Sleep, Deadline.
//
// **Threads.** A call that may block must come from a task of this backend; a
// Threaded also accepts any thread of the host program that is no worker of
// another backend. Anything else ends the program with a message.
// Interrupt, FutexWake, Now, WallNow, Random and Describe may be called from
// any thread.
//
// **Cancelling.** Every blocking call returns early when the scope it is in is
// cancelled or runs out of time (scope.h), unless it says otherwise.
#ifndef WEFT_RUNTIME_IO_H_
#define WEFT_RUNTIME_IO_H_

#include <atomic>
#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>

#include "absl/status/status.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/operation.h"
#include "weft/runtime/task.h"

namespace weft {

namespace internal {
class TaskInspection;
}  // namespace internal

// Why FutexWait returned. Exactly one cause is reported, and a wake that was
// counted by FutexWake is always reported as kWoken.
enum class WakeReason {
  kWoken,          // a FutexWake chose this waiter
  kValueDiffered,  // the word did not hold the expected value
  kDeadline,       // the deadline given to FutexWait passed
  kInterrupted,    // the scope was cancelled or its deadline passed
};

// How a FutexWait may end before it is woken.
struct FutexWaitOptions {
  MonotonicTime deadline = kNever;
  // False: cancels and deadlines of the scope are not looked at, for waits
  // that are short or must be carried through, such as locking a mutex.
  bool interruptible = true;
};

// What a backend says of itself, for logs and for people.
struct Description {
  std::string backend;   // "threaded", "evented" ...
  std::string driver;    // "uring", "epoll"; empty where there is none
  uint32_t workers = 0;  // threads that run tasks; 0: one for every task
  std::string details;   // one line: features found, and why not others
};

class Io {
 public:
  Io(const Io&) = delete;
  Io& operator=(const Io&) = delete;

  // Runs one operation to its end; operation.h says what it returns.
  virtual int64_t Perform(const Operation& operation) = 0;

  // Makes `task` run at the same time as its caller; takes a reference of its
  // own. RESOURCE_EXHAUSTED when a thread, a stack or the task limit refuses,
  // INVALID_ARGUMENT for an impossible stack_size; then the task will not run.
  // Does not block.
  virtual absl::Status Start(Task& task) = 0;

  // Makes `task`, which is kept alive by the caller, look at its scopes again
  // if it is blocked. Does not block. Any thread.
  virtual void Interrupt(Task& task) = 0;

  // Lets others run first. Not a cancellation point.
  virtual void Yield() = 0;

  // The task that runs now. `call` names the public call on whose behalf this
  // is asked, for the message that ends the program when there is no task of
  // this backend on the calling thread.
  virtual Task& CurrentTask(const char* call) = 0;

  // Parks the task if `word` holds `expected`, until woken. Comparing and
  // parking are one step towards FutexWake: a wake that comes after the word
  // was changed is never missed. Waiters of one word wake in the order in
  // which they came.
  virtual WakeReason FutexWait(const std::atomic<uint32_t>& word,
                               uint32_t expected,
                               const FutexWaitOptions& options) = 0;

  // Wakes up to `count` waiters of `word`, whichever instance of the backend
  // they belong to; returns how many. `word` is only an address here and need
  // not exist any more. Any thread. Does not block.
  virtual uint32_t FutexWake(const std::atomic<uint32_t>& word,
                             uint32_t count) = 0;

  // Parks the task until `when`: OK, or CANCELLED or DEADLINE_EXCEEDED from
  // the scope.
  virtual absl::Status SleepUntil(MonotonicTime when) = 0;

  virtual MonotonicTime Now() const = 0;
  virtual WallTime WallNow() const = 0;

  // 64 random bits; not for secrets.
  virtual uint64_t Random() = 0;

  virtual Description Describe() const = 0;

  // Reports to the inspection what is known of the tasks of this instance:
  // which run and, as far as possible, the backtraces of all. Those that are
  // left out are still seen as far as their records tell. task_dump.h says
  // which threads may call and for how long it blocks.
  virtual void Inspect(
      const std::shared_ptr<internal::TaskInspection>& /*inspection*/) {}

 protected:
  Io() = default;
  // A backend is destroyed through its own type; it ends when all its tasks
  // have.
  virtual ~Io() = default;
};

// Parks the task for `span`: OK, or CANCELLED or DEADLINE_EXCEEDED.
absl::Status Sleep(Io& io, Duration span);

// A backend: a final class that implements Io. The type is the tag that
// primitives carry.
template <class B>
concept Backend = std::derived_from<B, Io> && std::is_final_v<B>;

// What a function that shares no primitive may take: a backend or plain Io.
template <class B>
concept IoType = std::derived_from<B, Io>;

}  // namespace weft

#endif  // WEFT_RUNTIME_IO_H_
