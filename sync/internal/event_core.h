// The part of Event that does not depend on the backend.
#ifndef WEFT_SYNC_INTERNAL_EVENT_CORE_H_
#define WEFT_SYNC_INTERNAL_EVENT_CORE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/io.h"
#include "weft/sync/internal/select_branch.h"
#include "weft/sync/internal/wait_list.h"

namespace weft::internal {

template <class Atomics>
class EventCore {
 public:
  class Branch;

  EventCore() = default;
  EventCore(const EventCore&) = delete;
  EventCore& operator=(const EventCore&) = delete;
  ~EventCore();

  void Set(Io& io);
  void Reset();
  bool IsSet() const { return (Word() & kSet) != 0; }
  absl::Status Wait(Io& io, MonotonicTime deadline);
  size_t waiters() const { return waiters_.load(std::memory_order_relaxed); }

 private:
  // The bits of word_: kSet, the number of resets above it, and kWatched,
  // which is set exactly while watchers_ is not empty; never both.
  static constexpr uint32_t kSet = 1;
  static constexpr uint32_t kWatched = uint32_t{1} << 31;

  // A Select that waits.
  struct Watcher : WaitNode<Atomics> {
    using WaitNode<Atomics>::WaitNode;

    bool told = false;  // set by the waker
  };

  // Acquire pairs with the release in Set.
  uint32_t Word() const { return word_.load(std::memory_order_acquire); }
  // A waiter that saw this without kSet knows from any later change of it
  // that there was a Set.
  uint32_t SetsAndResets() const { return Word() & ~kWatched; }
  // False, and nothing was done, if there is no watcher any more.
  bool SetWatched(Io& io);
  // Sets kWatched; false if the event is set. Under lock_.
  bool TryMarkWatched();

  typename Atomics::template Atomic<uint32_t> word_{0};
  // Tasks that wait, in Wait or Select.
  typename Atomics::template Atomic<uint32_t> waiters_{0};
  typename Atomics::Lock lock_;
  // Guarded by lock_, as is kWatched.
  WaitList<Watcher> watchers_;
};

template <class Atomics>
class EventCore<Atomics>::Branch : public SelectBranch<Atomics> {
 public:
  explicit Branch(EventCore& event) : event_(event) {}

  bool TryNow(Parker<Atomics>*&) final { return event_.IsSet(); }
  bool Enlist(Parker<Atomics>& parker) final;
  bool Settle(Io& io) final;

 private:
  EventCore& event_;
  std::optional<Watcher> watcher_;
};

extern template class EventCore<NativeAtomics>;
extern template class EventCore<ExploredAtomics>;

}  // namespace weft::internal

#endif  // WEFT_SYNC_INTERNAL_EVENT_CORE_H_
