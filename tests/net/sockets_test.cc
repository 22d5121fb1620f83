// Which network a descriptor belongs to, and that everything in net/ that does
// not wait asks it.
#include "weft/runtime/internal/sockets.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "weft/net/descriptor.h"
#include "weft/net/tcp_listener.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/status.h"
#include "weft/tests/net/scripted_io.h"

namespace weft::net {
namespace {

using ::testing::ElementsAre;
using weft::internal::kFirstSimulated;
using weft::internal::SocketKind;
using weft::internal::SocketOption;
using weft::internal::SocketOptionRoom;
using weft::internal::Sockets;

// Writes down what it is asked and has all sockets at one address.
class RecordingSockets final : public Sockets {
 public:
  int64_t Open(const SocketKind& kind) override {
    EXPECT_EQ(kind.type & ~SOCK_NONBLOCK, SOCK_STREAM | SOCK_CLOEXEC);
    calls.emplace_back("open");
    return next_++;
  }
  int64_t Bind(int fd, const sockaddr* address, socklen_t size) override {
    address_ = SocketAddress::FromSockaddr(address, size).value();
    return Record("bind", fd);
  }
  int64_t Listen(int fd, int) override { return Record("listen", fd); }
  int64_t Shutdown(int fd, int) override { return Record("shutdown", fd); }
  int64_t SetOption(int fd, const SocketOption&) override {
    return Record("set", fd);
  }
  int64_t GetOption(int fd, SocketOptionRoom& option) override {
    EXPECT_EQ(option.name, SO_PROTOCOL);
    const int protocol = IPPROTO_TCP;
    std::memcpy(option.value, &protocol, sizeof(protocol));
    return Record("get", fd);
  }
  int64_t LocalAddress(int fd, sockaddr* address, socklen_t* size) override {
    return CopyAddress("local", fd, address, size);
  }
  int64_t PeerAddress(int fd, sockaddr* address, socklen_t* size) override {
    return CopyAddress("peer", fd, address, size);
  }
  int64_t Control(int fd, int, int) override { return Record("control", fd); }
  int64_t Close(int fd) override { return Record("close", fd); }

  // Without the descriptors, which are those that it gave out.
  std::vector<std::string> calls;

 private:
  int64_t Record(const char* call, int fd) {
    EXPECT_GE(fd, kFirstSimulated);
    EXPECT_LT(fd, next_);
    calls.emplace_back(call);
    return 0;
  }
  int64_t CopyAddress(const char* call, int fd, sockaddr* address,
                      socklen_t* size) {
    std::memcpy(address, address_.data(), address_.size());
    *size = address_.size();
    return Record(call, fd);
  }

  int next_ = kFirstSimulated;
  SocketAddress address_ = SocketAddress::Loopback(77);
};

class SocketsTest : public ::testing::Test {
 protected:
  SocketsTest() { weft::internal::current_sockets = &sockets_; }
  ~SocketsTest() override { weft::internal::current_sockets = nullptr; }

  RecordingSockets sockets_;
};

TEST_F(SocketsTest, ListenersLiveInTheNetworkOfTheirThread) {
  ScriptedIo io({});
  {
    auto listener = TcpListener::Bind(io, SocketAddress::Loopback(80));
    ASSERT_TRUE(listener.ok()) << listener.status();
    EXPECT_EQ(listener->fd(), kFirstSimulated);
    EXPECT_EQ(listener->local_address(), SocketAddress::Loopback(80));
  }
  EXPECT_THAT(sockets_.calls,
              ElementsAre("open", "set", "bind", "listen", "local", "close"));
}

TEST_F(SocketsTest, StreamsLiveInTheNetworkOfTheirThread) {
  ScriptedIo io({0});
  const SocketAddress local = SocketAddress::Parse("127.0.0.2:0").value();
  auto stream = TcpStream::Connect(io, SocketAddress::Loopback(80),
                                   {.local_address = local});
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_TRUE(stream->SetNoDelay(true).ok());
  EXPECT_TRUE(stream->SetResetOnClose(true).ok());
  EXPECT_EQ(stream->local_address().value(), local);
  EXPECT_TRUE(stream->Shutdown(ShutdownMode::kBoth).ok());
  EXPECT_THAT(sockets_.calls, ElementsAre("open", "set", "bind", "set", "set",
                                          "local", "shutdown"));
  sockets_.calls.clear();
  auto adopted = TcpStream::Adopt(stream->Release());
  ASSERT_TRUE(adopted.ok()) << adopted.status();
  adopted->Close();
  EXPECT_THAT(sockets_.calls, ElementsAre("get", "peer", "control", "control",
                                          "control", "close"));
}

TEST_F(SocketsTest, DescriptorsOfTheKernelStayTheKernels) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  Descriptor(ends[0]).Close();
  EXPECT_EQ(fcntl(ends[0], F_GETFD), -1);
  Descriptor(ends[1]).Close();
  EXPECT_EQ(fcntl(ends[1], F_GETFD), -1);
  EXPECT_TRUE(sockets_.calls.empty());
}

TEST_F(SocketsTest, OtherThreadsHaveTheKernelsNetwork) {
  std::thread([] {
    ScriptedIo io({});
    const auto listener = TcpListener::Bind(io, SocketAddress::Loopback(0));
    ASSERT_TRUE(listener.ok()) << listener.status();
    EXPECT_LT(listener->fd(), kFirstSimulated);
    // The kernel does not know them.
    Descriptor simulated(kFirstSimulated);
    EXPECT_EQ(Errno(TcpStream::Adopt(std::move(simulated)).status()), EBADF);
  }).join();
  EXPECT_TRUE(sockets_.calls.empty());
}

}  // namespace
}  // namespace weft::net
