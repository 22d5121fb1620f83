#include "weft/backends/sim/internal/task_tree.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "weft/backends/sim/internal/scheduler.h"
#include "weft/runtime/fiber/stopped_backtrace.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/internal/explorer.h"
#include "weft/runtime/internal/task_inspection.h"
#include "weft/runtime/source_location.h"

namespace weft::sim {
namespace {

class TaskTree {
 public:
  explicit TaskTree(Scheduler& scheduler)
      : scheduler_(scheduler), shown_(scheduler.tasks().size()) {
    // A task that has ended is shown if one that it has started has not. The
    // number of a parent is lower than those of its children.
    for (size_t i = shown_.size(); i-- > 0;) {
      if (scheduler_.fibers()[i] != nullptr) shown_[i] = true;
      if (shown_[i]) shown_[scheduler_.tasks()[i].parent] = true;
    }
  }

  std::string Describe() {
    if (!shown_.empty() && shown_.front()) Describe(0, 1);
    return text_;
  }

  std::string DescribeCircle(const std::vector<uint32_t>& circle) {
    for (size_t i = 0; i < circle.size(); ++i) {
      const Fiber* const fiber = scheduler_.fibers()[circle[i]];
      // The task at the end of a chain, which has ended.
      if (fiber == nullptr) break;
      AddLine(1, absl::StrCat("task ", Label(circle[i]), " ", What(*fiber)));
      const Holding* const holding =
          HoldingOf(circle[(i + 1) % circle.size()], fiber->awaited()->object);
      if (holding != nullptr) AddLine(2, Holder(*holding));
    }
    return text_;
  }

 private:
  void AddLine(size_t depth, std::string_view line) {
    absl::StrAppend(&text_, text_.empty() ? "" : "\n",
                    std::string(2 * depth, ' '),
                    absl::string_view(line.data(), line.size()));
  }

  void Describe(uint32_t number, size_t depth) {
    AddLine(depth, absl::StrCat(Label(number), " ", State(number)));
    if (const Fiber* fiber = scheduler_.fibers()[number]) {
      DescribeWaitedFor(*fiber, depth + 2);
      for (const Holding& holding : scheduler_.ownership().holdings()) {
        if (holding.task != number) continue;
        AddLine(depth + 2, absl::StrCat("holds ", Taken(holding)));
      }
    }
    for (uint32_t child = number + 1; child < shown_.size(); ++child) {
      if (shown_[child] && scheduler_.tasks()[child].parent == number) {
        Describe(child, depth + 1);
      }
    }
  }

  // Who could end the wait of `fiber`, or has tried to.
  void DescribeWaitedFor(const Fiber& fiber, size_t depth) {
    if (fiber.wait == nullptr) return;
    if (fiber.wait->kind == Wait::Kind::kLock) {
      const auto* const lock =
          static_cast<const internal::ExploredLock*>(fiber.wait->address);
      for (const Fiber* other : scheduler_.fibers()) {
        if (other != nullptr && &other->task == lock->holder()) {
          AddLine(depth,
                  absl::StrCat("task ", Label(other->number), " holds it"));
        }
      }
      return;
    }
    if (fiber.awaited() == nullptr) return;
    for (const Holding& holding : scheduler_.ownership().holdings()) {
      if (holding.held.object == fiber.awaited()->object) {
        AddLine(depth, Holder(holding));
      }
    }
    const Notice* const notice = scheduler_.NoticeOf(fiber.awaited()->object);
    if (notice != nullptr) AddLine(depth, Notification(*notice));
  }

  const Holding* HoldingOf(uint32_t task, const void* object) const {
    for (const Holding& holding : scheduler_.ownership().holdings()) {
      if (holding.task == task && holding.held.object == object) {
        return &holding;
      }
    }
    return nullptr;
  }

  std::string Holder(const Holding& holding) const {
    return absl::StrCat("task ", Label(holding.task),
                        scheduler_.fibers()[holding.task] == nullptr
                            ? ", which has ended,"
                            : "",
                        " holds ", Taken(holding));
  }

