#include "weft/examples/relay/source/actors.h"

#include <array>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "weft/examples/relay/frame.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/task_group.h"

namespace relay {
namespace {

using weft::net::TcpStream;

std::string Event(uint32_t upstream, uint64_t sequence) {
  std::string frame;
  AppendFrame({.upstream = upstream, .sequence = sequence}, frame);
  return frame;
}

// The faults; upstreams choose them in turn.

absl::Status ResetWithinFrame(weft::Io& io, uint32_t index, TcpStream& stream) {
  absl::Status status = stream.WriteAll(io, Event(index, 1).substr(0, 20));
  status.Update(stream.SetResetOnClose(true));
  stream.Close();
  return status;
}

absl::Status SendGarbage(weft::Io& io, uint32_t, TcpStream& stream) {
  return stream.WriteAll(io, std::string(100, '\xff'));
}

absl::Status StallWithinFrame(weft::Io& io, uint32_t index, TcpStream& stream) {
  return stream.WriteAll(io, Event(index, 1).substr(0, 20));
}

absl::Status CloseEarly(weft::Io&, uint32_t, TcpStream& stream) {
  stream.Close();
  return absl::OkStatus();
}

absl::Status DamageFrame(weft::Io& io, uint32_t index, TcpStream& stream) {
  std::string frame = Event(index, 1);
  frame.back() = static_cast<char>(frame.back() ^ 1);
  return stream.WriteAll(io, frame);
}

absl::Status SkipEvent(weft::Io& io, uint32_t index, TcpStream& stream) {
  return stream.WriteAll(io, Event(index, 2));
}

constexpr std::array kFaults = {ResetWithinFrame, SendGarbage, StallWithinFrame,
                                CloseEarly,       DamageFrame, SkipEvent};

// Which upstream a new connection is for.
absl::StatusOr<uint32_t> ReadHello(weft::Io& io, TcpStream& stream) {
  std::array<char, kHeaderSize + kMinBodySize> bytes;
  absl::Status status = stream.ReadExactly(io, bytes);
  if (!status.ok()) return status;
  Message message;
  const absl::StatusOr<size_t> used =
      ParseFrame(std::string_view(bytes.data(), bytes.size()), message);
  if (!used.ok()) return used.status();
  if (message.kind != Kind::kHello) {
    return absl::InvalidArgumentError("the relay does not say hello");
  }
  return message.upstream;
}

}  // namespace

Actors::Actors(const Plan& plan)
    : plan_(plan),
      payload_(plan.payload_size, 'x'),
      actors_(plan.upstreams + plan.faulty) {}

absl::Status Actors::Accept(weft::Evented& io,
                            weft::net::TcpListener& listener) {
  for (size_t accepted = 0; accepted < actors_.size(); ++accepted) {
    absl::StatusOr<TcpStream> stream = listener.Accept(io);
    if (!stream.ok()) return stream.status();
    absl::Status status = stream->SetNoDelay(true);
    if (!status.ok()) return status;
    const absl::StatusOr<uint32_t> index = ReadHello(io, *stream);
    if (!index.ok()) return index.status();
    if (*index >= actors_.size() || actors_[*index].stream.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the relay asks for upstream ", *index,
                       ", which does not exist or is taken"));
    }
    actors_[*index].stream = *std::move(stream);
  }
  return absl::OkStatus();
}

absl::Status Actors::Play(weft::Evented& io, weft::MonotonicTime start) {
  weft::TaskGroup tasks(io);
  for (uint32_t index = 0; index < actors_.size(); ++index) {
    tasks.Spawn({.name = "actor"}, [&, index] {
      return IsFaulty(index) ? PlayBadly(io, index, start)
                             : PlayWell(io, index, start);
    });
  }
  return tasks.Await(io);
}

absl::Status Actors::PlayWell(weft::Evented& io, uint32_t index,
                              weft::MonotonicTime start) {
  Schedule schedule(plan_, index);
  for (;;) {
    const weft::Duration next = schedule.Next();
    if (next > plan_.length()) return absl::OkStatus();
    absl::Status status = io.SleepUntil(start + next);
    if (status.ok()) status = Send(io, index);
    if (!status.ok()) return status;
  }
}

absl::Status Actors::Send(weft::Evented& io, uint32_t index) {
  Actor& actor = actors_[index];
  std::string frame;
  AppendFrame({.upstream = index,
               .sequence = actor.sent + 1,
               .sent_ns = io.Now().time_since_epoch().count(),
               .payload = payload_},
              frame);
  absl::Status status = actor.stream->WriteAll(io, frame);
  if (!status.ok()) return status;
  ++actor.sent;
  sent_.fetch_add(1, std::memory_order_relaxed);
  return absl::OkStatus();
}

absl::Status Actors::PlayBadly(weft::Evented& io, uint32_t index,
                               weft::MonotonicTime start) {
  // Spread over the first half, so that every fault is noticed in time.
  const uint64_t number = index - plan_.upstreams;
  absl::Status status =
      io.SleepUntil(start + plan_.length() / 2 * number / plan_.faulty);
  if (!status.ok()) return status;
  return kFaults[number % kFaults.size()](io, index, *actors_[index].stream);
}

absl::Status Actors::End(weft::Evented& io) {
  for (uint32_t index = 0; !IsFaulty(index); ++index) {
    std::string frame;
    AppendFrame({.kind = Kind::kEnd,
                 .upstream = index,
                 .sequence = actors_[index].sent},
                frame);
    absl::Status status = actors_[index].stream->WriteAll(io, frame);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace relay
