// The task of Sim::Run.
#ifndef WEFT_BACKENDS_SIM_INTERNAL_ROOT_TASK_H_
#define WEFT_BACKENDS_SIM_INTERNAL_ROOT_TASK_H_

#include "weft/runtime/internal/call.h"
#include "weft/runtime/task.h"

namespace weft::internal {

template <class B, class Fn>
class SimRootTask final : public Task {
 public:
  using Result = typename RootResult<InvokeWithIoResult<B, Fn&>>::type;

  // `fn` must outlive the task; it is called once.
  SimRootTask(B& io, Fn& fn) : Task(io, nullptr, {}), io_(io), fn_(fn) {}

  // After its end.
  Result Take() { return outcome_.Take(); }

 private:
  void Run() override {
    outcome_.Capture([this] { return CallAtRoot(io_, fn_); });
  }
  // Run of the scheduler returns: nobody else waits.
  void AnnounceEnd() override {}

  B& io_;
  Fn& fn_;
  Outcome<Result> outcome_;
};

}  // namespace weft::internal

#endif  // WEFT_BACKENDS_SIM_INTERNAL_ROOT_TASK_H_
