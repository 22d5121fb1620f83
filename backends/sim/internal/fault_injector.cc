#include "weft/backends/sim/internal/fault_injector.h"

#include <cerrno>
#include <cstring>
#include <limits>
#include <span>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
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
  token_.clear();
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

void FaultInjector::BeginOne(const Fault& fault) {
  Clear(Mode::kOne);
  one_ = fault;
  token_ = absl::StrCat(std::string(1, static_cast<char>(fault.kind)),
                        fault.place, ".", fault.choice);
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
  const size_t dot = text.find('.');
  if (text.empty() || dot == std::string_view::npos) return false;
  Fault fault{.kind = static_cast<Fault::Kind>(text[0])};
  if (!absl::SimpleAtoi(std::string(text.substr(1, dot - 1)), &fault.place) ||
      !absl::SimpleAtoi(std::string(text.substr(dot + 1)), &fault.choice)) {
    return false;
  }
  if (text[0] == 'r') {
    BeginRandom({.operations = (fault.choice & 1) != 0,
                 .cancels = (fault.choice & 2) != 0,
                 .deadlines = (fault.choice & 4) != 0,
                 .starts = (fault.choice & 8) != 0,
                 .probability = static_cast<double>(fault.place) / kScale},
                seed);
    return true;
  }
  if (std::strchr("olcds", text[0]) == nullptr) return false;
  BeginOne(fault);
  return true;
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

void FaultInjector::Note(const Scheduler& scheduler, std::string_view what) {
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
  int error = 0;
  if (mode_ == Mode::kCount) {
    call_choices_.push_back(static_cast<uint32_t>(errors.size()));
    call_succeeded_.push_back(false);
  } else if (Is(Fault::Kind::kCall, place) && one_.choice < errors.size()) {
    error = errors[one_.choice];
  } else if (mode_ == Mode::kRandom) {
    for (const int each : errors) {
      if (Draw(random_options_.operations, call, each)) error = each;
    }
  }
  if (error != 0) {
    Note(scheduler, absl::StrCat(call, ", call ", place,
                                 " of the schedule, "
                                 "fails with ",
                                 strerrorname_np(error)));
  }
  return error;
}

bool FaultInjector::AfterCall(Scheduler& scheduler, const char* call) {
  if (mode_ == Mode::kNone || scheduler.running()->number == 0) return false;
  const uint64_t place = calls_ - 1;
  if (mode_ == Mode::kCount) {
    call_succeeded_[place] = true;
    return false;
  }
  if (!Is(Fault::Kind::kLate, place) &&
      !Draw(random_options_.cancels, "late", 0)) {
    return false;
  }
  Note(scheduler, absl::StrCat("cancelled when ", call, ", call ", place,
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
  if (Is(Fault::Kind::kCancel, place)) {
    CancelOne(scheduler, one_.choice);
  } else if (Is(Fault::Kind::kDeadline, place)) {
    Jump(scheduler);
  } else if (mode_ == Mode::kRandom) {
    const uint32_t alive = scheduler.AliveBesideBody();
    if (alive > 0 && Draw(random_options_.cancels, "cancel", 0)) {
      CancelOne(scheduler, random_.Below(alive));
    }
    if (Draw(random_options_.deadlines, "deadline", 0)) Jump(scheduler);
  }
}

void FaultInjector::CancelOne(Scheduler& scheduler, uint32_t choice) {
  for (size_t i = 1; i < scheduler.fibers().size(); ++i) {
    const Fiber* fiber = scheduler.fibers()[i];
    if (fiber == nullptr || fiber->finished || choice-- > 0) continue;
    Note(scheduler, absl::StrCat("task ", fiber->number, " '",
                                 fiber->task.name(), "' is cancelled"));
    fiber->task.RequestCancel();
    return;
  }
}

void FaultInjector::Jump(Scheduler& scheduler) {
  const MonotonicTime when = scheduler.NextDeadline();
  if (when == kNever) return;
  Note(scheduler, "time jumps to a deadline");
  scheduler.AdvanceTo(when);
}

bool FaultInjector::AtStart(Scheduler& scheduler) {
  if (mode_ == Mode::kNone || scheduler.running() == nullptr) return false;
  const uint64_t place = starts_++;
  if (!Is(Fault::Kind::kStart, place) &&
      !Draw(random_options_.starts, "start", 0)) {
    return false;
  }
  Note(scheduler, absl::StrCat("start ", place, " of the schedule is refused"));
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
