// How a blocked thread is reached: by wakes and by cancel requests.
#ifndef WEFT_BACKENDS_THREADED_INTERNAL_THREAD_RECORD_H_
#define WEFT_BACKENDS_THREADED_INTERNAL_THREAD_RECORD_H_

#include <atomic>
#include <cstdint>
#include <mutex>

#include "weft/runtime/clock.h"
#include "weft/runtime/task.h"

namespace weft::internal {

// One per thread that runs tasks. Records are recycled and never freed: a
// waker may still touch the record of a thread that has gone on, or gone. The
// worst that comes of it is a wake for nothing, which every wait here bears.
class ThreadRecord {
 public:
  // A record for the calling thread.
  static ThreadRecord& Acquire();
  // Gives it back; the thread must not block through it any more.
  static void Release(ThreadRecord& record);

  // The task that the thread runs now; null in between. Own thread.
  void SetTask(Task* task);
  // As gettid(2) has it.
  int32_t thread_id() const { return thread_id_; }

  // Makes the thread return from Wait or Poll, now or next time. Any thread.
  void Signal();
  // As Signal, if the thread still runs `task`. Reaches Poll too.
  void Interrupt(const Task& task);

  // What to pass to Wait, read before the last look at the condition.
  uint32_t signals() const { return signals_.load(std::memory_order_seq_cst); }
  // Blocks until signals() differs from `seen` or `deadline` passes; may also
  // return for nothing.
  void Wait(uint32_t seen, MonotonicTime deadline);

  // Blocks until one of `events` holds on `fd` (returns them), `task` is
  // interrupted or out of time (-ECANCELED, -ETIME), or poll fails (-errno).
  int64_t Poll(const Task& task, int fd, short events);

 private:
  ThreadRecord() = default;

  // Opens the wake descriptor if need be; -1 where the kernel refuses one.
  int BeginPoll();
  void EndPoll();
  void CloseWakeDescriptor();

  // Partner of the futex system calls in Signal and Wait.
  std::atomic<uint32_t> signals_{0};

  std::mutex mutex_;
  Task* task_ = nullptr;      // guarded by mutex_
  bool polling_ = false;      // guarded by mutex_
  int wake_descriptor_ = -1;  // guarded by mutex_
  ThreadRecord* next_free_ = nullptr;
  int32_t thread_id_ = 0;  // set in Acquire
};

}  // namespace weft::internal

#endif  // WEFT_BACKENDS_THREADED_INTERNAL_THREAD_RECORD_H_
