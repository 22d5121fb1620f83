#include "weft/runtime/task_dump.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "weft/runtime/internal/backtrace.h"
#include "weft/runtime/internal/task_inspection.h"
#include "weft/runtime/internal/task_record.h"
#include "weft/runtime/io.h"

namespace weft {
namespace {

using internal::TaskRecord;
using internal::TaskSnapshot;

// A chain of tasks that spawned each other would else take space with the
// square of its length.
constexpr size_t kMostDepth = 20;

std::string Format(Duration span) {
  // To milliseconds: waits begin at the turn of a worker.
  const auto rounded =
      std::chrono::duration_cast<std::chrono::milliseconds>(span);
  return absl::FormatDuration(absl::FromChrono(rounded));
}

class Dump {
 public:
  Dump(std::map<uint64_t, TaskSnapshot> tasks, MonotonicTime now)
      : tasks_(std::move(tasks)), now_(now) {
    for (const auto& [id, task] : tasks_) {
      // One whose parent has ended, or is of another backend, stands alone.
      children_[tasks_.contains(task.parent) ? task.parent : 0].push_back(id);
    }
  }

  std::string Text(const std::string& backend) {
    text_ = absl::StrCat("weft: ", tasks_.size(),
                         tasks_.size() == 1 ? " task of " : " tasks of ",
                         backend, "\n");
    // Not by recursion: tasks may have spawned each other in a long row.
    struct Place {
      uint64_t id;
      size_t depth;
    };
    std::vector<Place> next;
    const auto push = [this, &next](uint64_t parent, size_t depth) {
      const std::vector<uint64_t>& children = children_[parent];
      for (size_t i = children.size(); i-- > 0;) {
        next.push_back({children[i], depth});
      }
    };
    push(0, 0);
    while (!next.empty()) {
      const Place place = next.back();
      next.pop_back();
      Append(tasks_[place.id], place.depth);
      push(place.id, place.depth + 1);
    }
    return std::move(text_);
  }

 private:
  void Append(const TaskSnapshot& task, size_t depth) {
    const std::string indent(2 * std::min(depth, kMostDepth), ' ');
    absl::StrAppend(&text_, indent, "task ", task.id, " '", task.name, "'");
    if (!task.place.empty()) absl::StrAppend(&text_, " (", task.place, ")");
    if (task.worker >= 0) {
      absl::StrAppend(&text_, " on worker ", task.worker);
    } else if (task.thread != 0) {
      absl::StrAppend(&text_, " on thread ", task.thread);
    }
    if (depth > kMostDepth) {
      absl::StrAppend(&text_, ", spawned by task ", task.parent);
    }
    absl::StrAppend(&text_, ": ", State(task), "\n");
    AppendBacktrace(task, indent + "    ");
  }

  std::string State(const TaskSnapshot& task) const {
    if (task.thread == 0) return "not started";
    if (task.runs || (!task.waits && !task.is_fiber)) return "runs";
    return task.waits ? Wait(task.wait) : "ready";
  }

  std::string Wait(const internal::WaitDescription& wait) const {
    std::string text = absl::StrCat("waits: ", wait.what);
    if (wait.descriptor >= 0) {
      absl::StrAppend(&text, " of descriptor ", wait.descriptor);
    } else if (wait.task != 0) {
      absl::StrAppend(&text, " ", wait.task);
    } else if (wait.object != nullptr) {
      absl::StrAppend(&text, " 0x",
                      absl::Hex(reinterpret_cast<uintptr_t>(wait.object)));
    }
    const Duration since = std::max(now_ - wait.since, Duration(0));
    absl::StrAppend(&text, ", for ", Format(since));
    if (wait.deadline != kNever) {
      absl::StrAppend(&text, ", at most ",
                      Format(std::max(wait.deadline - now_, Duration(0))),
                      " more");
    }
    return text;
  }

  void AppendBacktrace(const TaskSnapshot& task, const std::string& indent) {
    const internal::Backtrace& backtrace = task.backtrace;
    for (size_t i = 0; i < backtrace.size; ++i) {
      absl::StrAppend(&text_, indent, "#", i, " ",
                      symbolizer_.Describe(backtrace.frames[i]), "\n");
    }
    if (backtrace.cut) absl::StrAppend(&text_, indent, "...\n");
    if (!task.no_backtrace.empty()) {
      absl::StrAppend(&text_, indent, "no backtrace: ", task.no_backtrace,
                      "\n");
    }
  }

  std::map<uint64_t, TaskSnapshot> tasks_;
  std::map<uint64_t, std::vector<uint64_t>> children_;
  const MonotonicTime now_;
  internal::Symbolizer symbolizer_;
  std::string text_;
};

}  // namespace

std::string DumpTasks(Io& io) {
  const auto inspection = std::make_shared<internal::TaskInspection>();
  io.Inspect(inspection);
  std::map<uint64_t, TaskSnapshot> tasks = inspection->Take();
  internal::TaskRegistry::ForEach([&](const TaskRecord& record) {
    if (record.instance.load(std::memory_order_relaxed) == &io) {
      const auto [place, is_new] = tasks.try_emplace(record.id, record);
      TaskSnapshot& task = place->second;
      if (is_new && task.is_fiber) {
        task.no_backtrace = "it started while the others were looked at";
      }
    }
  });
  return Dump(std::move(tasks), io.Now()).Text(io.Describe().backend);
}

}  // namespace weft
