// A fiber of Sim and what it waits for.
#ifndef WEFT_BACKENDS_SIM_INTERNAL_FIBER_H_
#define WEFT_BACKENDS_SIM_INTERNAL_FIBER_H_

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <cstddef>
#include <cstdint>

#include "weft/runtime/clock.h"
#include "weft/runtime/fiber/context.h"
#include "weft/runtime/fiber/stack_pool.h"
#include "weft/runtime/internal/explorer.h"
#include "weft/runtime/io.h"
#include "weft/runtime/task.h"

namespace weft::sim {

struct Fiber;

// One wait of a fiber, in the frame that waits.
struct Wait : boost::intrusive::list_base_hook<>,
              boost::intrusive::set_base_hook<> {
  enum class Kind { kWord, kLock, kSleep, kOperation };

  Wait(Fiber& its_fiber, Kind its_kind, const void* its_address)
      : fiber(its_fiber), kind(its_kind), address(its_address) {}
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;

  Fiber& fiber;
  const Kind kind;
  const void* const address;   // of the word, the lock ...
  const char* operation = "";  // or what else it waits for
  MonotonicTime deadline = kNever;
  bool interruptible = false;
  // Why it ended.
  WakeReason reason = WakeReason::kWoken;
  // When it began.
  uint64_t step = 0;
  MonotonicTime time{};

  // The order of the timers.
  friend bool operator<(const Wait& a, const Wait& b) {
    return a.deadline < b.deadline;
  }
};

// Lives at the top of its own stack, from the start of its task to its end.
struct Fiber {
  Fiber(uint32_t its_number, Task& its_task, internal::Stack its_stack,
        internal::Context::Entry entry)
      : number(its_number),
        task(its_task),
        stack(its_stack),
        context(stack.bottom,
                static_cast<size_t>(reinterpret_cast<std::byte*>(this) -
                                    stack.bottom),
                entry, this) {}

  // What it says that it waits for; null where it says nothing.
  const internal::Awaited* awaited() const { return task.record.awaited; }

  const uint32_t number;
  Task& task;
  const internal::Stack stack;
  internal::Context context;
  // Null while it could run.
  Wait* wait = nullptr;
  // The step at which it began what it says that it waits for.
  uint64_t awaited_step = 0;
  // Locks that it holds.
  uint32_t locks = 0;
  // Where it is in the simulated network.
  uint32_t host = 0;
  // The function of the task has returned.
  bool finished = false;
};

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_INTERNAL_FIBER_H_
