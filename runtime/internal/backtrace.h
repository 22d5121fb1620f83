// Backtraces: the calls in which a flow of control is.
#ifndef WEFT_RUNTIME_INTERNAL_BACKTRACE_H_
#define WEFT_RUNTIME_INTERNAL_BACKTRACE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace weft::internal {

struct Backtrace {
  static constexpr size_t kMost = 64;

  // An address inside of each call instruction, innermost first.
  std::array<uintptr_t, kMost> frames;
  size_t size = 0;
  bool cut = false;  // there were more
};

// The calls on one stack that a walk leaves out.
struct FramesToSkip {
  const void* stack = nullptr;  // the lowest address of that stack
  const void* until = nullptr;  // those whose frames lie up to here
};

// Of the caller, which is its first frame but for what is to be skipped. Does
// not allocate, takes no lock; may be called in a signal handler once it was
// called outside of one.
void TakeBacktrace(Backtrace& backtrace, const FramesToSkip& skip = {});

// Makes text of addresses; remembers those that it knows.
class Symbolizer {
 public:
  // "relay+0x1a2b4 relay::Upstream::Run()+0x34": the file and the address in it
  // that addr2line(1) takes, and the function if the dynamic symbol table has
  // it.
  const std::string& Describe(uintptr_t address);

 private:
  std::map<uintptr_t, std::string> known_;
};

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_INTERNAL_BACKTRACE_H_
