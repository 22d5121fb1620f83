#include "weft/runtime/fiber/context.h"

#include <cxxabi.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace weft::internal {

Context::Context()
    : thread_{.exceptions =
                  reinterpret_cast<ExceptionState*>(abi::__cxa_get_globals()),
              .error = &errno},
      started_(true),
      tsan_fiber_(TsanCurrentFiber()) {}

Context::Context(void* stack_bottom, size_t stack_size, Entry entry,
                 void* argument)
    : entry_(entry),
      argument_(argument),
      float_control_(FloatControl()),
      tsan_fiber_(TsanCreateFiber()),
      owns_tsan_fiber_(true) {
  auto* const bottom = static_cast<char*>(stack_bottom);
  char* const top = bottom + stack_size;
  asan_stack_.bottom = bottom;
  asan_stack_.size = stack_size;
  AsanUnpoison(bottom, stack_size);
  valgrind_id_ = ValgrindRegisterStack(bottom, top);
  stopped_at_ =
      boost::context::detail::make_fcontext(top, stack_size, &Context::Start);
#if defined(__aarch64__)
  // Else a list of frame records would end with what the stack held before.
  std::memset(static_cast<std::byte*>(stopped_at_) + kSavedFrameRecord, 0,
              sizeof(void*));
#endif
}

Context::~Context() {
  if (!owns_tsan_fiber_) return;
  ValgrindDeregisterStack(valgrind_id_);
  TsanDestroyFiber(tsan_fiber_);
}

void Context::SwitchToForGood(Context& to) {
  Jump(to, /*last=*/true);
  std::abort();
}

// Returns to where the flow that is resumed had called the switch.
boost::context::detail::transfer_t Context::Land(
    boost::context::detail::transfer_t transfer) {
  return transfer;
}

void Context::Start(boost::context::detail::transfer_t transfer) {
  // To unwinders and debuggers this is the outermost frame: what lies above it
  // is no frame of a function. Emits no instruction.
#if defined(__x86_64__)
  asm volatile(".cfi_undefined rip");
#elif defined(__aarch64__)
  asm volatile(".cfi_undefined x30");
#endif
  auto& from = *static_cast<Context*>(transfer.data);
  from.stopped_at_ = transfer.fctx;
  Context& self = *from.target_;
  self.started_ = true;
  AsanFinishSwitch(self.asan_stack_, from.asan_stack_);
  self.thread_ = from.thread_;
  *self.thread_.exceptions = {};
  *self.thread_.error = 0;
  SetFloatControl(self.float_control_);
  self.entry_(self.argument_);
  std::abort();
}

}  // namespace weft::internal
