// Atomic: an atomic variable whose accesses a backend can explore.
//
//   template <weft::Backend B>
//   class Sequence {
//    public:
//     uint64_t Next() { return next_.fetch_add(1, std::memory_order_relaxed); }
//
//    private:
//     weft::Atomic<uint64_t, B> next_{0};
//   };
//
// For lock-free code of your own. On Threaded and on Evented it is
// std::atomic<T> itself. On a backend that explores schedules each access is a
// point at which another task may run first; the orders that were asked for
// are then dropped, and every access is sequentially consistent, so what a
// weak order allows is left to the hardware and ThreadSanitizer.
//
// It has load, store, exchange, compare_exchange_weak and _strong, fetch_add,
// fetch_sub, fetch_and, fetch_or, fetch_xor and the operators, as std::atomic.
// Do not call wait and notify, which only Threaded and Evented have: wait stops
// the thread, and with it every fiber of a worker. A task waits for an Event or
// a Condition.
//
// **Threads.** Any thread. It belongs to no backend, and may be shared with
// code outside of weft; only accesses by tasks of B are explored.
#ifndef WEFT_SYNC_ATOMIC_H_
#define WEFT_SYNC_ATOMIC_H_

#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/io.h"

namespace weft {

template <class T, Backend B>
using Atomic = typename internal::AtomicsOf<B>::template Atomic<T>;

}  // namespace weft

#endif  // WEFT_SYNC_ATOMIC_H_
