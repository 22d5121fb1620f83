#include "weft/sync/shared_mutex.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "weft/runtime/future.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/semaphore.h"
#include "weft/tests/conformance/backends.h"

namespace weft {
namespace {

using testing::RunOn;
using testing::YieldUntil;
using namespace std::chrono_literals;

template <class Config>
class SharedMutexTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(SharedMutexTest, testing::Backends, testing::BackendNames);

TYPED_TEST(SharedMutexTest, ReadersShareAndWritersDoNot) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    SharedMutex<B> mutex;
    mutex.LockShared(io);
    EXPECT_TRUE(Async(io, [&](B& own) {
                  if (!mutex.TryLockShared(own)) return false;
                  EXPECT_EQ(mutex.readers(), 2u);
                  mutex.UnlockShared(own);
                  return true;
                }).Await(io));
    const auto try_lock = [&](B& own) {
      if (!mutex.TryLock(own)) return false;
      mutex.Unlock(own);
      return true;
    };
    EXPECT_FALSE(Async(io, try_lock).Await(io));
    mutex.UnlockShared(io);
    EXPECT_TRUE(Async(io, try_lock).Await(io));
    mutex.Lock(io);
    mutex.AssertHeld(io);
    EXPECT_EQ(mutex.readers(), 0u);
    EXPECT_FALSE(Async(io, try_lock).Await(io));
    EXPECT_FALSE(Async(io, [&](B& own) {
                   if (!mutex.TryLockShared(own)) return false;
                   mutex.UnlockShared(own);
                   return true;
                 }).Await(io));
    mutex.Unlock(io);
  });
}

// The use that the header shows.
TYPED_TEST(SharedMutexTest, GuardsLockAndUnlock) {
  using B = typename TypeParam::Io;
  struct Routes {
    SharedMutex<B> mutex;
    int routes ABSL_GUARDED_BY(mutex) = 0;
  };
  RunOn<TypeParam>([](B& io) {
    Routes table;
    {
      ExclusiveLock lock(table.mutex, io);
      ++table.routes;
    }
    {
      SharedLock lock(table.mutex, io);
      EXPECT_EQ(table.routes, 1);
      EXPECT_EQ(table.mutex.readers(), 1u);
    }
    EXPECT_EQ(table.mutex.readers(), 0u);
  });
}

// A reader that comes after a waiting writer stands in line behind it.
TYPED_TEST(SharedMutexTest, WaitersAreServedInOrder) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    SharedMutex<B> mutex;
    std::atomic<int> step = 0;
    mutex.LockShared(io);
    auto writer = Async(io, [&](B& own) {
      ExclusiveLock lock(mutex, own);
      EXPECT_EQ(step++, 0);
    });
    YieldUntil(io, [&] { return mutex.waiters() == 1; });
    TaskGroup<B> readers(io);
    Semaphore<B> inside(0, 2);
    Semaphore<B> leave(0, 2);
    for (size_t i = 0; i < 2; ++i) {
      readers.Spawn([&](B& own) {
        SharedLock lock(mutex, own);
        inside.Release(own);
        return leave.Acquire(own);
      });
      YieldUntil(io, [&] { return mutex.waiters() == 2 + i; });
    }
    EXPECT_FALSE(mutex.TryLockShared(io) && (mutex.UnlockShared(io), true));
    auto last = Async(io, [&](B& own) {
      ExclusiveLock lock(mutex, own);
      EXPECT_EQ(step++, 1);
    });
    YieldUntil(io, [&] { return mutex.waiters() == 4; });
    mutex.UnlockShared(io);
    writer.Await(io);
    // Both readers are inside at the same time.
    EXPECT_TRUE(inside.Acquire(io, 2).ok());
    EXPECT_EQ(mutex.readers(), 2u);
    EXPECT_EQ(step, 1);
    leave.Release(io, 2);
    last.Await(io);
    EXPECT_TRUE(readers.Await(io).ok());
  });
}

TYPED_TEST(SharedMutexTest, LockingIsNoCancellationPoint) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    SharedMutex<B> mutex;
    mutex.Lock(io);
    auto reader = Async(io, [&](B& own) { SharedLock lock(mutex, own); });
    auto writer = Async(io, [&](B& own) { ExclusiveLock lock(mutex, own); });
    YieldUntil(io, [&] { return mutex.waiters() == 2; });
    reader.Cancel();
    writer.Cancel();
    for (int i = 0; i < 5; ++i) io.Yield();
    EXPECT_EQ(mutex.waiters(), 2u);
    EXPECT_FALSE(reader.ready());
    EXPECT_FALSE(writer.ready());
    mutex.Unlock(io);
    reader.Await(io);
    writer.Await(io);
  });
}

