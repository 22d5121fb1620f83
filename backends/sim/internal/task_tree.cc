#include "weft/backends/sim/internal/task_tree.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "weft/backends/sim/internal/scheduler.h"
#include "weft/runtime/future.h"

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

 private:
  void Describe(uint32_t number, size_t depth) {
    absl::StrAppend(&text_, text_.empty() ? "" : "\n",
                    std::string(2 * depth, ' '), Label(number), " ",
                    State(number));
    for (uint32_t child = number + 1; child < shown_.size(); ++child) {
      if (shown_[child] && scheduler_.tasks()[child].parent == number) {
        Describe(child, depth + 1);
      }
    }
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
    std::string text = absl::StrCat(What(wait), ", since step ", wait.step);
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

  std::string What(const Wait& wait) const {
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
    // The word on which the end of a task is awaited is a part of that task.
    const auto address = reinterpret_cast<uintptr_t>(wait.address);
    for (const Fiber* fiber : scheduler_.fibers()) {
      if (fiber == nullptr) continue;
      const auto task = reinterpret_cast<uintptr_t>(&fiber->task);
      if (address >= task && address < task + sizeof(internal::JoinableTask)) {
        return absl::StrCat("waits for the end of task ", Label(fiber->number));
      }
    }
    return absl::StrCat("waits on word #", scheduler_.NumberOf(wait.address));
  }

  Scheduler& scheduler_;
  std::vector<bool> shown_;
  std::string text_;
};

}  // namespace

std::string DescribeTasks(Scheduler& scheduler) {
  return TaskTree(scheduler).Describe();
}

}  // namespace weft::sim
