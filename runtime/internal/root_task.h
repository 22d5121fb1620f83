// RootTask: the task of a backend's Run, for backends that have it run
// elsewhere than in Run itself.
#ifndef WEFT_RUNTIME_INTERNAL_ROOT_TASK_H_
#define WEFT_RUNTIME_INTERNAL_ROOT_TASK_H_

#include "weft/runtime/internal/call.h"
#include "weft/runtime/task.h"

namespace weft::internal {

template <class B, class Fn>
class RootTask : public Task {
 public:
  using Result = typename RootResult<InvokeWithIoResult<B, Fn&>>::type;

  // `fn` must outlive the task; it is called once.
  RootTask(B& io, Fn& fn)
      : Task(io, nullptr, NowhereKnown()), io_(io), fn_(fn) {}

  // After its end.
  Result Take() { return outcome_.Take(); }

 protected:
  // For backends whose Run knows of the end by itself.
  void AnnounceEnd() override {}

 private:
  void Run() final {
    outcome_.Capture([this] { return CallAtRoot(io_, fn_); });
  }

  B& io_;
  Fn& fn_;
  Outcome<Result> outcome_;
};

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_INTERNAL_ROOT_TASK_H_