TYPED_TEST(SharedMutexTest, TimedFormsGiveUpInTime) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    SharedMutex<B> mutex;
    mutex.Lock(io);
    Async(io, [&](B& own) {
      CancelScope scope(own);
      scope.Cancel();  // makes no difference
      const MonotonicTime start = own.Now();
      if (mutex.TryLockFor(own, 2ms)) {
        ADD_FAILURE();
        mutex.Unlock(own);
      }
      EXPECT_GE(own.Now() - start, 2ms);
      if (mutex.TryLockSharedFor(own, 2ms)) {
        ADD_FAILURE();
        mutex.UnlockShared(own);
      }
      EXPECT_GE(own.Now() - start, 4ms);
    }).Await(io);
    EXPECT_EQ(mutex.waiters(), 0u);
    mutex.Unlock(io);
    if (mutex.TryLockFor(io, 0ns)) {
      mutex.Unlock(io);
    } else {
      ADD_FAILURE();
    }
    if (mutex.TryLockSharedFor(io, 0ns)) {
      mutex.UnlockShared(io);
    } else {
      ADD_FAILURE();
    }
  });
}

TYPED_TEST(SharedMutexTest, CancellableFormsSayWhyThroughTheScope) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    SharedMutex<B> mutex;
    mutex.LockShared(io);
    const auto lock = [&](B& own) {
      if (mutex.LockUnlessCancelled(own)) {
        mutex.Unlock(own);
        return absl::OkStatus();
      }
      return CheckCancelled(own);
    };
    auto cancelled = Async(io, lock);
    YieldUntil(io, [&] { return mutex.waiters() == 1; });
    cancelled.Cancel();
    EXPECT_TRUE(absl::IsCancelled(cancelled.Await(io)));
    auto late = Async(io, [&](B& own) {
      Deadline deadline(own, 2ms);
      return lock(own);
    });
    EXPECT_TRUE(absl::IsDeadlineExceeded(late.Await(io)));
    mutex.UnlockShared(io);
    EXPECT_TRUE(lock(io).ok());
    CancelScope scope(io);
    scope.Cancel();
    EXPECT_TRUE(absl::IsCancelled(lock(io)));
    if (mutex.LockSharedUnlessCancelled(io)) {
      ADD_FAILURE();
      mutex.UnlockShared(io);
    }
  });
}

// C4: a writer in line keeps readers out; when it gives up they go in.
TYPED_TEST(SharedMutexTest, WriterThatGivesUpLetsReadersIn) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    SharedMutex<B> mutex;
    mutex.LockShared(io);
    auto writer = Async(io, [&](B& own) {
      if (!mutex.LockUnlessCancelled(own)) return false;
      mutex.Unlock(own);
      return true;
    });
    YieldUntil(io, [&] { return mutex.waiters() == 1; });
    auto reader = Async(io, [&](B& own) { SharedLock lock(mutex, own); });
    YieldUntil(io, [&] { return mutex.waiters() == 2; });
    writer.Cancel();
    reader.Await(io);
    EXPECT_FALSE(writer.Await(io));
    EXPECT_EQ(mutex.readers(), 1u);
    EXPECT_EQ(mutex.waiters(), 0u);
    mutex.UnlockShared(io);
  });
}

// Tasks that lock again and again keep neither a reader nor a writer out.
TYPED_TEST(SharedMutexTest, NeitherReadersNorWritersStarve) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    SharedMutex<B> mutex;
    std::atomic<bool> done = false;
    TaskGroup<B> crowd(io);
    for (int i = 0; i < 3; ++i) {
      crowd.Spawn([&](B& own) {
        while (!done) {
          SharedLock lock(mutex, own);
          own.Yield();
        }
      });
      crowd.Spawn([&](B& own) {
        while (!done) {
          ExclusiveLock lock(mutex, own);
          own.Yield();
        }
      });
    }
    for (int round = 0; round < 100; ++round) {
      { ExclusiveLock lock(mutex, io); }
      { SharedLock lock(mutex, io); }
    }
    done = true;
    EXPECT_TRUE(crowd.Await(io).ok());
  });
}

TYPED_TEST(SharedMutexTest, LastHolderMayDestroyIt) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int round = 0; round < 300; ++round) {
      auto mutex = std::make_unique<SharedMutex<B>>();
      std::atomic<int> holders = 0;
      TaskGroup<B> group(io);
      for (int i = 0; i < 2; ++i) {
        group.Spawn([&, shared = mutex.get()](B& own) {
          shared->LockShared(own);
          ++holders;
          shared->UnlockShared(own);
        });
      }
      YieldUntil(io, [&] { return holders == 2; });
      mutex->Lock(io);
      mutex->Unlock(io);
      mutex.reset();
      EXPECT_TRUE(group.Await(io).ok());
    }
  });
}

