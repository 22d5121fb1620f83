// Frames from a stream, however the stream delivers them, on each backend.
#include "weft/examples/relay/frame_reader.h"

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "weft/backends/run.h"
#include "weft/examples/relay/frame.h"
#include "weft/net/tcp_listener.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/future.h"
#include "weft/runtime/scope.h"

namespace relay {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using weft::net::TcpStream;

constexpr weft::Duration kLong = seconds(60);

struct Connection {
  TcpStream writer;
  TcpStream reader;
};

Connection Connect(weft::Io& io) {
  auto listener =
      weft::net::TcpListener::Bind(io, weft::net::SocketAddress::Loopback(0))
          .value();
  TcpStream writer = TcpStream::Connect(io, listener.local_address()).value();
  EXPECT_TRUE(writer.SetNoDelay(true).ok());
  return {std::move(writer), listener.Accept(io).value()};
}

std::string FrameOf(uint64_t sequence) {
  std::string frame;
  AppendFrame({.sequence = sequence, .payload = "payload"}, frame);
  return frame;
}

class FrameReaderTest : public testing::TestWithParam<weft::BackendKind> {
 protected:
  template <class Fn>
  void Run(Fn fn) {
    EXPECT_TRUE(weft::Run({.backend = GetParam()}, fn).ok());
  }
};

TEST_P(FrameReaderTest, FindsFramesHoweverTheyAreSplit) {
  Run([](auto& io) {
    Connection connection = Connect(io);
    FrameReader reader(connection.reader);
    const std::string both = FrameOf(1) + FrameOf(2);
    for (size_t split = 1; split < both.size(); ++split) {
      ASSERT_TRUE(connection.writer.WriteAll(io, both.substr(0, split)).ok());
      auto rest = weft::Async(io, [&] {
        return connection.writer.WriteAll(io, both.substr(split));
      });
      for (const uint64_t sequence : {1u, 2u}) {
        const absl::StatusOr<std::optional<Message>> message = reader.Next(io);
        ASSERT_TRUE(message.ok() && message->has_value()) << split;
        EXPECT_EQ((*message)->sequence, sequence) << split;
      }
      EXPECT_TRUE(rest.Await(io).ok());
    }
    connection.writer.Close();
    EXPECT_EQ(reader.Next(io).value(), std::nullopt);
  });
}

TEST_P(FrameReaderTest, KeepsUpWithMoreThanItsBufferHolds) {
  Run([](auto& io) {
    Connection connection = Connect(io);
    constexpr uint64_t kCount = 5000;
    auto writing = weft::Async(io, [&] {
      std::string bytes;
      for (uint64_t i = 1; i <= kCount; ++i) bytes += FrameOf(i);
      return connection.writer.WriteAll(io, bytes);
    });
    FrameReader reader(connection.reader);
    for (uint64_t i = 1; i <= kCount; ++i) {
      ASSERT_EQ(reader.Next(io).value()->sequence, i);
    }
    EXPECT_TRUE(writing.Await(io).ok());
  });
}

TEST_P(FrameReaderTest, EndWithinAFrameIsAnErrorAtEveryOffset) {
  Run([](auto& io) {
    const std::string frame = FrameOf(1);
    for (size_t size = 1; size < frame.size(); ++size) {
      Connection connection = Connect(io);
      ASSERT_TRUE(connection.writer.WriteAll(io, frame.substr(0, size)).ok());
      connection.writer.Close();
      FrameReader reader(connection.reader);
      EXPECT_TRUE(absl::IsOutOfRange(reader.Next(io).status())) << size;
    }
  });
}

TEST_P(FrameReaderTest, GivesUpOnAFrameThatStalls) {
  Run([](auto& io) {
    Connection connection = Connect(io);
    ASSERT_TRUE(connection.writer.WriteAll(io, FrameOf(1)).ok());
    ASSERT_TRUE(connection.writer.WriteAll(io, FrameOf(2).substr(0, 5)).ok());
    FrameReader reader(connection.reader, {.frame = milliseconds(20)});
    EXPECT_EQ(reader.Next(io).value()->sequence, 1u);
    EXPECT_TRUE(absl::IsDeadlineExceeded(reader.Next(io).status()));
  });
}

TEST_P(FrameReaderTest, GivesUpOnSilence) {
  Run([](auto& io) {
    Connection connection = Connect(io);
    FrameReader reader(connection.reader, {.silence = milliseconds(20)});
    EXPECT_TRUE(absl::IsDeadlineExceeded(reader.Next(io).status()));
  });
}

TEST_P(FrameReaderTest, SilenceCountsFromTheLastMessage) {
  Run([](auto& io) {
    Connection connection = Connect(io);
    constexpr weft::Duration kSilence = milliseconds(50);
    FrameReader reader(connection.reader, {.silence = kSilence});
    const weft::MonotonicTime start = io.Now();
    for (uint64_t i = 1; io.Now() < start + 3 * kSilence; ++i) {
      ASSERT_TRUE(connection.writer.WriteAll(io, FrameOf(i)).ok());
      // What is there already is read however late it is.
      const absl::StatusOr<std::optional<Message>> message = reader.Next(io);
      ASSERT_TRUE(message.ok()) << message.status();
      EXPECT_EQ((*message)->sequence, i);
      ASSERT_TRUE(weft::Sleep(io, milliseconds(5)).ok());
    }
  });
}

TEST_P(FrameReaderTest, KeepsWhatItHasWhenInterruptedFromOutside) {
  Run([](auto& io) {
    Connection connection = Connect(io);
    FrameReader reader(connection.reader, {.frame = kLong, .silence = kLong});
    const std::string frame = FrameOf(1);
    for (const size_t split : {size_t{0}, frame.size() / 2}) {
      ASSERT_TRUE(connection.writer.WriteAll(io, frame.substr(0, split)).ok());
      {
        const weft::Deadline deadline(io, milliseconds(20));
        EXPECT_TRUE(absl::IsDeadlineExceeded(reader.Next(io).status()));
        EXPECT_TRUE(deadline.fired());
      }
      ASSERT_TRUE(connection.writer.WriteAll(io, frame.substr(split)).ok());
      EXPECT_EQ(reader.Next(io).value()->sequence, 1u);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Backends, FrameReaderTest,
                         testing::Values(weft::BackendKind::kThreaded,
                                         weft::BackendKind::kEvented),
                         [](const auto& test) {
                           return test.param == weft::BackendKind::kThreaded
                                      ? "Threaded"
                                      : "Evented";
                         });

}  // namespace
}  // namespace relay
