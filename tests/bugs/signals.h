// Condition, Event, Latch, Barrier and Once, explored.
#ifndef WEFT_TESTS_BUGS_SIGNALS_H_
#define WEFT_TESTS_BUGS_SIGNALS_H_

#include "absl/status/status.h"
#include "weft/sync/barrier.h"
#include "weft/sync/condition.h"
#include "weft/sync/event.h"
#include "weft/sync/latch.h"
#include "weft/sync/mutex.h"
#include "weft/sync/once.h"
#include "weft/sync/select.h"
#include "weft/tests/bugs/bug.h"
#include "weft/tests/bugs/interrupt.h"

namespace weft::bugs {

// A notify that comes together with the end of a wait is not swallowed.
template <Interrupt how>
void ConditionWait(Sim& io) {
  Mutex<Sim> mutex;
  Condition<Sim> changed;
  int items = 0;
  const auto consume = [&] {
    const MutexLock lock(mutex, io);
    if (!changed.Wait(io, mutex, [&] { return items > 0; }).ok()) return false;
    --items;
    return true;
  };
  const auto produce = [&] {
    const MutexLock lock(mutex, io);
    ++items;
    changed.NotifyOne(io);
  };
  auto first = Interruptible<how>(io, consume);
  auto second = Async(io, consume);
  Arrive<how>(io, first);
  produce();
  if (how == Interrupt::kNone || first.Await(io)) produce();
  Expect(io, second.Await(io), "a waiter gave up by itself");
  if (first.valid()) first.Await(io);
}

// The same without a predicate: both waiters stand in line when one notify is
// made, and one that gives up at that moment does not use it up.
template <Interrupt how>
void ConditionNotify(Sim& io) {
  Mutex<Sim> mutex;
  Condition<Sim> changed;
  int waiting = 0;
  const auto wait = [&] {
    const MutexLock lock(mutex, io);
    ++waiting;
    return changed.Wait(io, mutex).ok();
  };
  const auto all_wait = [&] {
    const MutexLock lock(mutex, io);
    return waiting == 2;
  };
  auto first = Interruptible<how>(io, wait);
  auto second = Async(io, wait);
  while (!all_wait()) io.Yield();
  Arrive<how>(io, first);
  changed.NotifyOne(io);
  if (how == Interrupt::kNone || first.Await(io)) changed.NotifyOne(io);
  Expect(io, second.Await(io), "a waiter gave up by itself");
  if (first.valid()) first.Await(io);
}

inline void ConditionNotifyAll(Sim& io) {
  Mutex<Sim> mutex;
  Condition<Sim> changed;
  bool ready = false;
  const auto wait = [&] {
    const MutexLock lock(mutex, io);
    (void)changed.Wait(io, mutex, [&] { return ready; });
  };
  const auto set = [&] {
    {
      const MutexLock lock(mutex, io);
      ready = true;
    }
    changed.NotifyAll(io);
  };
  Together(io, wait, wait, set);
}

template <Interrupt how>
void EventWait(Sim& io) {
  Event<Sim> event;
  const auto wait = [&] { return event.Wait(io).ok(); };
  auto first = Interruptible<how>(io, wait);
  auto second = Async(io, wait);
  Arrive<how>(io, first);
  event.Set(io);
  const bool told = first.Await(io);
  Expect(io, told || how != Interrupt::kNone, "a waiter gave up by itself");
  Expect(io, second.Await(io), "a waiter gave up by itself");
}

// Set lets those go that wait, even if Reset follows at once.
inline void EventReset(Sim& io) {
  Event<Sim> event;
  auto waiter = Async(io, [&] { return event.Wait(io).ok(); });
  while (event.waiters() == 0) io.Yield();
  event.Set(io);
  event.Reset();
  Expect(io, waiter.Await(io), "a waiter gave up by itself");
}

// The same for a Select, beside a plain wait.
template <Interrupt how>
void EventSelect(Sim& io) {
  Event<Sim> event;
  Event<Sim> never;
  auto first = Interruptible<how>(
      io, [&] { return Select(io, OnEvent(never), OnEvent(event)).ok(); });
  auto second = Async(io, [&] { return event.Wait(io).ok(); });
  Arrive<how>(io, first);
  event.Set(io);
  const bool told = first.Await(io);
  Expect(io, told || how != Interrupt::kNone, "a Select gave up by itself");
  Expect(io, second.Await(io), "a waiter gave up by itself");
  Expect(io, event.waiters() + never.waiters() == 0, "a watcher is left");
}

// Two events that are set while a Select enlists.
template <Interrupt how>
void EventSelectBoth(Sim& io) {
  Event<Sim> a;
  Event<Sim> b;
  auto first = Interruptible<how>(
      io, [&] { return Select(io, OnEvent(a), OnEvent(b)).ok(); });
  auto setter = Async(io, [&] {
    a.Set(io);
    b.Set(io);
  });
  Arrive<how>(io, first);
  const bool told = first.Await(io);
  Expect(io, told || how != Interrupt::kNone, "a Select gave up by itself");
  setter.Await(io);
  Expect(io, a.waiters() + b.waiters() == 0, "a watcher is left");
}

template <Interrupt how>
void LatchWait(Sim& io) {
  Latch<Sim> latch(2);
  const auto wait = [&] {
    if (!latch.Wait(io).ok()) return false;
    Expect(io, latch.count() == 0, "a waiter did not wait for all");
    return true;
  };
  auto first = Interruptible<how>(io, wait);
  auto second = Async(io, wait);
  latch.CountDown(io);
  Arrive<how>(io, first);
  latch.CountDown(io);
  const bool told = first.Await(io);
  Expect(io, told || how != Interrupt::kNone, "a waiter gave up by itself");
  Expect(io, second.Await(io), "a waiter gave up by itself");
}

// Two tasks meet. If one of them gives up, the other meets this task.
template <Interrupt how>
void BarrierWait(Sim& io) {
  Barrier<Sim> barrier(2);
  const auto meet = [&] { return barrier.Wait(io).ok(); };
  auto first = Interruptible<how>(io, meet);
  auto second = Async(io, meet);
  Arrive<how>(io, first);
  const bool met = first.Await(io);
  Expect(io, met || how != Interrupt::kNone, "a waiter gave up by itself");
  if (!met) Expect(io, meet(), "a waiter gave up by itself");
  Expect(io, second.Await(io), "a waiter gave up by itself");
  Expect(io, barrier.waiters() == 0, "the barrier has miscounted");
}

inline void BarrierOfThree(Sim& io) {
  Barrier<Sim> barrier(3);
  Shared<int> arrived{0};
  const auto meet = [&] {
    arrived.fetch_add(1);
    (void)barrier.Wait(io);
    Expect(io, arrived.load() == 3, "a task did not wait for the others");
  };
  Together(io, meet, meet, meet);
}

// The function fails in the task that comes first; then it is another's turn.
template <Interrupt how>
void OnceWait(Sim& io) {
  Once<Sim> once;
  Shared<bool> running{false};
  int calls = 0;
  int successes = 0;
  const auto run = [&] {
    return once
        .Run(io,
             [&] {
               Expect(io, !running.exchange(true), "it runs twice at once");
               const bool fails = calls++ == 0;
               successes += fails ? 0 : 1;
               running.store(false);
               return fails ? absl::AbortedError("the first fails")
                            : absl::OkStatus();
             })
        .ok();
  };
  auto first = Interruptible<how>(io, run);
  auto second = Async(io, run);
  run();
  Arrive<how>(io, first);
  first.Await(io);
  second.Await(io);
  Expect(io, run() && once.done() && successes == 1, "it did not run once");
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_SIGNALS_H_
