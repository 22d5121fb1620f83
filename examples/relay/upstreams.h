// Upstreams: follows all upstreams, each in a task of its own.
#ifndef WEFT_EXAMPLES_RELAY_UPSTREAMS_H_
#define WEFT_EXAMPLES_RELAY_UPSTREAMS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "weft/examples/relay/config.h"
#include "weft/examples/relay/counters.h"
#include "weft/examples/relay/frame.h"
#include "weft/examples/relay/log_marks.h"
#include "weft/examples/relay/output.h"
#include "weft/examples/relay/upstream.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/channel.h"
#include "weft/sync/semaphore.h"

namespace relay {

template <weft::Backend B>
class Upstreams {
 public:
  Upstreams(B& io, const Config& config, Counters<B>& counters,
            const LogMarks<B>& log_marks, weft::Channel<Message, B>& events)
      : connecting_(static_cast<uint32_t>(config.connecting),
                    static_cast<uint32_t>(config.connecting)),
        context_{config, counters, log_marks, events, connecting_},
        tasks_(io) {}

  // Follows all upstreams until each has ended in its own way, or until
  // somebody cancels.
  void Follow(B& io) {
    for (uint32_t index = 0; index < context_.config.upstreams; ++index) {
      const uint64_t seed = io.Random();
      const bool started = tasks_.Spawn({.name = "upstream"}, [&, index, seed] {
        Upstream<B>(context_, index, seed).Follow(io);
      });
      if (!started) {
        context_.counters.Report(
            Fault::kResources,
            absl::StrCat("upstream ", index, ": no task for it"));
      }
    }
    // The group knows why a task was refused; nothing else is an error to it.
    const absl::Status status = tasks_.Await(io);
    if (!status.ok()) Complain(status);
  }

  // Ends all connections. Any task.
  void Cancel() { tasks_.Cancel(); }

 private:
  weft::Semaphore<B> connecting_;
  const UpstreamContext<B> context_;
  weft::TaskGroup<B> tasks_;
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_UPSTREAMS_H_
