// A fiber of Evented and the ways in which it waits.
#ifndef WEFT_BACKENDS_EVENTED_INTERNAL_FIBER_H_
#define WEFT_BACKENDS_EVENTED_INTERNAL_FIBER_H_

#include <boost/intrusive/set.hpp>
#include <boost/intrusive/slist.hpp>

#include "weft/backends/evented/internal/driver.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/fiber/context.h"
#include "weft/runtime/fiber/stack_pool.h"
#include "weft/runtime/internal/parking_lot.h"
#include "weft/runtime/task.h"

namespace weft::internal {

class Worker;
class Park;

// Lives at the top of its own stack, from the start of its task to its end.
struct Fiber : boost::intrusive::slist_base_hook<
                   boost::intrusive::link_mode<boost::intrusive::normal_link>> {
  Fiber(Worker& its_worker, Task& its_task, Stack its_stack,
        Context::Entry entry)
      : worker(its_worker),
        task(its_task),
        stack(its_stack),
        context(stack.bottom,
                static_cast<size_t>(reinterpret_cast<std::byte*>(this) -
                                    stack.bottom),
                entry, this) {}

  Worker& worker;
  Task& task;
  const Stack stack;
  Context context;
  // What it waits for; null while it runs or is ready. Own worker.
  Park* park = nullptr;
  // Link of the list of fibers made ready by other threads.
  Fiber* next_posted = nullptr;
};

using FiberQueue =
    boost::intrusive::slist<Fiber, boost::intrusive::cache_last<true>,
                            boost::intrusive::constant_time_size<false>>;

// One wait of a fiber, in the frame that waits. Own worker, but for what
// subclasses say.
class Park : public boost::intrusive::set_base_hook<
                 boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  Park(Fiber& fiber, MonotonicTime deadline, bool interruptible)
      : fiber_(fiber), deadline_(deadline), interruptible_(interruptible) {}
  Park(const Park&) = delete;
  Park& operator=(const Park&) = delete;

  // Ends the wait as soon as possible, because of the deadline or a cancel.
  // May be called again while it is ending.
  virtual void Stop() = 0;

  Fiber& fiber() const { return fiber_; }
  MonotonicTime deadline() const { return deadline_; }
  bool interruptible() const { return interruptible_; }

  // The order of the timers.
  friend bool operator<(const Park& a, const Park& b) {
    return a.deadline_ < b.deadline_;
  }

 protected:
  ~Park() = default;

 private:
  Fiber& fiber_;
  const MonotonicTime deadline_;
  const bool interruptible_;
};

// Waits for an operation. Stop cancels it in the kernel; the fiber goes on
// when the kernel has let go of the frame.
class OperationPark final : public Park, public Request {
 public:
  OperationPark(Fiber& fiber, MonotonicTime deadline, Driver& driver,
                const Operation& operation)
      : Park(fiber, deadline, /*interruptible=*/true),
        Request(operation),
        driver_(driver) {}

  void Stop() override;
  void Complete(int64_t result) override;
  int64_t result() const { return result_; }
  bool completed() const { return completed_; }

 private:
  Driver& driver_;
  int64_t result_ = 0;
  bool completed_ = false;
  bool cancelled_ = false;
};

// Waits on a word.
class FutexPark final : public Park, public Waiter {
 public:
  using Park::Park;

  void Stop() override;
  bool resumed() const { return resumed_; }

 private:
  // On any thread.
  void Resume() override;

  bool resumed_ = false;
};

// Waits for time to pass.
class SleepPark final : public Park {
 public:
  SleepPark(Fiber& fiber, MonotonicTime deadline)
      : Park(fiber, deadline, /*interruptible=*/true) {}

  void Stop() override;

 private:
  bool stopped_ = false;
};

}  // namespace weft::internal

#endif  // WEFT_BACKENDS_EVENTED_INTERNAL_FIBER_H_
