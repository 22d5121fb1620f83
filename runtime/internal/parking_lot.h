// The parking lot: who waits on which word, for backends that run in real
// time. FutexWait and FutexWake of such backends are this plus a way to stop
// and to resume one task.
//
// One lot serves the whole process: a primitive that two instances of a
// backend share wakes the waiters of both, for each waiter knows how it is to
// be resumed.
//
// **Exactly once.** Either a Wake takes a waiter off the lot and resumes it,
// or Remove takes it off and returns true; the lock of the bucket decides. A
// waiter that finds Remove false has a wake on its way and must wait for it.
// That is what makes the reason for a return exact, and no wake is lost.
#ifndef WEFT_RUNTIME_INTERNAL_PARKING_LOT_H_
#define WEFT_RUNTIME_INTERNAL_PARKING_LOT_H_

#include <atomic>
#include <boost/intrusive/list.hpp>
#include <cstdint>

namespace weft::internal {

// One waiting task; lives in the frame that waits, until it was taken off.
class Waiter : public boost::intrusive::list_base_hook<> {
 public:
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

 protected:
  Waiter() = default;
  ~Waiter() = default;

 private:
  friend class ParkingLot;

  // Makes the task ready, on whichever thread it belongs to. Called once,
  // without a lock; the waiter may be gone as soon as the task runs.
  virtual void Resume() = 0;

  const void* address_ = nullptr;
  bool parked_ = false;  // guarded by the lock of the bucket
};

class ParkingLot {
 public:
  // Enters `waiter` if `word` holds `expected`, else returns false. The check
  // happens under the lock that Wake takes: a waker that changed the word
  // before Wake is either seen here or finds the waiter.
  static bool Enter(Waiter& waiter, const std::atomic<uint32_t>& word,
                    uint32_t expected);

  // Resumes up to `count` waiters of `word` in the order in which they
  // entered; returns how many.
  static uint32_t Wake(const std::atomic<uint32_t>& word, uint32_t count);

  // True if the waiter was still parked; then no Wake will resume it. False
  // if a Wake has taken it: Resume was called or is about to be.
  static bool Remove(Waiter& waiter);

  // Returns when every Resume has returned that began before the call. A
  // backend waits for it before it goes: the task that was resumed may have
  // ended long since, while the waker has not.
  static void AwaitResumes();
};

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_INTERNAL_PARKING_LOT_H_
