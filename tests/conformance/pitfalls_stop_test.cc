// Pitfalls C6 and C7, on every backend: a service stops and leaves nothing,
// and a peer that is gone kills nobody.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "weft/net/tcp_listener.h"
#include "weft/net/tcp_stream.h"
#include "weft/runtime/future.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/status.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/event.h"
#include "weft/tests/conformance/backends.h"
#include "weft/tests/conformance/descriptors.h"
#include "weft/tests/conformance/tcp_support.h"

namespace weft {
namespace {

using namespace std::chrono_literals;
using net::TcpListener;
using net::TcpStream;
using testing::ConnectedPair;
using testing::Listen;
using testing::MakeIo;
using testing::Pair;
using testing::Pipe;
using testing::ProcessCensus;
using testing::RoundTrip;
using testing::RunOn;
using testing::RunOnInstance;
using testing::SocketPair;
using testing::YieldUntil;

template <class Config>
class PitfallC : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(PitfallC, testing::KernelBackends, testing::BackendNames);

constexpr size_t kRequest = 32;

// Answers requests of kRequest bytes with the same bytes.
template <Backend B>
class Service {
 public:
  explicit Service(B& io)
      : listener_(Listen(io)),
        connections_(io),
        accepting_(
            Concurrent(io, [this](B& own) { return Accept(own); }).value()) {}

  net::SocketAddress address() const { return listener_.local_address(); }

  // Requests wait for it from now on, until it is set.
  void HoldRequests() { go_on_.Reset(); }
  void LetRequestsGoOn(B& io) { go_on_.Set(io); }
  // Connections that are open, and requests that are being answered.
  uint32_t connections() const { return connections_.running(); }
  int working() const { return working_.load(); }

  // No connection is accepted any more.
  void StopAccepting(B& io) {
    accepting_.Cancel();
    EXPECT_TRUE(absl::IsCancelled(accepting_.Await(io)));
    listener_.Close();
  }

  // Lets the connections end by themselves until the scope gives up, and then
  // cancels them.
  absl::Status AwaitConnections(B& io) { return connections_.Await(io); }

 private:
  absl::Status Accept(B& io) {
    for (;;) {
      absl::StatusOr<TcpStream> stream = listener_.Accept(io);
      if (!stream.ok()) return stream.status();
      connections_.Spawn(
          [this](B& own, TcpStream peer) { (void)Serve(own, peer); },
          *std::move(stream));
    }
  }

  absl::Status Serve(B& io, TcpStream& peer) {
    for (;;) {
      std::string request(kRequest, '\0');
      absl::Status status = peer.ReadExactly(io, request);
      if (!status.ok()) return status;
      working_.fetch_add(1);
      status = go_on_.Wait(io);
      if (status.ok()) status = peer.WriteAll(io, request);
      working_.fetch_sub(1);
      if (!status.ok()) return status;
    }
  }

  TcpListener listener_;
  Event<B> go_on_;
  std::atomic<int> working_{0};
  TaskGroup<B> connections_;
  Future<absl::Status, B> accepting_;
};

// A client that leaves no connection in TIME_WAIT, of which there is room for
// some ten thousand.
TcpStream ConnectTo(Io& io, const net::SocketAddress& address) {
  TcpStream client = TcpStream::Connect(io, address).value();
  EXPECT_TRUE(client.SetResetOnClose(true).ok());
  return client;
}

std::string Request() { return std::string(kRequest, 'r'); }

// Asks until the service is gone; returns how often it answered.
int AskUntilTheEnd(Io& io, TcpStream& client) {
  int answers = 0;
  for (;;) {
    const absl::Status status = RoundTrip(io, client, Request());
    if (!status.ok()) {
      EXPECT_FALSE(absl::IsDataLoss(status)) << status;
      return answers;
    }
    ++answers;
  }
}

// --- C6 ---------------------------------------------------------------------

TYPED_TEST(PitfallC, C6StopFinishesWhatIsInWorkAndCancelsTheRest) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Service<B> service(io);
    service.LetRequestsGoOn(io);
    TcpStream busy = ConnectTo(io, service.address());
    TcpStream idle = ConnectTo(io, service.address());
    EXPECT_TRUE(RoundTrip(io, busy, Request()).ok());
    EXPECT_TRUE(RoundTrip(io, idle, Request()).ok());
    service.HoldRequests();
    EXPECT_TRUE(busy.WriteAll(io, Request()).ok());
    YieldUntil(io, [&] { return service.working() == 1; });

    service.StopAccepting(io);
    EXPECT_FALSE(TcpStream::Connect(io, service.address()).ok());
    // Stands for the limit on the time it may take.
    std::atomic<CancelScope*> limit{nullptr};
    auto stopping = Async(io, [&](B& own) {
      CancelScope scope(own);
      limit = &scope;
      const absl::Status status = service.AwaitConnections(own);
      limit = nullptr;
      return status;
    });
    YieldUntil(io, [&] { return limit != nullptr; });
    service.LetRequestsGoOn(io);
    std::string answer(kRequest, '\0');
    EXPECT_TRUE(busy.ReadExactly(io, answer).ok());
    EXPECT_EQ(answer, Request());
    // Both are idle now, and would be for ever.
    EXPECT_EQ(service.connections(), 2u);
    limit.load()->Cancel();
    EXPECT_TRUE(absl::IsCancelled(stopping.Await(io)));
    EXPECT_EQ(service.connections(), 0u);
    EXPECT_EQ(busy.Read(io, answer).value(), 0u);
    EXPECT_EQ(idle.Read(io, answer).value(), 0u);
  });
}

