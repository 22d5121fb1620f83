// The bare jump of Boost.Context, which everything of Boost is built on.
#ifndef WEFT_TESTS_SWITCH_ADAPTERS_FCONTEXT_H_
#define WEFT_TESTS_SWITCH_ADAPTERS_FCONTEXT_H_

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>

#include "weft/tests/switch/adapter.h"
#include "weft/tests/switch/guarded_stack.h"

namespace weft::switches {

// On stacks with `top()` and `size()`.
template <class Stack>
struct FcontextOn {
  static constexpr const char* kName = "Boost.Context";
  static constexpr Keeps kKeeps = {.floating_control = true};

  class Fiber {
   public:
    Fiber(void (*entry)(void*), void* argument, size_t stack_size)
        : entry_(entry),
          argument_(argument),
          stack_(stack_size),
          own_(boost::context::detail::make_fcontext(
              stack_.top(), stack_.size(), &Fiber::Main)) {}
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    void Resume() {
      own_ = boost::context::detail::jump_fcontext(own_, this).fctx;
    }
    [[gnu::always_inline]] void Pause() {
      other_ = boost::context::detail::jump_fcontext(other_, nullptr).fctx;
    }

   private:
    static void Main(boost::context::detail::transfer_t from) {
      auto& self = *static_cast<Fiber*>(from.data);
      self.other_ = from.fctx;
      self.entry_(self.argument_);
      self.Pause();
    }

    void (*const entry_)(void*);
    void* const argument_;
    Stack stack_;
    boost::context::detail::fcontext_t own_;
    boost::context::detail::fcontext_t other_ = nullptr;
  };
};

using FcontextSwitch = FcontextOn<GuardedStack>;

}  // namespace weft::switches

#endif  // WEFT_TESTS_SWITCH_ADAPTERS_FCONTEXT_H_
