// Relay: all of it, put together, but for what has to do with the process,
// which is in service.h. The only thing that depends on the backend is the type
// B; which one that is, a flag decides.
//
//   upstreams --events--> sequencer --> log, then fan-out --queue--> subscriber
//                                                         --queue--> subscriber
#ifndef WEFT_EXAMPLES_RELAY_RELAY_H_
#define WEFT_EXAMPLES_RELAY_RELAY_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "weft/examples/relay/accept.h"
#include "weft/examples/relay/config.h"
#include "weft/examples/relay/counters.h"
#include "weft/examples/relay/doors.h"
#include "weft/examples/relay/fan_out.h"
#include "weft/examples/relay/frame.h"
#include "weft/examples/relay/health.h"
#include "weft/examples/relay/json.h"
#include "weft/examples/relay/log_marks.h"
#include "weft/examples/relay/sequencer.h"
#include "weft/examples/relay/upstreams.h"
#include "weft/runtime/future.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/task_group.h"

namespace relay {

template <weft::Backend B>
class Relay {
 public:
  Relay(B& io, const Config& config, Doors doors)
      : config_(config),
        doors_(std::move(doors)),
        counters_(config.fault_reports),
        log_marks_(config.upstreams),
        events_(config.event_queue),
        fan_out_(config.subscriber_queue),
        sequencer_(events_, *doors_.log, log_marks_, fan_out_, counters_),
        upstreams_(io, config, counters_, log_marks_, events_) {}

  // Runs until all upstreams have ended or Stop is called, then delivers what
  // is on its way, for which it takes at most `stop_within`. Returns an error
  // if the work could not be done.
  absl::Status Run(B& io) {
    weft::TaskGroup<B> subscribers(io);
    weft::TaskGroup<B> service(io);
    auto sequencing = weft::Concurrent(io, {.name = "sequencer"}, [&] {
      return StopUnlessOk(sequencer_.Run(io));
    });
    if (!sequencing.ok()) return sequencing.status();
    if (!StartService(io, service, subscribers)) {
      service.Cancel();
      return service.Await(io);
    }

    upstreams_.Follow(io);
    // Nothing more comes in. What did is logged, and subscribers get the rest
    // as long as they do not take for ever.
    const weft::Deadline limit(io, config_.stop_within);
    events_.Close(io);
    absl::Status status = sequencing->Await(io);
    service.Cancel();
    status.Update(service.Await(io));
    fan_out_.Finish(io);
    (void)subscribers.Await(io);
    return status;
  }

  // Takes no more events. Does not block. Any task.
  void Stop() { upstreams_.Cancel(); }

  const Counters<B>& counters() const { return counters_; }
  FanOutFigures fan_out_figures(B& io) { return fan_out_.figures(io); }

  // Adds the figures of the whole run; after it.
  void AddTo(B& io, JsonObject& object) {
    const FanOutFigures fan_out = fan_out_.figures(io);
    counters_.AddTo(object);
    object.Add("delivered", fan_out.delivered)
        .Add("slow_subscribers_cut", fan_out.cut)
        .Add("subscribers_left", fan_out.left)
        .Add("connection_faults", counters_.faults())
        .Add("peak_event_queue", events_.peak_size())
        .Add("peak_subscriber_queue", fan_out.peak_queue);
  }

 private:
  // For what the relay cannot do without.
  absl::Status StopUnlessOk(absl::Status status) {
    if (!status.ok()) Stop();
    return status;
  }

  // Starts what runs beside the upstreams as long as the relay does.
  bool StartService(B& io, weft::TaskGroup<B>& service,
                    weft::TaskGroup<B>& subscribers) {
    return service.Spawn({.name = "subscribers"}, [&] {
      return AcceptSubscribers(io, subscribers);
    }) && service.Spawn({.name = "health"}, [&] { return AcceptHealth(io); });
  }

  absl::Status AcceptSubscribers(B& io, weft::TaskGroup<B>& subscribers) {
    const auto serve = [&](weft::net::TcpStream stream) {
      (void)stream.SetNoDelay(true);
      (void)stream.SetSendBuffer(config_.subscriber_buffer);
      fan_out_.Serve(io, std::move(stream));
    };
    return StopUnlessOk(
        AcceptAll(io,
                  AcceptOptions<B>{doors_.subscribers, subscribers,
                                   "subscriber", counters_},
                  serve));
  }

  absl::Status AcceptHealth(B& io) {
    weft::TaskGroup<B> answers(io, {.max_concurrent = 64});
    const auto serve = [&](weft::net::TcpStream stream) {
      // A client that breaks off is its own affair.
      (void)AnswerHealth(io, stream, [&] { return Report(io); });
    };
    return StopUnlessOk(AcceptAll(
        io, AcceptOptions<B>{doors_.health, answers, "health", counters_},
        serve));
  }

  // What GET /health answers.
  std::string Report(B& io) {
    JsonObject object;
    object.Add("status", "ok")
        .Add("connected_now", counters_.connected_now.load());
    counters_.AddTo(object);
    return object.Add("subscribers", fan_out_.size(io))
        .Add("event_queue", events_.size())
        .Add("connection_faults", counters_.fault_count())
        .text();
  }

  const Config& config_;
  Doors doors_;
  Counters<B> counters_;
  LogMarks<B> log_marks_;
  weft::Channel<Message, B> events_;
  FanOut<B> fan_out_;
  Sequencer<B> sequencer_;
  Upstreams<B> upstreams_;
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_RELAY_H_
