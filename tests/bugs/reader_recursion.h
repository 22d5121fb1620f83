// A reader calls a function that reads under the same lock. It passes unless a
// writer has come to stand in line in between: the reader then waits for the
// writer, and the writer for the reader.
#ifndef WEFT_TESTS_BUGS_READER_RECURSION_H_
#define WEFT_TESTS_BUGS_READER_RECURSION_H_

#include "weft/sync/shared_mutex.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void ReaderRecursion(Sim& io) {
  SharedMutex<Sim> mutex;
  const auto nested = [&] { const SharedLock lock(mutex, io); };
  const auto read = [&] {
    {
      const SharedLock lock(mutex, io);
      if (!repaired) nested();
    }
    if (repaired) nested();
  };
  const auto write = [&] { const ExclusiveLock lock(mutex, io); };
  Together(io, read, write);
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_READER_RECURSION_H_