  // "mutex #2 since step 7, taken at relay.cc:42"
  std::string Taken(const Holding& holding) const {
    const internal::Held& held = holding.held;
    std::string text;
    if (held.mode == internal::Held::Mode::kLoose) {
      absl::StrAppend(&text, held.count, " of ");
    }
    absl::StrAppend(
        &text, held.what, " #", scheduler_.NumberOf(held.object),
        held.mode == internal::Held::Mode::kShared ? ", shared," : "",
        " since step ", holding.step);
    if (held.where.file != nullptr) {
      absl::StrAppend(&text, ", taken at ", ToString(held.where));
    }
    return text;
  }

  std::string Notification(const Notice& notice) const {
    return absl::StrCat(
        "it was last notified at step ", notice.step, " by task ",
        Label(notice.by),
        notice.woken.has_value()
            ? absl::StrCat(", which woke task ", Label(*notice.woken),
                           HasEnded(*notice.woken) ? ", which has ended" : "")
            : std::string(" while nobody waited"));
  }

  bool HasEnded(uint32_t number) const {
    return scheduler_.fibers()[number] == nullptr;
  }

  std::string Label(uint32_t number) const {
    const Fiber* fiber = scheduler_.fibers()[number];
    return fiber == nullptr ? absl::StrCat(number)
                            : absl::StrCat(number, " '", fiber->task.name(),
                                           "'", Origin(*fiber));
  }

  static std::string Origin(const Fiber& fiber) {
    const SourceLocation where = fiber.task.where();
    if (where.file == nullptr) return "";
    return absl::StrCat(" (", ToString(where), ")");
  }

  std::string State(uint32_t number) const {
    const Fiber* fiber = scheduler_.fibers()[number];
    if (fiber == nullptr) return "has ended";
    if (fiber->wait == nullptr) {
      return fiber == scheduler_.running() ? "runs" : "could run";
    }
    const Wait& wait = *fiber->wait;
    std::string text = absl::StrCat(What(*fiber), ", since step ", wait.step);
    if (wait.time < scheduler_.now()) {
      absl::StrAppend(
          &text, ", for ",
          absl::FormatDuration(absl::FromChrono(scheduler_.now() - wait.time)));
    }
    if (wait.deadline != kNever) {
      absl::StrAppend(&text, ", until in ",
                      absl::FormatDuration(
                          absl::FromChrono(wait.deadline - scheduler_.now())));
    }
    return text;
  }

  std::string What(const Fiber& fiber) const {
    const Wait& wait = *fiber.wait;
    switch (wait.kind) {
      case Wait::Kind::kSleep:
        return "sleeps";
      case Wait::Kind::kLock:
        return absl::StrCat("waits for the inner lock of a primitive, #",
                            scheduler_.NumberOf(wait.address));
      case Wait::Kind::kOperation:
        return absl::StrCat("waits in ", wait.operation, ", #",
                            scheduler_.NumberOf(wait.address));
      case Wait::Kind::kWord:
        break;
    }
    const internal::Awaited* const awaited = fiber.awaited();
    if (awaited == nullptr) {
      return absl::StrCat("waits on word #", scheduler_.NumberOf(wait.address));
    }
    for (const Fiber* other : scheduler_.fibers()) {
      if (other != nullptr && &other->task == awaited->object) {
        return absl::StrCat("waits for ", awaited->what, " ",
                            Label(other->number));
      }
    }
    return absl::StrCat("waits for ", awaited->what, " #",
                        scheduler_.NumberOf(awaited->object));
  }

  Scheduler& scheduler_;
  std::vector<bool> shown_;
  std::string text_;
};

}  // namespace

std::string DescribeTasks(Scheduler& scheduler) {
  return TaskTree(scheduler).Describe();
}

std::string DescribeCircle(Scheduler& scheduler,
                           const std::vector<uint32_t>& circle) {
  return TaskTree(scheduler).DescribeCircle(circle);
}

void InspectTasks(Scheduler& scheduler, internal::TaskInspection& inspection) {
  internal::StoppedBacktrace stopped;
  Fiber& running = *scheduler.running();
  for (const Fiber* fiber : scheduler.fibers()) {
    if (fiber == nullptr || fiber->finished) continue;
    internal::TaskSnapshot snapshot(fiber->task.record);
    snapshot.runs = fiber == &running;
    if (snapshot.runs) {
      internal::TakeBacktrace(snapshot.backtrace);
    } else if (!stopped.Take(running.context, fiber->context,
                             snapshot.backtrace)) {
      snapshot.no_backtrace = "it has not run yet";
    }
    inspection.Add(std::move(snapshot));
  }
}

}  // namespace weft::sim
