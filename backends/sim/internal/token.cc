#include "weft/backends/sim/internal/token.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace weft::sim {
namespace {

constexpr char kVersion[] = "1";
constexpr size_t kFields = 7;

}  // namespace

std::string Token::ToString() const {
  return absl::StrCat(kVersion, ":", strategy, ":", absl::Hex(seed), ":",
                      unfair_steps, ":", max_steps, ":", failure, ":",
                      history.ToString());
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
  if (fields.size() != kFields ||
      !absl::SimpleHexAtoi(fields[2], &token.seed) ||
      !absl::SimpleAtoi(fields[3], &token.unfair_steps) ||
      !absl::SimpleAtoi(fields[4], &token.max_steps)) {
    return absl::InvalidArgumentError("it is not whole");
  }
  token.strategy = fields[1];
  token.failure = fields[5];
  absl::StatusOr<History> history = History::Parse(fields[6]);
  if (!history.ok()) return history.status();
  token.history = *std::move(history);
  return token;
}

}  // namespace weft::sim
