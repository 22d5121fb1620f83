// Scopes: stretches of a task with a deadline, a cancel request or a shield.
//
//   weft::Deadline deadline(io, 2s);
//   absl::StatusOr<size_t> n = stream.Read(io, buffer);
//   if (!n.ok() && deadline.fired()) ...   // its time was up, no outer one's
//
// A scope is opened on the stack of a task and holds for every blocking call
// of that task until it is destroyed. Scopes nest: the innermost one is
// destroyed first. Tasks that are started inside a scope are not inside it:
// whoever awaits them passes a cancel on.
//
// **Cancelling.** A request is sticky: every blocking call in the scope
// returns CANCELLED until the scope ends. A deadline that has passed is sticky
// in the same way and gives DEADLINE_EXCEEDED. Where both hold, the outermost
// request wins, for it is the one that will not go away.
//
// **Threads.** Only the task that opened a scope may open another inside it or
// close it; Cancel() may be called from any thread while the scope is open.
#ifndef WEFT_RUNTIME_SCOPE_H_
#define WEFT_RUNTIME_SCOPE_H_

#include <atomic>
#include <utility>

#include "absl/status/status.h"
#include "weft/runtime/clock.h"

namespace weft {

class Io;
class Task;

// Why a blocking call has to give up.
enum class Interruption { kNone, kCancelled, kDeadline };

namespace internal {

// A link in the chain of scopes of one task. The outermost link is the task
// itself; its flag is the cancel request of the task.
struct ScopeLink {
  ScopeLink* parent = nullptr;
  // The earliest deadline of this link and those outside it, up to a shield.
  MonotonicTime deadline = kNever;
  // This link's own deadline.
  MonotonicTime own_deadline = kNever;
  // Stops the view outwards.
  bool shield = false;
  // A call of the task gave up because of this link. Own thread.
  bool fired = false;
  // Set by any thread in RequestCancel; read by the task's own thread.
  std::atomic<bool> cancelled{false};
};

}  // namespace internal

// A scope that can be cancelled.
class CancelScope {
 public:
  explicit CancelScope(Io& io);
  ~CancelScope();
  CancelScope(const CancelScope&) = delete;
  CancelScope& operator=(const CancelScope&) = delete;

  // Makes every blocking call in this scope return CANCELLED, the one that
  // blocks now included. Does not block. Any thread.
  void Cancel();

  // True once Cancel() was called. Any thread.
  bool cancelled() const {
    return link_.cancelled.load(std::memory_order_acquire);
  }

  // True once a blocking call gave up because of this scope, and not because
  // of one around or inside it. Only the task that opened the scope.
  bool fired() const { return link_.fired; }

 protected:
  CancelScope(Io& io, MonotonicTime deadline, bool shield);

 private:
  Io& io_;
  Task& task_;
  internal::ScopeLink link_;
};

// A scope with a deadline.
class Deadline : public CancelScope {
 public:
  // Time is up `timeout` from now.
  Deadline(Io& io, Duration timeout);
  // Time is up at `when`.
  Deadline(Io& io, MonotonicTime when);
};

// A scope in which cleanup may block in spite of a cancel request or a
// deadline outside of it. Give the cleanup a deadline of its own:
//
//   weft::Shield shield(io);
//   weft::Deadline deadline(io, 1s);
//   (void)stream.WriteAll(io, goodbye);
class Shield : public CancelScope {
 public:
  explicit Shield(Io& io);
};

// Calls `fn()` in a scope with a deadline and returns what it returns.
template <class Fn>
auto WithTimeout(Io& io, Duration timeout, Fn&& fn) {
  Deadline deadline(io, timeout);
  return std::forward<Fn>(fn)();
}

// OK, or CANCELLED or DEADLINE_EXCEEDED if a blocking call of this task would
// give up now. Does not block.
absl::Status CheckCancelled(Io& io);

}  // namespace weft

#endif  // WEFT_RUNTIME_SCOPE_H_
