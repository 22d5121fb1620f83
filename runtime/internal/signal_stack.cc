#include "weft/runtime/internal/signal_stack.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

namespace weft::internal {
namespace {

// What handlers need for themselves.
constexpr size_t kHandlerSize = size_t{64} << 10;

// The frame that the kernel writes for a signal: the processor's registers,
// which MINSIGSTKSZ is too small for with AVX-512; AT_MINSIGSTKSZ in
// getauxval(3). Kernels that do not tell it make sysconf fail.
size_t FrameSize() {
  const auto size = sysconf(_SC_MINSIGSTKSZ);
  return size > 0 ? static_cast<size_t>(size) : size_t{16} << 10;
}

}  // namespace

SignalStack::SignalStack() {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t usable = (FrameSize() + kHandlerSize + page - 1) / page * page;
  void* const mapping =
      mmap(nullptr, usable + page, PROT_READ | PROT_WRITE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (mapping == MAP_FAILED) return;
  stack_t stack{};
  stack.ss_sp = static_cast<std::byte*>(mapping) + page;
  stack.ss_size = usable;
  if (mprotect(mapping, page, PROT_NONE) != 0 ||
      sigaltstack(&stack, &before_) != 0) {
    munmap(mapping, usable + page);
    return;
  }
  mapping_ = mapping;
  size_ = usable + page;
}

SignalStack::~SignalStack() {
  if (mapping_ == nullptr) return;
  sigaltstack(&before_, nullptr);
  munmap(mapping_, size_);
}

}  // namespace weft::internal
