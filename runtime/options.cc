#include "weft/runtime/options.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <bit>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"

namespace weft {
namespace {

absl::string_view View(std::string_view text) {
  return {text.data(), text.size()};
}

template <class T>
struct Choice {
  const char* name;
  T value;
};

constexpr Choice<BackendKind> kBackends[] = {
    {"threaded", BackendKind::kThreaded}, {"evented", BackendKind::kEvented}};
constexpr Choice<DriverKind> kDrivers[] = {{"auto", DriverKind::kAuto},
                                           {"uring", DriverKind::kUring},
                                           {"epoll", DriverKind::kEpoll}};

constexpr Choice<bool> kSwitch[] = {{"on", true}, {"off", false}};

absl::Status Impossible(std::string_view name, std::string_view value,
                        std::string_view possible) {
  return absl::InvalidArgumentError(
      absl::StrCat("option ", View(name), ": '", View(value),
                   "' is not possible; give ", View(possible)));
}

template <class T, class Target, size_t n>
absl::Status SetChoice(std::string_view name, std::string_view value,
                       const Choice<T> (&choices)[n], Target& target) {
  std::vector<std::string> names;
  for (const Choice<T>& choice : choices) {
    if (value == choice.name) {
      target = choice.value;
      return absl::OkStatus();
    }
    names.push_back(choice.name);
  }
  return Impossible(name, value, absl::StrJoin(names, " or "));
}

template <class T>
absl::Status SetNumber(std::string_view name, std::string_view value,
                       std::optional<T>& target) {
  uint64_t number = 0;
  if (!absl::SimpleAtoi(View(value), &number) ||
      number > std::numeric_limits<T>::max()) {
    return Impossible(name, value, "a whole number");
  }
  target = static_cast<T>(number);
  return absl::OkStatus();
}

// Far from where adding one to the present time overflows.
constexpr Duration kLongestDuration = std::chrono::hours(24 * 365);

absl::Status SetDuration(std::string_view name, std::string_view value,
                         std::optional<Duration>& target) {
  absl::Duration duration;
  if (!absl::ParseDuration(View(value), &duration) ||
      duration < absl::ZeroDuration() ||
      duration > absl::FromChrono(kLongestDuration)) {
    return Impossible(name, value, "a duration such as 500ms or 1m");
  }
  target = absl::ToChronoNanoseconds(duration);
  return absl::OkStatus();
}

template <class T>
absl::Status CheckRange(const char* name, const std::optional<T>& value,
                        T least, T most) {
  if (!value.has_value() || (*value >= least && *value <= most)) {
    return absl::OkStatus();
  }
  return Impossible(name, absl::StrCat(*value),
                    absl::StrCat("a number from ", least, " to ", most));
}

absl::Status CheckRange(const char* name,
                        const std::optional<Duration>& value) {
  if (!value.has_value() ||
      (*value >= Duration(0) && *value <= kLongestDuration)) {
    return absl::OkStatus();
  }
  return Impossible(
      name, absl::FormatDuration(absl::FromChrono(*value)),
      absl::StrCat("a duration from 0 to ",
                   absl::FormatDuration(absl::FromChrono(kLongestDuration))));
}

constexpr Duration kLeastWatchdog = std::chrono::milliseconds(10);

// Those that a handler may be installed for.
bool IsForDumps(int signal) {
  switch (signal) {
    case SIGKILL:
    case SIGSTOP:
    case SIGABRT:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGSEGV:
    case SIGSYS:
    case SIGTRAP:
      return false;
    default:
      // Between SIGSYS and SIGRTMIN are those of the C library.
      return (signal >= 1 && signal < SIGSYS) ||
             (signal >= SIGRTMIN && signal <= SIGRTMAX);
  }
}

constexpr char kDumpSignals[] =
    "a signal that may have a handler, such as USR1";

absl::Status SetSignal(std::string_view name, std::string_view value,
                       std::optional<int>& target) {
  int number = 0;
  if (absl::SimpleAtoi(View(value), &number)) {
    target = number;
    return absl::OkStatus();
  }
  const std::string_view abbreviated =
      value.substr(value.starts_with("SIG") ? 3 : 0);
  for (int signal = 1; signal <= SIGSYS; ++signal) {
    const char* const known = sigabbrev_np(signal);
    if (known == nullptr || abbreviated != known) continue;
    target = signal;
    return absl::OkStatus();
  }
  return Impossible(name, value, kDumpSignals);
}

constexpr char kPrefix[] = "WEFT_";
// Variables that are not options of a backend: those of tests, and those of
// explorations (backends/sim/explore.h).
constexpr std::string_view kOthers[] = {"WEFT_TEST_", "WEFT_SIM_",
                                        "WEFT_REPLAY="};

bool IsOption(std::string_view variable) {
  if (!variable.starts_with(kPrefix)) return false;
  for (const std::string_view other : kOthers) {
    if (variable.starts_with(other)) return false;
  }
  return true;
}

}  // namespace

Options Options::FromEnvironment() {
  Options options;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view variable(*entry);
    if (!IsOption(variable)) continue;
    const size_t equals = variable.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name =
        variable.substr(sizeof(kPrefix) - 1, equals - (sizeof(kPrefix) - 1));
    absl::Status status = options.Set(absl::AsciiStrToLower(View(name)),
                                      variable.substr(equals + 1));
    if (!status.ok()) {
      options.error.Update(absl::Status(
          status.code(),
          absl::StrCat("environment: ", View(variable.substr(0, equals)), ": ",
                       status.message())));
    }
  }
  return options;
}

