// AcceptAll: a task for every connection of a listener.
#ifndef WEFT_EXAMPLES_RELAY_ACCEPT_H_
#define WEFT_EXAMPLES_RELAY_ACCEPT_H_

#include <chrono>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "weft/examples/relay/counters.h"
#include "weft/net/tcp_listener.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/io.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/task_group.h"

namespace relay {

template <weft::Backend B>
struct AcceptOptions {
  weft::net::TcpListener& listener;
  weft::TaskGroup<B>& tasks;  // one for every connection
  std::string task_name;
  Counters<B>& counters;
};

// Calls `serve(stream)` in a task of its own for every connection, until the
// caller is cancelled. When there is no thread, descriptor or memory for one
// more, that is counted, and those that are served go on.
template <weft::Backend B, class Serve>
absl::Status AcceptAll(B& io, const AcceptOptions<B>& options, Serve serve) {
  for (;;) {
    absl::StatusOr<weft::net::TcpStream> stream = options.listener.Accept(io);
    if (absl::IsResourceExhausted(stream.status())) {
      options.counters.Report(Fault::kResources,
                              std::string(stream.status().message()));
      // The connection waits in the kernel until others have closed.
      absl::Status slept = weft::Sleep(io, std::chrono::milliseconds(50));
      if (!slept.ok()) return slept;
      continue;
    }
    if (!stream.ok()) return stream.status();
    const bool started = options.tasks.Spawn({.name = options.task_name}, serve,
                                             *std::move(stream));
    if (started) continue;
    if (absl::Status status = weft::CheckCancelled(io); !status.ok()) {
      return status;
    }
    options.counters.Report(
        Fault::kResources,
        absl::StrCat(options.task_name, ": no task for a connection"));
  }
}

}  // namespace relay

#endif  // WEFT_EXAMPLES_RELAY_ACCEPT_H_
