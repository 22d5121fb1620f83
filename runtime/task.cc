#include "weft/runtime/task.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include <cfenv>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/current.h"
#include "weft/runtime/io.h"
#include "weft/runtime/options.h"

namespace weft {
namespace {

uint64_t NextId() {
  static std::atomic<uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

// A line of a message or a dump stays a line whatever tasks are called.
std::string WithoutControls(std::string_view name) {
  std::string text(name);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  }
  return text;
}

// As fesetenv(FE_DFL_ENV), which is a sixth of what a task costs on x86-64: it
// loads the state of the x87, and that is nearly always as it should be.
void SetDefaultFloatEnvironment() {
#if defined(__x86_64__)
  constexpr unsigned kDefaultMxcsr = 0x1f80;
  constexpr uint16_t kDefaultControl = 0x37f;
  constexpr uint16_t kExceptions = 0x3f;
  uint16_t control;
  uint16_t status;
  asm volatile("fnstcw %0" : "=m"(control));
  asm volatile("fnstsw %0" : "=m"(status));
  if (control == kDefaultControl && (status & kExceptions) == 0) [[likely]] {
    if (_mm_getcsr() != kDefaultMxcsr) _mm_setcsr(kDefaultMxcsr);
    return;
  }
#endif
  fesetenv(FE_DFL_ENV);
}

}  // namespace

Task::Task(Io& io, Task* parent, const SpawnOptions& options)
    : io_(&io),
      name_(!options.name.empty() ? WithoutControls(options.name)
            : parent != nullptr   ? parent->name_
                                  : std::string("main")),
      where_(options.where),
      stack_size_(options.stack_size),
      id_(NextId()) {
  record.task = this;
  record.id = id_;
  record.name = name_.data();
  record.name_size = name_.size();
  record.file = where_.file;
  record.line = where_.line;
  if (parent == nullptr) return;
  record.parent = parent->id_;
  locals_ = parent->locals_;
}

Task::~Task() = default;

void Task::Execute() {
  // Threads are reused and stacks are made by whoever runs just then: without
  // this, a rounding mode would leak from a stranger (POSIX leaves it open).
  SetDefaultFloatEnvironment();
  Run();
  WEFT_CHECK(scope_ == &root_scope_);
}

absl::Status Task::CheckStackSize() const {
  if (stack_size_ == 0 ||
      (stack_size_ >= kLeastStackSize && stack_size_ <= kMostStackSize)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("start task '", name_, "': a stack of ", stack_size_,
                   " bytes is not possible; give ", kLeastStackSize, " to ",
                   kMostStackSize, ", or 0 for the usual size"));
}

void Task::DropReference() {
  // Acquire-release: the deleter sees what every other owner did.
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

void Task::RequestCancel() {
  // Pairs with the load in Interrupted.
  root_scope_.cancelled.store(true, std::memory_order_seq_cst);
  io_->Interrupt(*this);
}

Interruption Task::GiveUp() const {
  internal::ScopeLink* reason = nullptr;
  const Interruption found = FindInterruption(&reason);
  if (reason != nullptr) reason->fired = true;
  return found;
}

Interruption Task::FindInterruption(internal::ScopeLink** reason) const {
  Interruption found = Interruption::kNone;
  MonotonicTime now{};
  for (internal::ScopeLink* link = scope_; link != nullptr;
       link = link->parent) {
    Interruption own = Interruption::kNone;
    if (link->cancelled.load(std::memory_order_seq_cst)) {
      own = Interruption::kCancelled;
    } else if (link->own_deadline != kNever) {
      if (now == MonotonicTime{}) now = io_->Now();
      if (now >= link->own_deadline) own = Interruption::kDeadline;
    }
    if (own != Interruption::kNone) {
      found = own;
      if (reason != nullptr) *reason = link;
    }
    if (link->shield) break;
  }
  return found;
}

namespace internal {

void TaskQueue::PushBack(Task& task) {
  task.next_unstarted = nullptr;
  (tail_ == nullptr ? head_ : tail_->next_unstarted) = &task;
  tail_ = &task;
  ++size_;
}

Task* TaskQueue::PopFront() {
  Task* task = head_;
  if (task == nullptr) return nullptr;
  head_ = task->next_unstarted;
  if (head_ == nullptr) tail_ = nullptr;
  --size_;
  return task;
}

}  // namespace internal
}  // namespace weft
