// What runs on this thread now.
#ifndef WEFT_RUNTIME_INTERNAL_CURRENT_H_
#define WEFT_RUNTIME_INTERNAL_CURRENT_H_

namespace weft {

class Io;
class Task;

namespace internal {

// Backends keep this true across every switch. Code may hold the address of
// `current` across a park, because a started task never changes its thread;
// its contents must be read again.
struct Current {
  // The backend and the task that run now; both null in between tasks and on
  // threads of the host program that never used a Threaded.
  Io* io = nullptr;
  Task* task = nullptr;
  // The backend whose worker this thread is, if it may not block; else null.
  const Io* worker_of = nullptr;
  // That worker, in the backend's own type.
  void* worker = nullptr;
};

extern constinit thread_local Current current;

}  // namespace internal
}  // namespace weft

#endif  // WEFT_RUNTIME_INTERNAL_CURRENT_H_
