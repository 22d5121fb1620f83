// StoppedBacktrace: where a stopped context is, found without resuming it.
//
// Unwinders walk the stack that they run on. So what the stopped flow has on
// its stack is copied to another one, and a walk begins there as if the flow
// had called it. Where frames refer to each other by address they refer to the
// originals, which do not change meanwhile. Nothing is written to the stack of
// the flow: a fiber that has little left is looked at like any other, and no
// page of it is touched that was not in use.
//
// On AArch64 return addresses may be signed with the place where they lie, and
// an unwinder dies of those in a copy. There the walk follows the frame
// records, which compilers keep by default, and reads the stack in place.
//
// **Threads.** The stopped context must not be resumed meanwhile. One user at a
// time.
#ifndef WEFT_RUNTIME_FIBER_STOPPED_BACKTRACE_H_
#define WEFT_RUNTIME_FIBER_STOPPED_BACKTRACE_H_

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>

#include "weft/runtime/fiber/context.h"
#include "weft/runtime/internal/backtrace.h"

namespace weft::internal {

class StoppedBacktrace {
 public:
  StoppedBacktrace() = default;
  StoppedBacktrace(const StoppedBacktrace&) = delete;
  StoppedBacktrace& operator=(const StoppedBacktrace&) = delete;
  ~StoppedBacktrace();

  // `self` is the context of the flow that calls. False if `stopped` runs or
  // has never run, or if there is no memory for the copy.
  bool Take(Context& self, const Context& stopped, Backtrace& backtrace);

 private:
  struct Look;

  static boost::context::detail::transfer_t OnTop(
      boost::context::detail::transfer_t transfer);
  bool Enlarge(size_t size);

  // The stack for the copies.
  std::byte* memory_ = nullptr;
  size_t size_ = 0;
};

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_FIBER_STOPPED_BACKTRACE_H_