// All forms with limits and cancels in between: writers exclude everybody,
// and in the end the mutex is free.
TYPED_TEST(SharedMutexTest, Stress) {
  using B = typename TypeParam::Io;
  const testing::Seed seed;
  RunOn<TypeParam>([&](B& io) {
    SharedMutex<B> mutex;
    std::atomic<int> readers = 0;
    std::atomic<int> writers = 0;
    const auto write = [&](B& own) {
      EXPECT_EQ(++writers, 1);
      EXPECT_EQ(readers, 0);
      own.Yield();
      --writers;
    };
    const auto read = [&](B& own) {
      ++readers;
      EXPECT_EQ(writers, 0);
      own.Yield();
      --readers;
    };
    const auto step = [&](B& own, std::mt19937& random) {
      const Duration limit = std::chrono::microseconds(random() % 50);
      switch (random() % 6) {
        case 0: {
          ExclusiveLock lock(mutex, own);
          write(own);
          break;
        }
        case 1: {
          SharedLock lock(mutex, own);
          read(own);
          break;
        }
        case 2:
          if (mutex.TryLockFor(own, limit)) {
            write(own);
            mutex.Unlock(own);
          }
          break;
        case 3:
          if (mutex.TryLockSharedFor(own, limit)) {
            read(own);
            mutex.UnlockShared(own);
          }
          break;
        case 4:
          if (mutex.LockUnlessCancelled(own)) {
            write(own);
            mutex.Unlock(own);
          }
          break;
        default:
          if (mutex.LockSharedUnlessCancelled(own)) {
            read(own);
            mutex.UnlockShared(own);
          }
      }
    };
    for (uint32_t round = 0; round < 10; ++round) {
      TaskGroup<B> group(io);
      for (uint32_t task = 0; task < 6; ++task) {
        group.Spawn([&, round, task](B& own) {
          std::mt19937 random = seed.GeneratorFor(round * 6 + task);
          for (int i = 0; i < 40; ++i) step(own, random);
        });
      }
      if (round % 2 == 0) {
        io.Yield();
        group.Cancel();
      }
      EXPECT_TRUE(group.Await(io).ok());
      EXPECT_EQ(mutex.readers(), 0u);
      EXPECT_EQ(mutex.waiters(), 0u);
    }
  });
}

template <class Config>
using SharedMutexDeathTest = SharedMutexTest<Config>;
TYPED_TEST_SUITE(SharedMutexDeathTest, testing::Backends,
                 testing::BackendNames);

TYPED_TEST(SharedMutexDeathTest, MayNotBeLockedAgainByItsHolder) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) ABSL_NO_THREAD_SAFETY_ANALYSIS {
                 SharedMutex<B> mutex;
                 mutex.Lock(io);
                 mutex.LockShared(io);
               }),
               "weft: misuse: SharedMutex::Lock or LockShared by the task");
}

TYPED_TEST(SharedMutexDeathTest, MayNotBeUnlockedByAReader) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) ABSL_NO_THREAD_SAFETY_ANALYSIS {
                 SharedMutex<B> mutex;
                 mutex.LockShared(io);
                 mutex.Unlock(io);
               }),
               "weft: misuse: SharedMutex::Unlock by a task");
}

TYPED_TEST(SharedMutexDeathTest, MayNotBeUnlockedSharedByItsWriter) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) ABSL_NO_THREAD_SAFETY_ANALYSIS {
                 SharedMutex<B> mutex;
                 mutex.Lock(io);
                 mutex.UnlockShared(io);
               }),
               "weft: misuse: SharedMutex::UnlockShared of a mutex");
}

TYPED_TEST(SharedMutexDeathTest, MayNotBeUnlockedSharedTwice) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) ABSL_NO_THREAD_SAFETY_ANALYSIS {
                 SharedMutex<B> mutex;
                 mutex.LockShared(io);
                 mutex.UnlockShared(io);
                 mutex.UnlockShared(io);
               }),
               "weft: misuse: SharedMutex::UnlockShared of a mutex");
}

TYPED_TEST(SharedMutexDeathTest, MayNotBeDestroyedWhileHeld) {
  using B = typename TypeParam::Io;
  EXPECT_DEATH(RunOn<TypeParam>([](B& io) ABSL_NO_THREAD_SAFETY_ANALYSIS {
                 SharedMutex<B> mutex;
                 mutex.LockShared(io);
               }),
               "weft: misuse: a SharedMutex was destroyed while");
}

}  // namespace
}  // namespace weft
