// What tasks tell the scheduler of what they hold and wait for, and the
// deadlocks that follow from it.
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "weft/backends/sim/internal/scheduler.h"
#include "weft/backends/sim/internal/task_tree.h"
#include "weft/backends/sim/internal/wait_circle.h"

namespace weft::sim {

// --- Notes -----------------------------------------------------------------

void Scheduler::BeginWait(const internal::Awaited& awaited) {
  running_->awaited_step = steps_;
  if (awaited.by == internal::Awaited::By::kItsTasks) ++joins_;
}

void Scheduler::EndWait(const internal::Awaited& awaited) {
  if (awaited.by == internal::Awaited::By::kItsTasks) --joins_;
}

void Scheduler::Acquired(const internal::Held& held) {
  const Holding holding{.held = held, .task = running_->number, .step = steps_};
  ownership_.Add(holding);
  if (holding.is_lock()) ++running_->locks;
}

void Scheduler::Releasing(const void* object, uint32_t count) {
  if (ownership_.Remove(running_->number, object, count)) --running_->locks;
}

void Scheduler::Notified(const void* object, const Task* woken) {
  if (trace_ == nullptr) return;
  Notice& notice = notices_[object];
  notice = {.step = steps_, .by = running_->number, .woken = std::nullopt};
  if (woken != nullptr) {
    notice.woken = static_cast<const Fiber*>(woken->runner)->number;
  }
}

const Notice* Scheduler::NoticeOf(const void* object) const {
  const auto found = notices_.find(object);
  return found == notices_.end() ? nullptr : &found->second;
}

// --- Deadlocks -------------------------------------------------------------

void Scheduler::AbandonIdle() {
  Abandon(FailureKind::kDeadlock,
          absl::StrCat("deadlock: ", alive_, alive_ == 1 ? " task" : " tasks",
                       " wait, and nothing can ever wake one"));
}

void Scheduler::CheckCircle(const Fiber& fiber) {
  using By = internal::Awaited::By;
  if (fiber.awaited() == nullptr || fiber.awaited()->by == By::kAnybody) return;
  // Nobody can wait for a task that holds no lock, but for its end.
  if (fiber.awaited()->by == By::kItsTasks && fiber.locks == 0 && joins_ < 2) {
    return;
  }
  const std::vector<uint32_t> circle = FindCircle(*this, fiber);
  if (!circle.empty()) AbandonCircle(circle);
}

void Scheduler::CheckKeptLocks(uint32_t ended) {
  for (const Fiber* fiber : fibers_) {
    if (fiber != nullptr && WaitsForLockOf(*this, *fiber, ended)) {
      AbandonCircle({fiber->number, ended});
    }
  }
}

void Scheduler::AbandonCircle(const std::vector<uint32_t>& circle) {
  std::string text;
  if (runnable_.empty() && NextTime() == kNever) {
    text = absl::StrCat("deadlock: ", alive_, alive_ == 1 ? " task" : " tasks",
                        " wait, and nothing can ever wake one");
  } else {
    text = "partial deadlock: these wait for ever, while others could go on";
  }
  absl::StrAppend(&text, "\n", DescribeCircle(*this, circle));
  Abandon(FailureKind::kDeadlock, text);
}

}  // namespace weft::sim
