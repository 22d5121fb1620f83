// The explorer: how a backend that explores schedules is asked who runs next,
// and told what tasks wait for and hold. Other backends have none.
#ifndef WEFT_RUNTIME_INTERNAL_EXPLORER_H_
#define WEFT_RUNTIME_INTERNAL_EXPLORER_H_

#include <cstdint>
#include <string_view>

#include "weft/runtime/source_location.h"

namespace weft {

class Task;

namespace internal {

// What a task says that it waits for.
struct Awaited {
  // Whose doing ends the wait, apart from a deadline that it may have.
  enum class By {
    kAnybody,   // some task's, or a cancel's
    kHolders,   // that of all who hold `object`, each of them; nothing else
    kWriters,   // that of who holds `object` alone, or stands in line to
    kItsTasks,  // that of the tasks whose EndAwaitedOn() is `object`, each
  };

  const void* object = nullptr;
  const char* what = "";  // after "waits for": "mutex" ...; lives for ever
  By by = By::kAnybody;
  uint64_t task = 0;  // the id of the task whose end it is; 0: another thing
};

// What a task has taken, as an explorer is told.
struct Held {
  enum class Mode {
    kAlone,   // only this task can let it go
    kShared,  // the same, and others may hold it, too
    kLoose,   // another task may give it back, as a permit
  };

  const void* object = nullptr;
  const char* what = "";  // "mutex" ...
  Mode mode = Mode::kAlone;
  uint32_t count = 1;
  SourceLocation where = {};
};

// Decides who runs at each access to an ExploredAtomics object. All calls come
// from tasks of the exploring backend, on its one thread.
class Explorer {
 public:
  // Before an access to `object`: others may run now.
  virtual void Point(const void* object) = 0;
  // Returns when `lock`, which is held, may be free.
  virtual void WaitForLock(const void* lock) = 0;
  // After `lock` was let go: those who wait for it may try again.
  virtual void LockReleased(const void* lock) = 0;
  // A task is about to cancel something, or to look at a flag that another
  // task sets: others may run now. Where NativeAtomics are used on purpose.
  virtual void CancelPoint() {}
  // For a lock that is being made: greater than that of every lock before, and
  // the same in every run of the same schedule.
  virtual uint64_t NumberLock() { return 0; }
  // A check failed in the task that runs; `line` is what will be printed
  // before the program ends, if this returns.
  virtual void CheckFailed(std::string_view /*line*/) {}

  // What is told below is for reports and is no point. The task that runs:
  // begins to wait, and does not any more (WaitNote).
  virtual void BeginWait(const Awaited& /*awaited*/) {}
  virtual void EndWait(const Awaited& /*awaited*/) {}
  // Has taken something, or is about to let it go.
  virtual void Acquired(const Held& /*held*/) {}
  virtual void Releasing(const void* /*object*/, uint32_t /*count*/) {}
  // `object`, of which somebody may hold permits, is destroyed.
  virtual void Gone(const void* /*object*/) {}
  // Has notified one waiter of `object`: `woken`, or nobody, if there is none.
  virtual void Notified(const void* /*object*/, const Task* /*woken*/) {}

 protected:
  ~Explorer() = default;
};

// The explorer of the task that runs on this thread; null outside of tasks of
// an exploring backend, where accesses are plain.
inline thread_local Explorer* current_explorer = nullptr;

// A scheduling point where tasks, which are the same on every backend, meet.
// Not under a lock.
inline void ReachCancelPoint() {
  if (current_explorer != nullptr) current_explorer->CancelPoint();
}

}  // namespace internal
}  // namespace weft

#endif  // WEFT_RUNTIME_INTERNAL_EXPLORER_H_
