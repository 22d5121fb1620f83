// Lock and Unlock of a mutex that nobody contends for; codegen_test.py compiles
// it several times and compares:
//
//   -DBACKEND=Evented        the backend; Threaded or Evented
//   -DBY_HAND                in place of weft's mutex, one written for this
//                            file with std::atomic
//   -DBY_HAND -DONE_MORE     the same with one access too many
#include <atomic>
#include <cstdint>

#include "weft/backends/evented/evented.h"
#include "weft/backends/threaded/threaded.h"
#include "weft/runtime/internal/current.h"
#include "weft/sync/mutex.h"

namespace weft {
namespace {

class HandWritten {
 public:
  void Lock(BACKEND& io) {
    const Task& task = Current(io, "Mutex::Lock");
    uint32_t expected = 0;
    if (!word_.compare_exchange_strong(expected, 1, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
      LockContended(io, task, kNever);
    }
    owner_.store(&task, std::memory_order_relaxed);
  }

  void Unlock(BACKEND& io) {
    const Task& task = Current(io, "Mutex::Unlock");
    if (owner_.load(std::memory_order_relaxed) != &task) MisusedInUnlock();
    owner_.store(nullptr, std::memory_order_relaxed);
#ifdef ONE_MORE
    accesses_.fetch_add(1, std::memory_order_relaxed);
#endif
    uint32_t expected = 1;
    if (!word_.compare_exchange_strong(expected, 0, std::memory_order_release,
                                       std::memory_order_relaxed)) {
      UnlockContended(io);
    }
  }

 private:
  static const Task& Current(Io& io, const char* call) {
    const auto& current = internal::current;
    return current.io == &io ? *current.task : io.CurrentTask(call);
  }

  bool LockContended(Io& io, const Task& task, MonotonicTime deadline);
  void UnlockContended(Io& io);
  [[noreturn]] static void MisusedInUnlock();

  std::atomic<uint32_t> word_{0};
  std::atomic<const Task*> owner_{nullptr};
  std::atomic<uint32_t> accesses_{0};
};

}  // namespace

#ifdef BY_HAND
using UnderTest = HandWritten;
#else
using UnderTest = Mutex<BACKEND>;
#endif

extern "C" void LockAndUnlock(BACKEND& io, UnderTest& mutex) {
  mutex.Lock(io);
  mutex.Unlock(io);
}

}  // namespace weft
