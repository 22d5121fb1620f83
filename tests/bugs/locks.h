// Mutex, SharedMutex and Semaphore, explored.
#ifndef WEFT_TESTS_BUGS_LOCKS_H_
#define WEFT_TESTS_BUGS_LOCKS_H_

#include <cstddef>
#include <optional>

#include "weft/sync/mutex.h"
#include "weft/sync/semaphore.h"
#include "weft/sync/shared_mutex.h"
#include "weft/tests/bugs/bug.h"
#include "weft/tests/bugs/interrupt.h"

namespace weft::bugs {

// Who is inside of a critical section.
class Inside {
 public:
  void Write(Sim& io) {
    Expect(io, readers_.load() == 0, "a writer beside a reader");
    Expect(io, !writer_.exchange(true), "two writers");
    writer_.store(false);
  }
  void Read(Sim& io) {
    readers_.fetch_add(1);
    Expect(io, !writer_.load(), "a reader beside a writer");
    readers_.fetch_sub(1);
  }

 private:
  Shared<int> readers_{0};
  Shared<bool> writer_{false};
};

inline void MutexOfThree(Sim& io) {
  Mutex<Sim> mutex;
  Inside inside;
  Each(io, 3, [&](size_t) {
    const MutexLock lock(mutex, io);
    inside.Write(io);
  });
}

// A waiter may be overtaken once, when it is woken, and then has it.
inline void MutexLockedAgain(Sim& io) {
  Mutex<Sim> mutex;
  Inside inside;
  const auto use = [&] {
    for (int i = 0; i < 2; ++i) {
      const MutexLock lock(mutex, io);
      inside.Write(io);
    }
  };
  Together(io, use, use);
}

// A cancel does not end a wait for a mutex; a limit does.
template <Interrupt how>
void MutexWait(Sim& io) {
  Mutex<Sim> mutex;
  Inside inside;
  const auto use = [&] {
    const MutexLock lock(mutex, io);
    inside.Write(io);
  };
  std::optional<Future<void, Sim>> first;
  std::optional<Future<void, Sim>> second;
  {
    const MutexLock lock(mutex, io);
    first = Interruptible<how>(io, [&] {
      if (how != Interrupt::kDeadline) return use();
      if (!mutex.TryLockFor(io, kDeadlineOfWait)) return;
      inside.Write(io);
      mutex.Unlock(io);
    });
    second = Async(io, use);
    Arrive<how>(io, *first);
    inside.Write(io);
  }
  first->Await(io);
  second->Await(io);
}

inline void SharedMutexOfThree(Sim& io) {
  SharedMutex<Sim> mutex;
  Inside inside;
  const auto read = [&] {
    const SharedLock lock(mutex, io);
    inside.Read(io);
  };
  const auto write = [&] {
    const ExclusiveLock lock(mutex, io);
    inside.Write(io);
  };
  Together(io, read, write, write);
}

// A writer stands in line while this task reads, and gives up unless it is not
// interrupted. A reader behind it then comes in beside this task.
template <Interrupt how>
void SharedMutexWait(Sim& io) {
  SharedMutex<Sim> mutex;
  Inside inside;
  std::optional<Future<bool, Sim>> writer;
  std::optional<Future<void, Sim>> reader;
  {
    const SharedLock lock(mutex, io);
    writer = Interruptible<how>(io, [&] {
      if (!mutex.LockUnlessCancelled(io)) return false;
      inside.Write(io);
      mutex.Unlock(io);
      return true;
    });
    reader = Async(io, [&] {
      const SharedLock own(mutex, io);
      inside.Read(io);
    });
    Arrive<how>(io, *writer);
    if (how != Interrupt::kNone) {
      Expect(io, !writer->Await(io), "a writer came in beside a reader");
      reader->Await(io);
      return;
    }
  }
  Expect(io, writer->Await(io), "a writer gave up by itself");
  reader->Await(io);
}

// Neither a cancel nor a deadline of the scope ends a plain Lock.
template <Interrupt how>
void SharedMutexThrough(Sim& io) {
  SharedMutex<Sim> mutex;
  Inside inside;
  const auto write = [&] {
    const ExclusiveLock lock(mutex, io);
    inside.Write(io);
  };
  auto first = Interruptible<how>(io, write);
  auto second = Async(io, write);
  write();
  Arrive<how>(io, first);
  first.Await(io);
  second.Await(io);
}

// Readers do not pass a writer that waits, or it would starve.
inline void SharedMutexOrder(Sim& io) {
  SharedMutex<Sim> mutex;
  const auto passes = [&] {
    if (!mutex.TryLockShared(io)) return false;
    mutex.UnlockShared(io);
    return true;
  };
  std::optional<Future<void, Sim>> writer;
  {
    const SharedLock lock(mutex, io);
    writer = Async(io, [&] { const ExclusiveLock own(mutex, io); });
    while (mutex.waiters() == 0) io.Yield();
    Expect(io, !passes(), "a reader passed a writer");
  }
  writer->Await(io);
}

inline void SemaphoreOfThree(Sim& io) {
  Semaphore<Sim> permits(2, 2);
  Shared<int> inside{0};
  Each(io, 3, [&](size_t) {
    if (!permits.Acquire(io).ok()) return;
    Expect(io, inside.fetch_add(1) < 2, "more tasks than permits");
    inside.fetch_sub(1);
    permits.Release(io);
  });
  Expect(io, permits.permits() == 2, "a permit was lost");
}

template <Interrupt how>
void SemaphoreWait(Sim& io) {
  Semaphore<Sim> permits(0, 1);
  const auto use = [&] {
    if (!permits.Acquire(io).ok()) return false;
    permits.Release(io);
    return true;
  };
  auto first = Interruptible<how>(io, use);
  auto second = Async(io, use);
  Arrive<how>(io, first);
  permits.Release(io);
  const bool got = first.Await(io);
  Expect(io, got || how != Interrupt::kNone, "a waiter gave up by itself");
  Expect(io, second.Await(io), "a waiter gave up by itself");
  Expect(io, permits.permits() == 1, "a permit was lost");
}

// Who waits for two permits and gives up lets one through that wants one.
template <Interrupt how>
void SemaphoreOfSeveral(Sim& io) {
  Semaphore<Sim> permits(0, 2);
  const auto use = [&](uint32_t count) {
    if (!permits.Acquire(io, count).ok()) return false;
    permits.Release(io, count);
    return true;
  };
  auto two = Interruptible<how>(io, [&] { return use(2); });
  auto one = Async(io, [&] { return use(1); });
  permits.Release(io);
  Arrive<how>(io, two);
  if (how == Interrupt::kNone) permits.Release(io);
  Expect(io, one.Await(io), "a waiter gave up by itself");
  Expect(io, two.Await(io) == (how == Interrupt::kNone),
         "two permits out of one");
  Expect(io, permits.permits() == (how == Interrupt::kNone ? 2 : 1),
         "a permit was lost");
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_LOCKS_H_
