#include "weft/examples/relay/source/actor.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "weft/runtime/scope.h"

namespace relay {
namespace {

using weft::net::TcpStream;

// Whether only the connection is to blame.
bool IsLost(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsOutOfRange(status);
}

}  // namespace

Actor::Actor(const Plan& plan, uint32_t index)
    : plan_(plan),
      index_(index),
      schedule_(plan, index),
      next_(schedule_.Next()) {
  for (const PlannedMisdeed& planned : MisdeedsOf(plan, index)) {
    misdeeds_.push_back(planned);
  }
}

absl::Status Actor::Play(weft::Evented& io, weft::MonotonicTime start) {
  for (;;) {
    absl::StatusOr<Connection> connection = connections_.Receive(io);
    if (!connection.ok()) return connection.status();
    absl::Status status = Serve(io, start, *connection);
    if (!IsLost(status)) return status;
  }
}

absl::Status Actor::Serve(weft::Evented& io, weft::MonotonicTime start,
                          Connection& connection) {
  TcpStream& stream = connection.stream;
  FrameReader reader(stream);
  absl::Status status = Replay(io, connection);
  // While it was away it had nothing to say: what it would have said all at
  // once could be more than the queue of a subscriber holds.
  while (start + next_ < io.Now()) next_ = schedule_.Next();
  weft::MonotonicTime heartbeat = io.Now() + plan_.heartbeat;
  while (status.ok()) {
    const weft::MonotonicTime end = start + plan_.length();
    const weft::MonotonicTime event = start + next_;
    const weft::MonotonicTime misdeed =
        misdeeds_.empty() ? weft::kNever : start + misdeeds_.front().when;
    status = TakeAcks(io, reader, std::min({end, event, misdeed, heartbeat}));
    if (!status.ok()) return status;
    const weft::MonotonicTime now = io.Now();
    if (now >= misdeed) return MisbehaveNext(io, connection, reader);
    if (event <= end && now >= event) {
      status = SendNext(io, stream);
    } else if (now >= end) {
      status = Tell(io, stream, Kind::kEnd);
      if (status.ok()) status = TakeAcks(io, reader, weft::kNever);
      // It closes in good order only after it has read all there is.
      return absl::IsOutOfRange(status) ? absl::OkStatus() : status;
    } else if (now >= heartbeat) {
      status = Tell(io, stream, Kind::kHeartbeat);
    }
    heartbeat = io.Now() + plan_.heartbeat;
  }
  return status;
}

absl::Status Actor::Replay(weft::Evented& io, Connection& connection) {
  if (connection.after < acknowledged_ || connection.after > sent_) {
    return absl::DataLossError(absl::StrCat(
        "upstream ", index_, ": the relay asks for the events after ",
        connection.after, ", has acknowledged ", acknowledged_,
        " and was sent ", sent_));
  }
  std::string frames;
  for (const Event& event : kept_) {
    if (event.sequence > connection.after) {
      AppendFrame(MessageOf(event), frames);
    }
  }
  return connection.stream.WriteAll(io, frames);
}

absl::Status Actor::TakeAcks(weft::Evented& io, FrameReader& reader,
                             weft::MonotonicTime until) {
  for (;;) {
    const weft::Deadline deadline(io, until);
    const absl::StatusOr<std::optional<Message>> message = reader.Next(io);
    if (!message.ok()) {
      return deadline.fired() ? absl::OkStatus() : message.status();
    }
    if (!message->has_value()) {
      return absl::OutOfRangeError("the relay has closed");
    }
    absl::Status status = Acknowledge(**message);
    if (!status.ok()) return status;
  }
}

absl::Status Actor::Acknowledge(const Message& ack) {
  if (ack.kind != Kind::kAck || ack.upstream != index_ ||
      ack.sequence < acknowledged_ || ack.sequence > sent_) {
    return absl::DataLossError(
        absl::StrCat("upstream ", index_, ": the relay acknowledges ",
                     ack.upstream, ":", ack.sequence, " of ", sent_));
  }
  acknowledged_ = ack.sequence;
  while (!kept_.empty() && kept_.front().sequence <= acknowledged_) {
    kept_.pop_front();
  }
  return absl::OkStatus();
}

absl::Status Actor::SendNext(weft::Evented& io, TcpStream& stream) {
  next_ = schedule_.Next();
  // It is kept from now on, whatever becomes of this connection.
  const Event event{++sent_, io.Now().time_since_epoch().count()};
  kept_.push_back(event);
  std::string frame;
  AppendFrame(MessageOf(event), frame);
  return stream.WriteAll(io, frame);
}

absl::Status Actor::Tell(weft::Evented& io, TcpStream& stream, Kind kind) {
  std::string frame;
  AppendFrame({.kind = kind, .upstream = index_, .sequence = sent_}, frame);
  return stream.WriteAll(io, frame);
}

absl::Status Actor::MisbehaveNext(weft::Evented& io, Connection& connection,
                                  FrameReader& reader) {
  const Misdeed misdeed = misdeeds_.front().misdeed;
  misdeeds_.pop_front();
  absl::Status status =
      Misbehave(io, misdeed, MessageOf({.sequence = sent_ + 1, .sent_ns = 0}),
                connection.stream);
  if (!status.ok()) return status;
  if (connection.stream.fd() < 0) return absl::UnavailableError("closed");
  return TakeAcks(io, reader, weft::kNever);
}

Message Actor::MessageOf(const Event& event) const {
  return {.upstream = index_,
          .sequence = event.sequence,
          .sent_ns = event.sent_ns,
          .payload = std::string(plan_.payload_size, 'x')};
}

}  // namespace relay
