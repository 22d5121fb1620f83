#include "weft/backends/sim/internal/fault_injector.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <span>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "weft/backends/sim/internal/scheduler.h"
#include "weft/runtime/task.h"

namespace weft::sim {
namespace {

// What Linux documents for each call on TCP, apart from what only a misuse of
// the call gives: accept(2), connect(2), recv(2), send(2), socket(2), bind(2),
// listen(2), shutdown(2), tcp(7), ip(7).
constexpr int kAccept[] = {ECONNABORTED, EMFILE, ENFILE, ENOBUFS,
                           ENOMEM,       EPERM,  EPROTO, ENETDOWN};
constexpr int kConnect[] = {ECONNREFUSED, ETIMEDOUT,     ENETUNREACH,
                            EHOSTUNREACH, EADDRNOTAVAIL, ECONNRESET,
                            EACCES,       EPERM};
constexpr int kRecv[] = {ECONNRESET, ETIMEDOUT, ENOMEM};
constexpr int kSend[] = {ECONNRESET, EPIPE, ETIMEDOUT, ENOBUFS, ENOMEM};
constexpr int kPoll[] = {ENOMEM};
constexpr int kSocket[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES};
constexpr int kBind[] = {EADDRINUSE, EADDRNOTAVAIL, EACCES, ENOMEM};
constexpr int kListen[] = {EADDRINUSE};
constexpr int kShutdown[] = {ENOTCONN};

struct Row {
  const char* call;
  std::span<const int> errors;
};
constexpr Row kRows[] = {
    {"accept", kAccept}, {"connect", kConnect},  {"recv", kRecv},
    {"recvmsg", kRecv},  {"send", kSend},        {"sendmsg", kSend},
    {"poll", kPoll},     {"socket", kSocket},    {"bind", kBind},
    {"listen", kListen}, {"shutdown", kShutdown}};

std::span<const int> ErrorsOf(const char* call) {
  for (const Row& row : kRows) {
    if (std::strcmp(row.call, call) == 0) return row.errors;
  }
  return {};
}

// Millionths, so that a token has no fractions.
constexpr double kScale = 1e6;

}  // namespace

void FaultInjector::Clear(Mode mode) {
  mode_ = mode;
  given_.clear();
  token_.clear();
  made_.clear();
  done_.clear();
  calls_ = points_ = starts_ = 0;
  if (mode != Mode::kCount) return;
  call_choices_.clear();
  call_succeeded_.clear();
  cancel_choices_.clear();
  deadline_possible_.clear();
}

void FaultInjector::BeginWithout() { Clear(Mode::kNone); }

void FaultInjector::BeginCount() { Clear(Mode::kCount); }

void FaultInjector::BeginGiven(std::vector<Fault> faults) {
  Clear(Mode::kGiven);
  given_ = std::move(faults);
  token_ = absl::StrJoin(given_, ",", [](std::string* out, const Fault& fault) {
    absl::StrAppend(out, std::string(1, static_cast<char>(fault.kind)),
                    fault.place, ".", fault.choice);
  });
}

void FaultInjector::BeginRandom(const FaultOptions& options, uint64_t seed) {
  Clear(Mode::kRandom);
  random_options_ = options;
  seed_ = seed;
  random_ = internal::Rng(internal::DeriveSeed(seed, 4));
  token_ = absl::StrCat(
      "r", static_cast<uint64_t>(options.probability * kScale), ".",
      (options.operations ? 1 : 0) | (options.cancels ? 2 : 0) |
          (options.deadlines ? 4 : 0) | (options.starts ? 8 : 0));
}

bool FaultInjector::BeginFromToken(std::string_view text, uint64_t seed) {
  std::vector<Fault> faults;
  const std::vector<std::string> parts =
      absl::StrSplit(absl::string_view(text.data(), text.size()), ',');
  for (const std::string& part : parts) {
    const size_t dot = part.find('.');
    if (part.empty() || dot == std::string::npos ||
        std::strchr("olcdsr", part[0]) == nullptr) {
      return false;
    }
    Fault& fault = faults.emplace_back();
    fault.kind = static_cast<Fault::Kind>(part[0]);
    if (!absl::SimpleAtoi(part.substr(1, dot - 1), &fault.place) ||
        !absl::SimpleAtoi(part.substr(dot + 1), &fault.choice)) {
      return false;
    }
  }
  if (text[0] != 'r') {
    BeginGiven(std::move(faults));
    return text.find('r') == std::string_view::npos;
  }
  const Fault& options = faults.front();
  BeginRandom({.operations = (options.choice & 1) != 0,
               .cancels = (options.choice & 2) != 0,
               .deadlines = (options.choice & 4) != 0,
               .starts = (options.choice & 8) != 0,
               .probability = static_cast<double>(options.place) / kScale},
              seed);
  return faults.size() == 1;
}

const Fault* FaultInjector::Given(Fault::Kind kind, uint64_t place) const {
  const auto found =
      std::find_if(given_.begin(), given_.end(), [&](const Fault& fault) {
        return fault.kind == kind && fault.place == place;
      });
  return found == given_.end() ? nullptr : &*found;
}

bool FaultInjector::Draw(bool wanted, const char* sort, int error) {
  if (mode_ != Mode::kRandom || !wanted) return false;
  // Whether this schedule has faults of this sort at all.
  uint64_t hash = seed_ + static_cast<uint64_t>(error);
  for (; *sort != '\0'; ++sort) {
    hash = hash * 131 + static_cast<unsigned char>(*sort);
  }
  if ((internal::Rng(hash).Next() & 1) == 0) return false;
  const double drawn = static_cast<double>(random_.Next() >> 11) * 0x1.0p-53;
  return drawn < random_options_.probability;
}

void FaultInjector::Note(const Scheduler& scheduler, const Fault& fault,
                         std::string_view what) {
  made_.push_back(fault);
  const Fiber* fiber = scheduler.running();
  absl::StrAppend(&done_, done_.empty() ? "" : "\n", "injected at step ",
                  scheduler.steps(), ", in task ", fiber->number, " '",
                  fiber->task.name(),
                  "': ", absl::string_view(what.data(), what.size()));
}

int FaultInjector::AtCall(Scheduler& scheduler, const char* call) {
  if (mode_ == Mode::kNone) return 0;
  const uint64_t place = calls_++;
  const std::span<const int> errors = ErrorsOf(call);
  if (mode_ == Mode::kCount) {
    call_choices_.push_back(static_cast<uint32_t>(errors.size()));
    call_succeeded_.push_back(false);
    return 0;
  }
  std::optional<uint32_t> choice;
  if (const Fault* given = Given(Fault::Kind::kCall, place);
      given != nullptr && given->choice < errors.size()) {
    choice = given->choice;
  }
  for (uint32_t i = 0; mode_ == Mode::kRandom && i < errors.size(); ++i) {
    if (Draw(random_options_.operations, call, errors[i])) choice = i;
  }
  if (!choice.has_value()) return 0;
  const int error = errors[*choice];
  Note(scheduler,
       {.kind = Fault::Kind::kCall, .place = place, .choice = *choice},
       absl::StrCat(call, ", call ", place, " of the schedule, fails with ",
                    strerrorname_np(error)));
  return error;
}

bool FaultInjector::AfterCall(Scheduler& scheduler, const char* call) {
  if (mode_ == Mode::kNone || scheduler.running()->number == 0) return false;
  const uint64_t place = calls_ - 1;
  if (mode_ == Mode::kCount) {
    call_succeeded_[place] = true;
    return false;
  }
  if (Given(Fault::Kind::kLate, place) == nullptr &&
      !Draw(random_options_.cancels, "late", 0)) {
    return false;
  }
  Note(scheduler, {.kind = Fault::Kind::kLate, .place = place},
       absl::StrCat("cancelled when ", call, ", call ", place,
                    " of the schedule, had succeeded"));
  return true;
}

void FaultInjector::AtPoint(Scheduler& scheduler) {
  if (mode_ == Mode::kNone) return;
  const uint64_t place = points_++;
  if (mode_ == Mode::kCount) {
    cancel_choices_.push_back(scheduler.AliveBesideBody());
    deadline_possible_.push_back(scheduler.NextDeadline() != kNever);
    return;
  }
  if (const Fault* given = Given(Fault::Kind::kCancel, place);
      given != nullptr) {
    CancelOne(scheduler, place, given->choice);
  }
  if (Given(Fault::Kind::kDeadline, place) != nullptr) Jump(scheduler, place);
  if (mode_ == Mode::kRandom) {
    const uint32_t alive = scheduler.AliveBesideBody();
    if (alive > 0 && Draw(random_options_.cancels, "cancel", 0)) {
      CancelOne(scheduler, place, random_.Below(alive));
    }
    if (Draw(random_options_.deadlines, "deadline", 0)) {
      Jump(scheduler, place);
    }
  }
}

void FaultInjector::CancelOne(Scheduler& scheduler, uint64_t place,
                              uint32_t choice) {
  const Fault fault{
      .kind = Fault::Kind::kCancel, .place = place, .choice = choice};
  for (size_t i = 1; i < scheduler.fibers().size(); ++i) {
    const Fiber* fiber = scheduler.fibers()[i];
    if (fiber == nullptr || fiber->finished || choice-- > 0) continue;
    Note(scheduler, fault,
         absl::StrCat("task ", fiber->number, " '", fiber->task.name(),
                      "' is cancelled"));
    fiber->task.RequestCancel();
    return;
  }
}

void FaultInjector::Jump(Scheduler& scheduler, uint64_t place) {
  const MonotonicTime when = scheduler.NextDeadline();
  if (when == kNever) return;
  Note(scheduler, {.kind = Fault::Kind::kDeadline, .place = place},
       "time jumps to a deadline");
  scheduler.AdvanceTo(when);
}

bool FaultInjector::AtStart(Scheduler& scheduler) {
  if (mode_ == Mode::kNone || scheduler.running() == nullptr) return false;
  const uint64_t place = starts_++;
  if (Given(Fault::Kind::kStart, place) == nullptr &&
      !Draw(random_options_.starts, "start", 0)) {
    return false;
  }
  Note(scheduler, {.kind = Fault::Kind::kStart, .place = place},
       absl::StrCat("start ", place, " of the schedule is refused"));
  return true;
}

std::vector<Fault> FaultInjector::Places(const FaultOptions& options) const {
  std::vector<Fault> faults;
  const auto add = [&faults](Fault::Kind kind, uint64_t place,
                             uint32_t choices) {
    for (uint32_t choice = 0; choice < choices; ++choice) {
      faults.push_back({.kind = kind, .place = place, .choice = choice});
    }
  };
  for (uint64_t i = 0; i < call_choices_.size(); ++i) {
    if (options.operations) add(Fault::Kind::kCall, i, call_choices_[i]);
    if (options.cancels) add(Fault::Kind::kLate, i, call_succeeded_[i] ? 1 : 0);
  }
  for (uint64_t i = 0; i < cancel_choices_.size(); ++i) {
    if (options.cancels) add(Fault::Kind::kCancel, i, cancel_choices_[i]);
    if (options.deadlines) {
      add(Fault::Kind::kDeadline, i, deadline_possible_[i] ? 1 : 0);
    }
  }
  for (uint64_t i = 0; options.starts && i < starts_; ++i) {
    add(Fault::Kind::kStart, i, 1);
  }
  return faults;
}

}  // namespace weft::sim
