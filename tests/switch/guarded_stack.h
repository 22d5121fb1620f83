// A stack for libraries that leave that to their users.
#ifndef WEFT_TESTS_SWITCH_GUARDED_STACK_H_
#define WEFT_TESTS_SWITCH_GUARDED_STACK_H_

#include <sys/mman.h>

#include <cstddef>

#include "weft/tests/switch/adapter.h"

namespace weft::switches {

// Memory from the kernel, which may not be touched below `bottom()`.
class GuardedStack {
 public:
  explicit GuardedStack(size_t size) : size_(kGuard + size) {
    void* const address = mmap(nullptr, size_, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    Expect(address != MAP_FAILED, "no memory for a stack");
    address_ = static_cast<char*>(address);
    Expect(mprotect(address_, kGuard, PROT_NONE) == 0, "no guard");
  }
  GuardedStack(const GuardedStack&) = delete;
  GuardedStack& operator=(const GuardedStack&) = delete;
  ~GuardedStack() { munmap(address_, size_); }

  char* bottom() const { return address_ + kGuard; }
  char* top() const { return address_ + size_; }
  size_t size() const { return size_ - kGuard; }

 private:
  static constexpr size_t kGuard = size_t{16} << 10;

  size_t size_;
  char* address_;
};

}  // namespace weft::switches

#endif  // WEFT_TESTS_SWITCH_GUARDED_STACK_H_
