// What a backend that is inherited by a child process is: of no use. Its
// threads and rings stay with the parent.
#ifndef WEFT_RUNTIME_INTERNAL_FORKS_H_
#define WEFT_RUNTIME_INTERNAL_FORKS_H_

#include <atomic>
#include <cstdint>
#include <memory>

namespace weft::internal {

// How often this process and its ancestors have come from fork(2) while weft
// was in use. Those that call clone(2) themselves are not noticed.
extern constinit std::atomic<uint32_t> forks;

// The process that an instance or a run of a task began in.
class BirthProcess {
 public:
  BirthProcess();

  // True in a child that has inherited it. Any thread.
  bool IsParent() const {
    return forks.load(std::memory_order_relaxed) != forks_;
  }

  // Ends the program if this is such a child; `call` names what was done.
  void Require(const char* call) const {
    if (IsParent()) [[unlikely]]
      Refuse(call);
  }

 private:
  [[noreturn]] static void Refuse(const char* call);

  const uint32_t forks_;
};

// Keeps what a child has inherited and cannot end; leak checkers find it here.
void KeepInherited(std::shared_ptr<void> inherited);

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_INTERNAL_FORKS_H_
