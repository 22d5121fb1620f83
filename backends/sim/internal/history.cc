#include "weft/backends/sim/internal/history.h"

#include <charconv>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace weft::sim {
namespace {

// Every event letter; the compiler does not list the values of an enum.
constexpr char kLetters[] = "+-acosfwyrpe";

// More than any schedule has; keeps a wrong token from taking all memory.
constexpr size_t kMostEvents = size_t{1} << 26;

class Reader {
 public:
  explicit Reader(std::string_view text)
      : begin_(text.data()), at_(begin_), end_(begin_ + text.size()) {}

  bool done() const { return at_ == end_; }
  size_t position() const { return static_cast<size_t>(at_ - begin_); }
  char Take() { return *at_++; }
  bool TakeIf(char wanted) {
    if (done() || *at_ != wanted) return false;
    ++at_;
    return true;
  }
  // False, and `number` as it was, where no number stands.
  bool TakeNumber(uint32_t& number) {
    const auto [rest, error] = std::from_chars(at_, end_, number);
    if (error != std::errc()) return false;
    at_ = rest;
    return true;
  }

 private:
  const char* const begin_;
  const char* at_;
  const char* const end_;
};

}  // namespace

uint64_t History::Hash() const {
  uint64_t hash = 0xCBF29CE484222325u;
  for (const Event& event : events_) {
    hash ^=
        (uint64_t{event.task} << 8) | static_cast<unsigned char>(event.what);
    hash *= 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
  }
  return hash;
}

std::string History::ToString() const {
  std::string text;
  Write([&text](char c) { text.push_back(c); });
  return text;
}

absl::StatusOr<History> History::Parse(std::string_view text) {
  History history;
  Reader reader(text);
  uint32_t last_chosen = 0;
  while (!reader.done()) {
    const size_t position = reader.position();
    Event event{.what = reader.Take()};
    bool right =
        event.what != '\0' && std::strchr(kLetters, event.what) != nullptr;
    const bool decision = event.is_decision();
    event.task = last_chosen;
    right = (reader.TakeNumber(event.task) || decision) && right;
    uint32_t times = 1;
    if (decision && reader.TakeIf('.')) {
      right = reader.TakeNumber(times) && times > 0 && right;
    }
    if (!right || times > kMostEvents - history.events_.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the schedule makes no sense at character ", position));
    }
    history.events_.insert(history.events_.end(), times, event);
    if (!decision) continue;
    history.decisions_ += times;
    last_chosen = event.task;
  }
  return history;
}

}  // namespace weft::sim
