// FanOut: the subscribers of the moment, and what became of those before.
#ifndef WEFT_EXAMPLES_RELAY_FAN_OUT_H_
#define WEFT_EXAMPLES_RELAY_FAN_OUT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "weft/examples/relay/subscriber.h"
#include "weft/net/tcp_stream.h"
#include "weft/sync/mutex.h"

namespace relay {

struct FanOutFigures {
  std::vector<uint64_t> delivered;  // events, to each subscriber that got all
  uint64_t cut = 0;                 // subscribers that were too slow
  uint64_t left = 0;                // subscribers that broke the connection
  size_t peak_queue = 0;            // of all subscribers
};

template <weft::Backend B>
class FanOut {
 public:
  explicit FanOut(size_t queue_capacity) : queue_capacity_(queue_capacity) {}

  // Serves one subscriber, in the task that calls, to the end.
  void Serve(B& io, weft::net::TcpStream stream) {
    Subscriber<B> subscriber(io, std::move(stream), queue_capacity_);
    const uint64_t first = Join(io, subscriber);
    const absl::Status status = subscriber.Serve(io, first);
    Leave(io, subscriber, status);
  }

  // Queues events for every subscriber. Never waits for one of them.
  void Publish(B& io, std::span<const EventFrame> events) {
    weft::MutexLock lock(mutex_, io);
    last_ += events.size();
    std::erase_if(present_, [&](Subscriber<B>* subscriber) {
      for (const EventFrame& event : events) {
        if (!subscriber->Offer(io, event)) {
          subscriber->Cut();
          return true;
        }
      }
      return false;
    });
  }

  // Lets subscribers go once they have all that was published.
  void Finish(B& io) {
    weft::MutexLock lock(mutex_, io);
    finished_ = true;
    for (Subscriber<B>* subscriber : present_) subscriber->Finish(io, last_);
  }

  FanOutFigures figures(B& io) {
    weft::MutexLock lock(mutex_, io);
    return figures_;
  }
  size_t size(B& io) {
    weft::MutexLock lock(mutex_, io);
    return present_.size();
  }

 private:
  // Returns the number of the first event that the subscriber will get.
  uint64_t Join(B& io, Subscriber<B>& subscriber) {
    weft::MutexLock lock(mutex_, io);
    present_.push_back(&subscriber);
    if (finished_) subscriber.Finish(io, last_);
    return last_ + 1;
  }

  void Leave(B& io, Subscriber<B>& subscriber, const absl::Status& status) {
    weft::MutexLock lock(mutex_, io);
    std::erase(present_, &subscriber);
    figures_.peak_queue =
        std::max(figures_.peak_queue, subscriber.peak_queue());
    if (status.ok()) {
      figures_.delivered.push_back(subscriber.delivered());
    } else if (absl::IsCancelled(status)) {
      ++figures_.cut;
    } else {
      ++figures_.left;
    }
  }

  const size_t queue_capacity_;
  weft::Mutex<B> mutex_;
  std::vector<Subscriber<B>*> present_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_ ABSL_GUARDED_BY(mutex_) = 0;  // number of the last event
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  FanOutFigures figures_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_FAN_OUT_H_
