#include "weft/backends/threaded/internal/thread_stack.h"

#include <pthread.h>

namespace weft::internal {

ThreadStack::ThreadStack() {
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
  void* bottom = nullptr;
  size_t size = 0;
  size_t guard_size = 0;
  pthread_attr_getstack(&attributes, &bottom, &size);
  pthread_attr_getguardsize(&attributes, &guard_size);
  pthread_attr_destroy(&attributes);
  // glibc puts the guard below what it calls the stack.
  entry_ = &GuardedStacks::Add(
      {.begin = static_cast<std::byte*>(bottom) - guard_size,
       .count = 1,
       .stack_size = size,
       .guard_size = guard_size,
       .first_owner = &owner_});
}

ThreadStack::~ThreadStack() {
  if (entry_ != nullptr) GuardedStacks::Remove(*entry_);
}

}  // namespace weft::internal
