// swapcontext(3) of the C library.
#ifndef WEFT_TESTS_SWITCH_ADAPTERS_UCONTEXT_H_
#define WEFT_TESTS_SWITCH_ADAPTERS_UCONTEXT_H_

#include <ucontext.h>

#include <cstddef>
#include <cstdint>

#include "weft/tests/switch/adapter.h"
#include "weft/tests/switch/guarded_stack.h"

namespace weft::switches {

struct UcontextSwitch {
  static constexpr const char* kName = "ucontext";
  static constexpr Keeps kKeeps = {.floating_control = true};

  class Fiber {
   public:
    Fiber(void (*entry)(void*), void* argument, size_t stack_size)
        : entry_(entry), argument_(argument), stack_(stack_size) {
      getcontext(&own_);
      own_.uc_stack.ss_sp = stack_.bottom();
      own_.uc_stack.ss_size = stack_.size();
      own_.uc_link = &other_;
      // The arguments of the entry are ints.
      const auto self = reinterpret_cast<uintptr_t>(this);
      makecontext(&own_, reinterpret_cast<void (*)()>(&Fiber::Main), 2,
                  static_cast<unsigned>(self >> 32),
                  static_cast<unsigned>(self));
    }
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    void Resume() { swapcontext(&other_, &own_); }
    void Pause() { swapcontext(&own_, &other_); }

   private:
    static void Main(unsigned high, unsigned low) {
      auto& self =
          *reinterpret_cast<Fiber*>(static_cast<uintptr_t>(high) << 32 | low);
      self.entry_(self.argument_);
    }

    void (*const entry_)(void*);
    void* const argument_;
    const GuardedStack stack_;
    ucontext_t own_;
    ucontext_t other_;
  };
};

}  // namespace weft::switches

#endif  // WEFT_TESTS_SWITCH_ADAPTERS_UCONTEXT_H_
