#include "weft/runtime/fiber/stopped_backtrace.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>

#include "weft/runtime/fiber/internal/sanitizer.h"

namespace weft::internal {
namespace {

namespace context = boost::context::detail;

constexpr size_t kPage = 4096;

// What a walk needs on the stack.
constexpr size_t kRoom = size_t{64} << 10;

// The flow's variables may be poisoned for ASan, and other threads may write
// to those that are atomic. Volatile, for else a compiler makes it a call of
// memcpy, which is checked.
[[gnu::noinline, gnu::no_sanitize_address, gnu::no_sanitize_thread]] void Copy(
    const void* from, void* to, size_t size) {
  const auto* source = static_cast<const volatile uintptr_t*>(from);
  auto* target = static_cast<volatile uintptr_t*>(to);
  for (size_t i = 0; i < size / sizeof(uintptr_t); ++i) target[i] = source[i];
}

#if defined(__aarch64__)
// Without the signature that a function compiled for pointer authentication
// puts on its return address. Processors without it take this for a hint.
uintptr_t WithoutSignature(uintptr_t address) {
  register uintptr_t x30 asm("x30") = address;
  asm("hint #7" : "+r"(x30));  // xpaclri
  return x30;
}

// Follows the frame records, the innermost of which is at `record`, up to `end`
// of the stack.
void FollowRecords(const std::byte* record, const std::byte* end,
                   Backtrace& backtrace) {
  struct {
    uintptr_t next;
    uintptr_t return_address;
  } words;
  backtrace.size = 0;
  backtrace.cut = false;
  for (;;) {
    Copy(record, &words, sizeof(words));
    // That of the entry, which returns to nobody.
    if (words.next == 0) return;
    if (backtrace.size == Backtrace::kMost) break;
    backtrace.frames[backtrace.size++] =
        WithoutSignature(words.return_address) - 1;
    const auto here = reinterpret_cast<uintptr_t>(record);
    const auto last = reinterpret_cast<uintptr_t>(end) - sizeof(words);
    const bool is_record = words.next > here && words.next <= last &&
                           words.next % sizeof(uintptr_t) == 0;
    if (!is_record) break;
    record += words.next - here;
  }
  backtrace.cut = true;
}
#endif

}  // namespace

struct StoppedBacktrace::Look {
  Context& self;
  Context& twin;
  const void* stack;
  Backtrace& backtrace;
};

StoppedBacktrace::~StoppedBacktrace() {
  if (memory_ != nullptr) munmap(memory_, size_);
}

bool StoppedBacktrace::Enlarge(size_t size) {
  if (size <= size_) return true;
  const size_t wanted = (size + kPage - 1) / kPage * kPage;
  void* const memory =
      mmap(nullptr, wanted, PROT_READ | PROT_WRITE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) return false;
  if (memory_ != nullptr) munmap(memory_, size_);
  memory_ = static_cast<std::byte*>(memory);
  size_ = wanted;
  return true;
}

bool StoppedBacktrace::Take([[maybe_unused]] Context& self,
                            const Context& stopped, Backtrace& backtrace) {
  const auto* const begin = static_cast<const std::byte*>(stopped.stopped_at_);
  if (!stopped.started_ || begin == nullptr) return false;
  const auto* const end =
      static_cast<const std::byte*>(stopped.asan_stack_.bottom) +
      stopped.asan_stack_.size;
#if defined(__aarch64__)
  FollowRecords(begin + Context::kSavedFrameRecord, end, backtrace);
  return true;
#else
  const auto used = static_cast<size_t>(end - begin);
  if (!Enlarge(used + kRoom + kPage)) return false;
  // At the same place in a page, so that what was aligned is so in the copy.
  std::byte* const twin_end =
      memory_ + size_ - kPage + reinterpret_cast<uintptr_t>(end) % kPage;
  std::byte* const twin_begin = twin_end - used;
  BeginStack(memory_, size_);
  // To sanitizers a flow of its own, that ends with the walk: nothing of the
  // stopped one's is touched.
  Context twin(memory_, static_cast<size_t>(twin_end - memory_), nullptr,
               nullptr);
  Copy(begin, twin_begin, used);
  twin.started_ = true;
  Look look{self, twin, memory_, backtrace};
  AsanStartSwitch(self.asan_stack_, twin.asan_stack_, /*last=*/false);
  TsanSwitch(twin.tsan_fiber_);
  context::ontop_fcontext(twin_begin, &look, &OnTop);
  AsanFinishSwitch(self.asan_stack_, twin.asan_stack_);
  return true;
#endif
}

// As if the stopped flow had called it where it stopped.
context::transfer_t StoppedBacktrace::OnTop(context::transfer_t transfer) {
  Look& look = *static_cast<Look*>(transfer.data);
  AsanFinishSwitch(look.twin.asan_stack_, look.self.asan_stack_);
  TakeBacktrace(look.backtrace,
                {.stack = look.stack, .until = __builtin_frame_address(0)});
  AsanStartSwitch(look.twin.asan_stack_, look.self.asan_stack_, /*last=*/true);
  TsanSwitch(look.self.tsan_fiber_);
  context::ontop_fcontext(transfer.fctx, nullptr, &Context::Land);
  std::abort();
}

}  // namespace weft::internal