// One life of a service: `idle` connections that ask nothing and `active` ones
// that never stop asking, none of which knows that it stops.
template <Backend B>
void ServeAndStop(B& io, size_t idle, size_t active) {
  Service<B> service(io);
  service.LetRequestsGoOn(io);
  std::vector<TcpStream> idle_clients;
  for (size_t i = 0; i < idle; ++i) {
    idle_clients.push_back(ConnectTo(io, service.address()));
  }
  TaskGroup<B> clients(io);
  std::atomic<size_t> answered{0};
  for (size_t i = 0; i < active; ++i) {
    clients.Spawn([&](B& own) {
      TcpStream client = ConnectTo(own, service.address());
      EXPECT_TRUE(RoundTrip(own, client, Request()).ok());
      answered.fetch_add(1);
      AskUntilTheEnd(own, client);
    });
  }
  YieldUntil(io, [&] {
    return answered == active && service.connections() == idle + active;
  });
  service.StopAccepting(io);
  {
    const Deadline limit(io, 1ms);
    EXPECT_TRUE(absl::IsDeadlineExceeded(service.AwaitConnections(io)));
  }
  EXPECT_EQ(service.connections(), 0u);
  EXPECT_TRUE(clients.Await(io).ok());
}

// What is left behind is counted by each instance and when the test ends.
TYPED_TEST(PitfallC, C6StartsAndStopsAThousandTimes) {
  using B = typename TypeParam::Io;
  for (int round = 0; round < 1000; ++round) {
    const auto io = MakeIo<TypeParam>();
    // Most do nothing or little; the others have connections.
    if (round % 4 == 0) continue;
    RunOnInstance(*io, [&](B& own) {
      if (round % 4 == 1) ServeAndStop(own, /*idle=*/1, /*active=*/1);
    });
  }
}

// WEFT_TEST_CONNECTIONS, the number of idle connections, is for slow ways to
// run the tests.
TYPED_TEST(PitfallC, C6StopsWithAThousandConnections) {
  using B = typename TypeParam::Io;
  const char* given = std::getenv("WEFT_TEST_CONNECTIONS");
  const size_t idle =
      given == nullptr ? 1000 : static_cast<size_t>(std::atoi(given));
  rlimit descriptors;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &descriptors), 0);
  const rlim_t before = descriptors.rlim_cur;
  descriptors.rlim_cur = descriptors.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &descriptors), 0);
  for (int round = 0; round < 2; ++round) {
    RunOn<TypeParam>([&](B& io) { ServeAndStop(io, idle, idle / 10); });
  }
  descriptors.rlim_cur = before;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &descriptors), 0);
}

// --- C7 ---------------------------------------------------------------------

// No signal kills the process; the fixture compares the handlers afterwards.
TYPED_TEST(PitfallC, C7WritingToAPeerThatIsGoneIsAnErrorAndNoSignal) {
  using B = typename TypeParam::Io;
  const ProcessCensus before = ProcessCensus::Take();
  ASSERT_EQ(before.handlers[SIGPIPE - 1], SIG_DFL);
  ASSERT_FALSE(sigismember(&before.blocked, SIGPIPE));
  RunOn<TypeParam>([&](B& io) {
    EXPECT_EQ(ProcessCensus::Take().handlers, before.handlers);
    SocketPair pair;
    pair.second.Close();
    const int fd = pair.first.fd();
    char byte = 'x';
    EXPECT_EQ(io.Perform(op::Send{.fd = fd, .data = &byte, .size = 1}), -EPIPE);
    iovec part = {.iov_base = &byte, .iov_len = 1};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    EXPECT_EQ(io.Perform(op::SendMessage{.fd = fd, .message = &message}),
              -EPIPE);
    EXPECT_EQ(io.Perform(op::WriteAt{.fd = fd, .data = &byte, .size = 1}),
              -EPIPE);
    Pipe pipe;
    pipe.read.Close();
    EXPECT_EQ(io.Perform(
                  op::WriteAt{.fd = pipe.write.fd(), .data = &byte, .size = 1}),
              -EPIPE);
    Pair tcp = ConnectedPair(io);
    tcp.server.Close();
    absl::Status written;
    while (written.ok()) written = tcp.client.WriteAll(io, Request());
    EXPECT_TRUE(Errno(written) == EPIPE || Errno(written) == ECONNRESET)
        << written;
  });
  sigset_t pending;
  ASSERT_EQ(sigpending(&pending), 0);
  EXPECT_FALSE(sigismember(&pending, SIGPIPE));
}

}  // namespace
}  // namespace weft
