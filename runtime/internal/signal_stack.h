// SignalStack: where a thread runs signal handlers that ask for SA_ONSTACK, so
// that a full or overflowed stack of a task is no matter to them.
#ifndef WEFT_RUNTIME_INTERNAL_SIGNAL_STACK_H_
#define WEFT_RUNTIME_INTERNAL_SIGNAL_STACK_H_

#include <signal.h>

#include <cstddef>

namespace weft::internal {

// The alternate signal stack of the calling thread while this lives; made and
// destroyed by the same thread, which has the one of before afterwards. It has
// a guard, room for a frame with the widest registers of the processor and
// 64 KiB beside that. Where the system refuses the memory nothing changes.
class SignalStack {
 public:
  SignalStack();
  SignalStack(const SignalStack&) = delete;
  SignalStack& operator=(const SignalStack&) = delete;
  ~SignalStack();

 private:
  void* mapping_ = nullptr;  // null: the system refused it
  size_t size_ = 0;
  stack_t before_{};
};

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_INTERNAL_SIGNAL_STACK_H_
