#include "weft/examples/relay/source/actors.h"

#include <array>
#include <chrono>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "weft/examples/relay/frame.h"
#include "weft/examples/relay/output.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/task_group.h"

namespace relay {
namespace {

using weft::net::TcpStream;

constexpr weft::Duration kHelloTimeout = std::chrono::seconds(10);

// Nothing further is on the connection until it was answered.
absl::StatusOr<Message> ReadHello(weft::Io& io, TcpStream& stream) {
  const weft::Deadline deadline(io, kHelloTimeout);
  std::array<char, kHeaderSize + kMinBodySize> bytes;
  absl::Status status = stream.ReadExactly(io, bytes);
  if (!status.ok()) return status;
  Message hello;
  const absl::StatusOr<size_t> used =
      ParseFrame(std::string_view(bytes.data(), bytes.size()), hello);
  if (!used.ok()) return used.status();
  return hello;
}

}  // namespace

Actors::Actors(const Plan& plan)
    : plan_(plan), strangers_(static_cast<uint32_t>(plan.all_upstreams())) {
  for (uint32_t index = 0; index < plan.all_upstreams(); ++index) {
    roles_.emplace_back(plan, index);
  }
}

absl::Status Actors::KeepGate(weft::Evented& io, Gate& gate) {
  if (plan_.outage == weft::Duration::zero()) return Accept(io, gate);
  {
    weft::TaskGroup<weft::Evented> accepting(io);
    accepting.Spawn({.name = "accept"}, [&] { return Accept(io, gate); });
    absl::Status status = started_.Wait(io);
    if (status.ok()) status = io.SleepUntil(start_ + plan_.outage_start());
    if (!status.ok()) return status;
  }
  // The upstreams have planned to break their connections now.
  gate.Shut();
  absl::Status status = weft::Sleep(io, plan_.outage);
  if (status.ok()) status = gate.Open(io);
  return status.ok() ? Accept(io, gate) : status;
}

absl::Status Actors::Accept(weft::Evented& io, Gate& gate) {
  weft::TaskGroup<weft::Evented> hellos(io);
  for (;;) {
    absl::StatusOr<TcpStream> accepted = gate.Accept(io);
    if (!accepted.ok()) return accepted.status();
    hellos.Spawn(
        {.name = "hello"},
        [this](weft::Evented& own_io, TcpStream stream) {
          const absl::Status status = Introduce(own_io, std::move(stream));
          // Who breaks off before the hello has another try.
          if (absl::IsInvalidArgument(status)) Complain(status);
        },
        *std::move(accepted));
  }
}

absl::Status Actors::Introduce(weft::Evented& io, TcpStream stream) {
  absl::Status status = stream.SetNoDelay(true);
  if (!status.ok()) return status;
  const absl::StatusOr<Message> hello = ReadHello(io, stream);
  if (!hello.ok()) return hello.status();
  if (hello->kind != Kind::kHello || hello->upstream >= roles_.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the relay asks for upstream ", hello->upstream, " of ",
                     roles_.size()));
  }
  Role& role = roles_[hello->upstream];
  if (!role.known.exchange(true)) strangers_.CountDown(io);
  return role.actor.Connect(io, {std::move(stream), hello->sequence});
}

absl::Status Actors::Play(weft::Evented& io) {
  start_ = io.Now();
  started_.Set(io);
  weft::TaskGroup<weft::Evented> tasks(io);
  for (Role& role : roles_) {
    tasks.Spawn({.name = "actor"}, [&] { return role.actor.Play(io, start_); });
  }
  return tasks.Await(io);
}

uint64_t Actors::sent() const {
  uint64_t sent = 0;
  for (const Role& role : roles_) sent += role.actor.sent();
  return sent;
}

}  // namespace relay
