// Backoff: how long to wait before the next attempt.
//
//   Backoff backoff({.first = 100ms, .most = 10s}, io.Random());
//   while (!Try(io).ok()) {
//     if (!weft::Sleep(io, backoff.Next()).ok()) break;
//   }
#ifndef WEFT_EXAMPLES_RELAY_BACKOFF_H_
#define WEFT_EXAMPLES_RELAY_BACKOFF_H_

#include <chrono>
#include <cstdint>
#include <random>

#include "weft/runtime/clock.h"

namespace relay {

struct BackoffOptions {
  // The longest first wait. Each further one may be twice as long ...
  weft::Duration first = std::chrono::milliseconds(100);
  // ... up to this.
  weft::Duration most = std::chrono::seconds(10);
  // What lasted as long as this went well, and the waits begin anew.
  weft::Duration healthy = std::chrono::seconds(10);
};

class Backoff {
 public:
  Backoff(const BackoffOptions& options, uint64_t seed)
      : options_(options),
        limit_(options.first),
        random_(static_cast<uint32_t>(seed)) {}

  // The wait before the next attempt. Half of it is certain and the rest is
  // left to chance, so that those who failed together do not return together.
  weft::Duration Next() {
    std::uniform_int_distribution<int64_t> wait((limit_ / 2).count(),
                                                limit_.count());
    limit_ = limit_ < options_.most / 2 ? limit_ * 2 : options_.most;
    return weft::Duration(wait(random_));
  }

  // Says for how long the last attempt went well.
  void Lasted(weft::Duration span) {
    if (span >= options_.healthy) limit_ = options_.first;
  }

 private:
  const BackoffOptions options_;
  weft::Duration limit_;  // of the next wait
  std::minstd_rand random_;
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_BACKOFF_H_
