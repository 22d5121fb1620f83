// The part of Once that does not depend on the backend and the function.
#ifndef WEFT_SYNC_INTERNAL_ONCE_CORE_H_
#define WEFT_SYNC_INTERNAL_ONCE_CORE_H_

#include <atomic>
#include <cstddef>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/io.h"
#include "weft/sync/internal/wait_list.h"

namespace weft::internal {

template <class Atomics>
class OnceCore {
 public:
  // What a call finds when it need not wait any more.
  enum class Turn { kDone, kRun };

  OnceCore() = default;
  OnceCore(const OnceCore&) = delete;
  OnceCore& operator=(const OnceCore&) = delete;
  ~OnceCore();

  // Acquire pairs with the release in Succeed.
  bool done() const { return done_.load(std::memory_order_acquire); }
  // Waits for whoever runs now. kRun: it is the caller's turn to run, and to
  // call Succeed or Fail afterwards.
  absl::StatusOr<Turn> Begin(Io& io, MonotonicTime deadline);
  void Succeed(Io& io);
  // Gives the turn to the next that waits.
  void Fail(Io& io);
  size_t waiters() const;

 private:
  struct Waiter : WaitNode<Atomics> {
    explicit Waiter(const Task& own)
        : WaitNode<Atomics>(own_parker), task(own) {}

    Parker<Atomics> own_parker;
    const Task& task;
    Turn turn = Turn::kDone;  // set by the waker
  };

  // The task that runs has got the turn.
  void NoteRunner() { Atomics::Acquired({.object = this, .what = "once"}); }

  typename Atomics::template Atomic<bool> done_{false};
  mutable typename Atomics::Lock lock_;
  // Guarded by lock_. Tasks wait only while another runs.
  WaitList<Waiter> waiters_;
  const Task* runner_ = nullptr;
};

extern template class OnceCore<NativeAtomics>;
extern template class OnceCore<ExploredAtomics>;

}  // namespace weft::internal

#endif  // WEFT_SYNC_INTERNAL_ONCE_CORE_H_
