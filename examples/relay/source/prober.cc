#include "weft/examples/relay/source/prober.h"

#include <array>
#include <chrono>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/task_group.h"

namespace relay {
namespace {

constexpr weft::Duration kPeriod = std::chrono::milliseconds(20);
constexpr weft::Duration kPatience = std::chrono::seconds(10);

// The whole answer to GET /health.
absl::StatusOr<std::string> Ask(weft::Io& io,
                                const weft::net::SocketAddress& address) {
  auto stream = weft::net::TcpStream::Connect(io, address);
  if (!stream.ok()) return stream.status();
  absl::Status status =
      stream->WriteAll(io, "GET /health HTTP/1.1\r\nHost: relay\r\n\r\n");
  if (!status.ok()) return status;
  std::string answer;
  std::array<char, 1024> buffer;
  for (;;) {
    const absl::StatusOr<size_t> count = stream->Read(io, buffer);
    if (!count.ok()) return count.status();
    if (*count == 0) return answer;
    answer.append(buffer.data(), *count);
  }
}

}  // namespace

void Prober::Run(weft::Evented& io, weft::MonotonicTime start,
                 weft::MonotonicTime end) {
  weft::TaskGroup probes(io);
  for (weft::MonotonicTime next = start; next < end; next += kPeriod) {
    if (!io.SleepUntil(next).ok()) break;
    if (!probes.Spawn({.name = "probe"}, [&] { Probe(io); })) ++failures_;
  }
  (void)probes.Await(io);
}

void Prober::Probe(weft::Evented& io) {
  const weft::Deadline deadline(io, kPatience);
  const weft::MonotonicTime start = io.Now();
  const absl::StatusOr<std::string> answer = Ask(io, address_);
  const weft::Duration latency = io.Now() - start;
  if (!answer.ok() || !answer->starts_with("HTTP/1.1 200 ")) {
    ++failures_;
    return;
  }
  weft::MutexLock lock(mutex_, io);
  latencies_.Add(latency);
}

}  // namespace relay
