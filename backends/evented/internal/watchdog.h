// Watchdog: tells of workers that have not switched for long.
//
// A fiber that computes without a Yield, or that waits in a lock that is not
// weft's, keeps all others of its worker from running. That is reported once,
// with the name of its task. A worker that is kept from running by other
// processes is not: it has to use its processor, or to be blocked in the
// kernel. Nor does time count in which the whole process was stopped, by a
// signal or a debugger.
//
// While all workers are idle the watchdog sleeps.
#ifndef WEFT_BACKENDS_EVENTED_INTERNAL_WATCHDOG_H_
#define WEFT_BACKENDS_EVENTED_INTERNAL_WATCHDOG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "weft/backends/evented/internal/worker.h"
#include "weft/runtime/clock.h"
#include "weft/runtime/internal/watcher.h"

namespace weft::internal {

class WorkerGroup;

class Watchdog final : public Watcher {
 public:
  // Reports after `limit`; 0: never.
  Watchdog(WorkerGroup& group, Duration limit);
  ~Watchdog() override { Stop(); }

  // How often it has to look.
  static Duration LookEvery(Duration limit);

 private:
  // What was seen of a worker.
  struct Seen {
    uint64_t progress = 0;
    bool runs = false;
    bool reported = false;
    Duration span{};            // for how long it is so
    Duration processor_time{};  // that it had used before
  };

  bool Look() override;
  bool HasToLook() override;
  // True once the report was written.
  bool Report(Worker& worker, const Seen& seen);

  WorkerGroup& group_;
  const Duration limit_;
  MonotonicTime looked_at_{};  // the last time
  std::vector<Seen> seen_;     // by worker
};

}  // namespace weft::internal

#endif  // WEFT_BACKENDS_EVENTED_INTERNAL_WATCHDOG_H_
