#include "weft/backends/sim/internal/trace.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"

namespace weft::sim {
namespace {

constexpr size_t kMostColumns = 8;

const char* NameOf(PointKind kind) {
  switch (kind) {
    case PointKind::kAccess:
      return "access";
    case PointKind::kCancel:
      return "cancel";
    case PointKind::kOperation:
      return "operation";
    case PointKind::kSpawn:
      return "spawned";
    case PointKind::kWait:
      return "wait?";
    case PointKind::kWake:
      return "wake";
    case PointKind::kYield:
      return "yield";
    case PointKind::kFinish:
      return "return";
    case PointKind::kPark:
      return "waits";
    case PointKind::kEnd:
      return "end";
  }
  return "";
}

std::string CellFor(const Step& step) {
  return step.object == 0 ? std::string(NameOf(step.kind))
                          : absl::StrCat(NameOf(step.kind), " #", step.object);
}

}  // namespace

const char* DescribePoint(PointKind kind) {
  switch (kind) {
    case PointKind::kAccess:
      return "before an access to an atomic or a lock";
    case PointKind::kCancel:
      return "before it cancels, or asks whether it was cancelled";
    case PointKind::kOperation:
      return "before an operation";
    case PointKind::kSpawn:
      return "after it has started a task";
    case PointKind::kWait:
      return "before it looks whether it has to wait";
    case PointKind::kWake:
      return "before it wakes others";
    case PointKind::kYield:
      return "when it yields";
    case PointKind::kFinish:
      return "before it tells that it has ended";
    case PointKind::kPark:
      return "when it waits";
    case PointKind::kEnd:
      return "when it has ended";
  }
  return "";
}

void Trace::Clear() {
  names_.clear();
  steps_.clear();
}

void Trace::Add(const Step& step) {
  if (steps_.size() == kMostSteps) steps_.pop_front();
  steps_.push_back(step);
}

std::string Trace::Table() const {
  // The tasks that did something last get a column.
  std::set<uint32_t> columns;
  for (auto step = steps_.rbegin();
       step != steps_.rend() && columns.size() < kMostColumns; ++step) {
    columns.insert(step->task);
  }
  constexpr int kWidth = 15;
  std::string table = absl::StrFormat("%8s %10s", "step", "time");
  for (const uint32_t task : columns) {
    absl::StrAppendFormat(
        &table, "  %-*s", kWidth,
        absl::StrCat(task, " ", names_[task]).substr(0, kWidth));
  }
  table.erase(table.find_last_not_of(' ') + 1);
  for (const Step& step : steps_) {
    absl::StrAppendFormat(&table, "\n%8d %10s", step.number,
                          absl::FormatDuration(absl::FromChrono(step.time)));
    for (const uint32_t task : columns) {
      absl::StrAppendFormat(&table, "  %-*s", kWidth,
                            task == step.task ? CellFor(step) : "");
    }
    table.erase(table.find_last_not_of(' ') + 1);
  }
  return table;
}

std::string Trace::Loop() const {
  std::map<std::tuple<uint32_t, PointKind, uint32_t>, size_t> counts;
  for (const Step& step : steps_) {
    ++counts[{step.task, step.kind, step.object}];
  }
  std::string loop;
  for (const auto& [what, count] : counts) {
    const auto& [task, kind, object] = what;
    // Once in 40 is not part of a loop.
    if (count < kMostSteps / 10) continue;
    absl::StrAppend(
        &loop, loop.empty() ? "" : "; ", "task ", task, " '", names_[task],
        "': ", CellFor({.kind = kind, .object = object}), " ", count, " times");
  }
  if (loop.empty()) return loop;
  return absl::StrCat("in the last ", steps_.size(), " steps: ", loop);
}

}  // namespace weft::sim
