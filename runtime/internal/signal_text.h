// SignalText: lines for standard error out of a signal handler.
#ifndef WEFT_RUNTIME_INTERNAL_SIGNAL_TEXT_H_
#define WEFT_RUNTIME_INTERNAL_SIGNAL_TEXT_H_

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weft::internal {

// Collects text and writes it in one piece, or in several if it is long. Async-
// signal-safe: neither allocates nor locks.
class SignalText {
 public:
  SignalText() = default;
  SignalText(const SignalText&) = delete;
  SignalText& operator=(const SignalText&) = delete;
  ~SignalText() { Flush(); }

  void Put(char c) {
    if (used_ == sizeof(buffer_)) Flush();
    buffer_[used_++] = c;
  }
  void Put(std::string_view text) {
    for (const char c : text) Put(c);
  }
  void PutNumber(uint64_t number, unsigned base = 10) {
    if (number >= base) PutNumber(number / base, base);
    Put("0123456789abcdef"[number % base]);
  }

 private:
  void Flush() {
    // Nothing can be done about a failure: the program ends soon.
    [[maybe_unused]] const ssize_t written =
        write(STDERR_FILENO, buffer_, used_);
    used_ = 0;
  }

  char buffer_[4096];
  size_t used_ = 0;
};

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_INTERNAL_SIGNAL_TEXT_H_
