// A context: where a flow of control stopped, and what belongs to it.
//
//   Context thread;                            // the flow that runs now
//   Context fiber(stack_bottom, stack_size, [](void* argument) { ... }, &x);
//   thread.SwitchTo(fiber);                    // until somebody switches back
//
// Besides the callee-saved registers a context has its own errno, exception
// state (what is caught and what is in flight) and floating-point control
// words. The switch itself is Boost.Context's out-of-line jump, which follows
// the platform's ABI and saves MXCSR and the x87 control word; the rest, with
// FPCR on AArch64, is saved in SwitchTo and nowhere else.
//
// **Threads.** A context that has run must be resumed by the same thread: the
// compiler keeps addresses of thread-local variables across calls.
#ifndef WEFT_RUNTIME_FIBER_CONTEXT_H_
#define WEFT_RUNTIME_FIBER_CONTEXT_H_

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "weft/runtime/fiber/internal/float_control.h"
#include "weft/runtime/fiber/internal/sanitizer.h"

namespace weft::internal {

// The part of a thread's state that the C++ runtime keeps per thread and a
// flow of control thinks of as its own. The layout is that of the Itanium C++
// ABI, section 2.2.2; libstdc++ and libc++ follow it.
struct ExceptionState {
  void* caught = nullptr;
  unsigned int uncaught = 0;
};

class Context {
 public:
  // Must not return: it ends with a switch by SwitchToForGood.
  using Entry = void (*)(void* argument);

  // The flow of control of the calling thread.
  Context();

  // A new flow that will call `entry(argument)` on the given stack, with no
  // exception in flight and errno 0. Floating-point control words are those of
  // the thread that makes the context.
  Context(void* stack_bottom, size_t stack_size, Entry entry, void* argument);

  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context();

  // Stops the flow that runs now, which must be this one, and resumes `to`.
  // Returns when somebody switches back.
  void SwitchTo(Context& to);

  // The same, never to return; the stack of this flow may be reused as soon as
  // `to` runs.
  [[noreturn]] void SwitchToForGood(Context& to);

  // Where the stack pointer of this flow is kept while it is stopped; null is
  // kept there while it runs. The registers lie from there on, as Boost.Context
  // saves them.
  void* const* stopped_at() const { return &stopped_at_; }

 private:
  friend class StoppedBacktrace;

  // Where the state lies that a switch saves. Looked up once per thread: its
  // contexts never leave it.
  struct ThreadState {
    ExceptionState* exceptions = nullptr;
    int* error = nullptr;
  };

  // Where the jump saves x29 and x30 on AArch64, from `stopped_at_` on.
  static constexpr size_t kSavedFrameRecord = 0x90;

  [[noreturn]] static void Start(boost::context::detail::transfer_t transfer);
  static boost::context::detail::transfer_t Land(
      boost::context::detail::transfer_t transfer);
  void Jump(Context& to, bool last);

  ThreadState thread_;
  boost::context::detail::fcontext_t stopped_at_ = nullptr;
  bool started_ = false;
  Context* target_ = nullptr;
  Entry entry_ = nullptr;
  void* argument_ = nullptr;
  uint64_t float_control_ = 0;  // of a flow that has not started
  void* tsan_fiber_ = nullptr;
  bool owns_tsan_fiber_ = false;
  unsigned valgrind_id_ = 0;
  AsanStack asan_stack_;
};

inline void Context::SwitchTo(Context& to) {
  // Member by member: a copy of the whole would read in one piece what the
  // switch before wrote in two, which stalls.
  void* const caught = thread_.exceptions->caught;
  const unsigned int uncaught = thread_.exceptions->uncaught;
  const int error = *thread_.error;
  const uint64_t float_control = FloatControl();
  Jump(to, /*last=*/false);
  SetFloatControl(float_control);
  thread_.exceptions->caught = caught;
  thread_.exceptions->uncaught = uncaught;
  *thread_.error = error;
}

inline void Context::Jump(Context& to, bool last) {
  target_ = &to;
  void* const resumed_at = std::exchange(to.stopped_at_, nullptr);
  AsanStartSwitch(asan_stack_, to.asan_stack_, last);
  TsanSwitch(to.tsan_fiber_);
  // A flow that was stopped here goes on by a return from Land, and so takes
  // the call from this line off the processor's stack of predicted returns. A
  // plain jump leaves it there, and every return up to the user's code would
  // be predicted one off.
  const boost::context::detail::transfer_t transfer =
      to.started_
          ? boost::context::detail::ontop_fcontext(resumed_at, this, &Land)
          : boost::context::detail::jump_fcontext(resumed_at, this);
  // On the stack of this flow again.
  auto& from = *static_cast<Context*>(transfer.data);
  from.stopped_at_ = transfer.fctx;
  AsanFinishSwitch(asan_stack_, from.asan_stack_);
}

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_FIBER_CONTEXT_H_
