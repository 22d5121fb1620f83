#include "weft/backends/sim/internal/token.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace weft::sim {
namespace {

// Without the faults.
constexpr size_t kFields = 8;

std::string Letters(const SwitchFaultOptions& faults) {
  std::string letters;
  for (const SwitchFaultLetter& fault : kSwitchFaultLetters) {
    if (faults.*fault.member) letters.push_back(fault.letter);
  }
  return letters;
}

// False if the text is not what Letters gives.
bool ReadLetters(const std::string& letters, SwitchFaultOptions& faults) {
  for (const SwitchFaultLetter& fault : kSwitchFaultLetters) {
    faults.*fault.member = letters.find(fault.letter) != std::string::npos;
  }
  return Letters(faults) == letters;
}

}  // namespace

std::string Token::ToString() const {
  return absl::StrCat(kVersion, ":", strategy, ":", absl::Hex(seed), ":",
                      unfair_steps, ":", max_steps, ":", Letters(switch_faults),
                      ":", failure, ":", history.ToString(),
                      faults.empty() ? "" : ":", faults);
}

absl::StatusOr<Token> Token::Parse(std::string_view text) {
  const std::vector<std::string> fields =
      absl::StrSplit(absl::string_view(text.data(), text.size()), ':');
  if (fields[0] != kVersion) {
    return absl::InvalidArgumentError(absl::StrCat("it is of version '",
                                                   fields[0],
                                                   "', and this program "
                                                   "reads version '",
                                                   kVersion, "'"));
  }
  Token token;
  if ((fields.size() != kFields && fields.size() != kFields + 1) ||
      !absl::SimpleHexAtoi(fields[2], &token.seed) ||
      !absl::SimpleAtoi(fields[3], &token.unfair_steps) ||
      !absl::SimpleAtoi(fields[4], &token.max_steps) ||
      !ReadLetters(fields[5], token.switch_faults)) {
    return absl::InvalidArgumentError("it is not whole");
  }
  token.strategy = fields[1];
  token.failure = fields[6];
  if (fields.size() > kFields) token.faults = fields[kFields];
  absl::StatusOr<History> history = History::Parse(fields[7]);
  if (!history.ok()) return history.status();
  token.history = *std::move(history);
  return token;
}

}  // namespace weft::sim
