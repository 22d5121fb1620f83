#include "weft/backends/sim/internal/wait_circle.h"

#include <algorithm>

#include "weft/backends/sim/internal/fiber.h"
#include "weft/backends/sim/internal/ownership.h"
#include "weft/backends/sim/internal/scheduler.h"

namespace weft::sim {
namespace {

using By = internal::Awaited::By;
using Mode = internal::Held::Mode;

bool WaitsForAlone(const Fiber& fiber, const void* object) {
  return fiber.wait != nullptr && fiber.wait->kind == Wait::Kind::kWord &&
         fiber.wait->deadline == kNever && fiber.awaited() != nullptr &&
         fiber.awaited()->object == object &&
         fiber.awaited()->by == By::kHolders;
}

// A writer that cannot give up was in line before `reader` began to wait.
bool StandsBehindWriter(const Scheduler& scheduler, const Fiber& reader) {
  return std::ranges::any_of(scheduler.fibers(), [&reader](const Fiber* fiber) {
    return fiber != nullptr &&
           WaitsForAlone(*fiber, reader.awaited()->object) &&
           fiber->wait->step < reader.awaited_step;
  });
}

// Calls `visit` with the number of each task that has to do something before
// `fiber` can go on.
template <class Visit>
void ForEachAwaited(const Scheduler& scheduler, const Fiber& fiber,
                    const Visit& visit) {
  const internal::Awaited* const awaited = fiber.awaited();
  if (awaited == nullptr || fiber.wait == nullptr ||
      fiber.wait->kind != Wait::Kind::kWord) {
    return;
  }
  switch (awaited->by) {
    case By::kAnybody:
      return;
    case By::kItsTasks:
      for (const Fiber* other : scheduler.fibers()) {
        if (other != nullptr && !other->finished &&
            other->task.EndAwaitedOn() == awaited->object) {
          visit(other->number);
        }
      }
      return;
    case By::kHolders:
    case By::kWriters:
      break;
  }
  if (fiber.wait->deadline != kNever) return;
  for (const Holding& holding : scheduler.ownership().holdings()) {
    if (holding.held.object != awaited->object || !holding.is_lock()) continue;
    // Nobody checks who lets a shared lock go, so another task may yet do it.
    if (holding.held.mode == Mode::kShared &&
        scheduler.fibers()[holding.task] == nullptr) {
      continue;
    }
    if (awaited->by == By::kHolders || holding.held.mode == Mode::kAlone ||
        StandsBehindWriter(scheduler, fiber)) {
      visit(holding.task);
    }
  }
}

}  // namespace

std::vector<uint32_t> FindCircle(const Scheduler& scheduler,
                                 const Fiber& last) {
  constexpr uint32_t kUnseen = UINT32_MAX;
  const std::vector<Fiber*>& fibers = scheduler.fibers();
  std::vector<uint32_t> seen_from(fibers.size(), kUnseen);
  std::vector<uint32_t> open = {last.number};
  std::vector<uint32_t> circle;
  while (!open.empty() && circle.empty()) {
    const uint32_t number = open.back();
    open.pop_back();
    ForEachAwaited(scheduler, *fibers[number], [&](uint32_t other) {
      const bool closed = other == last.number;
      if (!circle.empty() || (!closed && seen_from[other] != kUnseen)) return;
      if (!closed) seen_from[other] = number;
      if (fibers[other] != nullptr && !closed) {
        open.push_back(other);
        return;
      }
      if (!closed) circle.push_back(other);
      for (uint32_t at = number; at != last.number; at = seen_from[at]) {
        circle.push_back(at);
      }
      circle.push_back(last.number);
    });
  }
  std::ranges::reverse(circle);
  return circle;
}

bool WaitsForLockOf(const Scheduler& scheduler, const Fiber& waiter,
                    uint32_t task) {
  bool waits = false;
  if (waiter.awaited() != nullptr && waiter.awaited()->by != By::kItsTasks) {
    ForEachAwaited(scheduler, waiter,
                   [&](uint32_t other) { waits = waits || other == task; });
  }
  return waits;
}

}  // namespace weft::sim
