// The string buffer of JDK 1.4 (SCTBench StringBuffer): append asks the other
// buffer for its length and then for so many characters, each call with the
// lock, and nothing around both.
#ifndef WEFT_TESTS_BUGS_STRING_BUFFER_H_
#define WEFT_TESTS_BUGS_STRING_BUFFER_H_

#include <cstddef>
#include <string>

#include "weft/sync/mutex.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

class StringBuffer {
 public:
  explicit StringBuffer(Sim& io) : io_(io) {}

  size_t length() {
    const MutexLock lock(mutex_, io_);
    return text_.size();
  }
  void Erase(size_t count) {
    const MutexLock lock(mutex_, io_);
    text_.erase(0, count);
  }
  std::string Characters(size_t count) {
    const MutexLock lock(mutex_, io_);
    return Copy(count);
  }
  std::string All() {
    const MutexLock lock(mutex_, io_);
    return Copy(text_.size());
  }

 private:
  std::string Copy(size_t count) {
    Expect(io_, count <= text_.size(), "characters beyond the end were read");
    return text_.substr(0, count);
  }

  Sim& io_;
  Mutex<Sim> mutex_;
  std::string text_ = "abc";
};

template <bool repaired>
void StringBuffers(Sim& io) {
  StringBuffer text(io);
  std::string appended;
  const auto append = [&] {
    appended = repaired ? text.All() : text.Characters(text.length());
  };
  const auto erase = [&] { text.Erase(3); };
  Together(io, append, erase);
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_STRING_BUFFER_H_
