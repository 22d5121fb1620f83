// What a driver does: carries operations to the kernel and brings their ends.
//
// One driver per worker, made and used on the worker's thread; only Wake may
// be called from others.
#ifndef WEFT_BACKENDS_EVENTED_INTERNAL_DRIVER_H_
#define WEFT_BACKENDS_EVENTED_INTERNAL_DRIVER_H_

#include <cstdint>
#include <string>

#include "weft/runtime/clock.h"
#include "weft/runtime/operation.h"

namespace weft::internal {

// One operation on its way through a driver. It lives in the frame that waits
// for it, and that frame stays until Complete was called.
class Request {
 public:
  explicit Request(const Operation& operation) : operation_(operation) {}
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  const Operation& operation() const { return operation_; }

  // Takes the result, a count or -errno. Called once, inside Submit, Cancel or
  // Poll of the driver; only makes things ready.
  virtual void Complete(int64_t result) = 0;

 protected:
  ~Request() = default;

 private:
  const Operation& operation_;
};

class Driver {
 public:
  virtual ~Driver() = default;

  // Queues the operation; Poll hands it to the kernel. Never fails: what the
  // kernel refuses comes back through Complete. -EAGAIN is possible where a
  // descriptor is in non-blocking mode.
  virtual void Submit(Request& request) = 0;

  // Asks the kernel to stop an operation that was submitted and is not
  // complete. It still completes: with -ECANCELED or, if it was faster, with
  // its result.
  virtual void Cancel(Request& request) = 0;

  // Hands all that was queued to the kernel, waits until something completes,
  // Wake is called or `deadline` passes, and completes what has ended; may
  // also return for nothing. With kNoWait it only looks. False if it waited
  // and `deadline` did not end the wait: timers need no look then, which saves
  // reading the clock.
  virtual bool Poll(MonotonicTime deadline) = 0;
  static constexpr MonotonicTime kNoWait = MonotonicTime::min();

  // False if Poll(kNoWait) would find nothing to do.
  virtual bool HasWork() const = 0;

  // Makes the Poll that waits now, or else the next one, return. Any thread.
  virtual void Wake() = 0;

  // One line on the features in use.
  virtual std::string Describe() const = 0;
};

}  // namespace weft::internal

#endif  // WEFT_BACKENDS_EVENTED_INTERNAL_DRIVER_H_
