#include "weft/backends/sim/internal/environment.h"

#include <unistd.h>

#include <string>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace weft::sim {
namespace {

constexpr std::string_view kPrefix = "WEFT_SIM_";

bool SetTime(const std::string& value, Duration& time) {
  absl::Duration parsed;
  if (!absl::ParseDuration(value, &parsed) || parsed < absl::ZeroDuration()) {
    return false;
  }
  time = absl::ToChronoNanoseconds(parsed);
  return true;
}

absl::Status Set(std::string_view name, const std::string& value,
                 ExploreOptions& options) {
  bool right = true;
  if (name == "WEFT_REPLAY") {
    options.replay = value;
  } else if (name == "WEFT_SIM_STRATEGY") {
    options.strategy = value;
  } else if (name == "WEFT_SIM_SEED") {
    right = absl::SimpleAtoi(value, &options.seed);
  } else if (name == "WEFT_SIM_SCHEDULES") {
    right = absl::SimpleAtoi(value, &options.schedules);
  } else if (name == "WEFT_SIM_TIME") {
    right = SetTime(value, options.time);
  } else if (name.substr(0, kPrefix.size()) == kPrefix) {
    return absl::InvalidArgumentError(absl::StrCat(
        "environment: there is no ",
        absl::string_view(name.data(), name.size()),
        "; there are WEFT_REPLAY, WEFT_SIM_SCHEDULES, WEFT_SIM_SEED, "
        "WEFT_SIM_STRATEGY, WEFT_SIM_TIME"));
  }
  if (right) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("environment: ", absl::string_view(name.data(), name.size()),
                   ": '", value, "' is not possible; give ",
                   name == "WEFT_SIM_TIME" ? "a duration such as 500ms or 10m"
                                           : "a whole number"));
}

}  // namespace

absl::Status ApplyEnvironment(ExploreOptions& options) {
  absl::Status status;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view variable(*entry);
    const size_t equals = variable.find('=');
    if (equals == std::string_view::npos) continue;
    status.Update(Set(variable.substr(0, equals),
                      std::string(variable.substr(equals + 1)), options));
  }
  return status;
}

}  // namespace weft::sim
