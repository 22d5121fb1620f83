// A loop that takes every error of a wait for a reason to try again. Once it is
// cancelled no wait waits any more, and the loop spins for ever.
#ifndef WEFT_TESTS_BUGS_SWALLOWED_CANCEL_H_
#define WEFT_TESTS_BUGS_SWALLOWED_CANCEL_H_

#include "weft/sync/channel.h"
#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
void SwallowedCancel(Sim& io) {
  Channel<int, Sim> jobs(1);
  auto worker = Async(io, {.name = "worker"}, [&] {
    for (;;) {
      const absl::StatusOr<int> job = jobs.Receive(io);
      if (absl::IsOutOfRange(job.status())) return;
      if (repaired && absl::IsCancelled(job.status())) return;
    }
  });
  (void)jobs.Send(io, 1);
  worker.Cancel();
  worker.Await(io);
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_SWALLOWED_CANCEL_H_