absl::Status Options::Set(std::string_view name, std::string_view value) {
  if (name == "backend") return SetChoice(name, value, kBackends, backend);
  if (name == "driver") return SetChoice(name, value, kDrivers, driver);
  if (name == "workers") return SetNumber(name, value, workers);
  if (name == "stack_size") return SetNumber(name, value, stack_size);
  if (name == "max_tasks") return SetNumber(name, value, max_tasks);
  if (name == "ring_entries") return SetNumber(name, value, ring_entries);
  if (name == "idle_thread_timeout") {
    return SetDuration(name, value, idle_thread_timeout);
  }
  if (name == "report_overflow") {
    return SetChoice(name, value, kSwitch, report_overflow);
  }
  if (name == "measure_stacks")
    return SetChoice(name, value, kSwitch, measure_stacks);
  if (name == "perturb_seed") return SetNumber(name, value, perturb_seed);
  if (name == "watchdog") return SetDuration(name, value, watchdog);
  if (name == "dump_signal") return SetSignal(name, value, dump_signal);
  return absl::InvalidArgumentError(absl::StrCat(
      "there is no option '", View(name),
      "'; there are backend, driver, workers, stack_size, max_tasks, "
      "ring_entries, idle_thread_timeout, report_overflow, measure_stacks, "
      "perturb_seed, watchdog, dump_signal"));
}

absl::Status Options::Validate() const {
  absl::Status status = error;
  status.Update(CheckRange<uint32_t>("workers", workers, 1, 256));
  status.Update(
      CheckRange("stack_size", stack_size, kLeastStackSize, kMostStackSize));
  status.Update(CheckRange<uint32_t>("max_tasks", max_tasks, 1, UINT32_MAX));
  status.Update(CheckRange<uint32_t>("ring_entries", ring_entries, 8, 32768));
  status.Update(CheckRange("idle_thread_timeout", idle_thread_timeout));
  status.Update(CheckRange("watchdog", watchdog));
  if (watchdog.has_value() && *watchdog != Duration(0) &&
      *watchdog < kLeastWatchdog) {
    status.Update(Impossible("watchdog",
                             absl::FormatDuration(absl::FromChrono(*watchdog)),
                             "0 or a duration from 10ms"));
  }
  if (dump_signal.has_value() && !IsForDumps(*dump_signal)) {
    status.Update(
        Impossible("dump_signal", absl::StrCat(*dump_signal), kDumpSignals));
  }
  if (ring_entries.has_value() && !std::has_single_bit(*ring_entries)) {
    status.Update(Impossible("ring_entries", absl::StrCat(*ring_entries),
                             "a power of two"));
  }
  return status;
}

}  // namespace weft
