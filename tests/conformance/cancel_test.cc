// Cancels and deadlines that meet each kind of wait, on every backend (C1,
// C2, C3).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "weft/runtime/future.h"
#include "weft/runtime/io.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/status.h"
#include "weft/runtime/task_group.h"
#include "weft/tests/conformance/backends.h"
#include "weft/tests/conformance/descriptors.h"
#include "weft/tests/conformance/wait_watch.h"

namespace weft {
namespace {

using namespace std::chrono_literals;
using absl::StatusCode;
using testing::Descriptor;
using testing::Listener;
using testing::Pipe;
using testing::RunOn;
using testing::SocketPair;
using testing::TcpSocket;
using testing::WaitWatch;

// Long enough to never pass in a test that works.
constexpr Duration kFarAway = 1h;

// Writes until no byte more fits.
void Fill(const Descriptor& descriptor) {
  const int mode = fcntl(descriptor.fd(), F_GETFL);
  ASSERT_EQ(fcntl(descriptor.fd(), F_SETFL, mode | O_NONBLOCK), 0);
  const std::string zeros(4096, '\0');
  for (size_t size = zeros.size(); size > 0;) {
    if (write(descriptor.fd(), zeros.data(), size) < 0) size /= 2;
  }
  ASSERT_EQ(fcntl(descriptor.fd(), F_SETFL, mode), 0);
}

// A listener whose queue is full: who connects to it now has to wait.
struct FullListener {
  FullListener() : listener(/*backlog=*/0) {
    for (;;) {
      Descriptor client = TcpSocket();
      EXPECT_EQ(fcntl(client.fd(), F_SETFL, O_NONBLOCK), 0);
      const op::Connect connection = listener.ConnectFrom(client);
      const int connected =
          connect(client.fd(), connection.address, connection.address_length);
      EXPECT_TRUE(connected == 0 || errno == EINPROGRESS) << errno;
      pollfd outcome = {.fd = client.fd(), .events = POLLOUT, .revents = 0};
      // A connection that is not there after that will not come.
      const bool waits = connected < 0 && poll(&outcome, 1, 50) == 0;
      clients.push_back(std::move(client));
      if (waits) return;
    }
  }

  Listener listener;
  std::vector<Descriptor> clients;
};

// Calls that block for ever, one of each kind.
class Waits {
 public:
  struct Wait {
    const char* name;
    std::function<absl::Status(Io&)> call;
  };

  Waits() {
    Fill(full_pipe_.write);
    Fill(full_pair_.first);
    message_.msg_iov = &part_;
    message_.msg_iovlen = 1;
  }

  std::vector<Wait> All() {
    const auto perform = [](const char* name, Operation operation) {
      return Wait{name, [operation](Io& io) {
                    return internal::ResultStatus(io.Perform(operation),
                                                  Name(operation));
                  }};
    };
    const int quiet = quiet_pair_.first.fd();
    const int full = full_pair_.first.fd();
    return {
        {"sleep", [](Io& io) { return Sleep(io, kFarAway); }},
        {"sleep for ever", [](Io& io) { return io.SleepUntil(kNever); }},
        {"futex",
         [this](Io& io) {
           EXPECT_EQ(io.FutexWait(word_, 0, {}), WakeReason::kInterrupted);
           return CheckCancelled(io);
         }},
        {"connect",
         [this](Io& io) {
           const Descriptor client = TcpSocket();
           return internal::ResultStatus(
               io.Perform(full_listener_.listener.ConnectFrom(client)),
               "connect");
         }},
        perform("accept", op::Accept{.fd = quiet_listener_.fd()}),
        perform("recv", op::Recv{.fd = quiet, .data = &byte_, .size = 1}),
        perform("recv, probably empty", op::Recv{.fd = quiet,
                                                 .data = &byte_,
                                                 .size = 1,
                                                 .probably_empty = true}),
        perform("recvmsg", op::RecvMessage{.fd = quiet, .message = &message_}),
        perform("send", op::Send{.fd = full, .data = &byte_, .size = 1}),
        perform("sendmsg", op::SendMessage{.fd = full, .message = &message_}),
        perform(
            "read",
            op::ReadAt{.fd = quiet_pipe_.read.fd(), .data = &byte_, .size = 1}),
        perform("write",
                op::WriteAt{
                    .fd = full_pipe_.write.fd(), .data = &byte_, .size = 1}),
        perform("poll",
                op::Poll{.fd = quiet_pipe_.read.fd(), .events = POLLIN}),
    };
  }

 private:
  const std::atomic<uint32_t> word_{0};
  FullListener full_listener_;
  Listener quiet_listener_;
  SocketPair quiet_pair_;
  SocketPair full_pair_;
  Pipe quiet_pipe_;
  Pipe full_pipe_;
  char byte_ = 0;
  iovec part_ = {.iov_base = &byte_, .iov_len = 1};
  msghdr message_ = {};
};

template <class Config>
class CancelTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(CancelTest, testing::Backends, testing::BackendNames);

TYPED_TEST(CancelTest, CancelEndsEachWait) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Waits waits;
    for (const Waits::Wait& wait : waits.All()) {
      SCOPED_TRACE(wait.name);
      for (int round = 0; round < 3; ++round) {
        WaitWatch watch;
        auto future = Async(io, [&] {
          watch.Begin();
          return wait.call(io);
        });
        watch.AwaitParked(io);
        EXPECT_FALSE(future.ready());
        future.Cancel();
        const absl::Status ended = future.Await(io);
        EXPECT_EQ(ended.code(), StatusCode::kCancelled) << ended;
      }
    }
  });
}

TYPED_TEST(CancelTest, CancelBeforeOrWhileAWaitBeginsIsNotLost) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Waits waits;
    for (const Waits::Wait& wait : waits.All()) {
      SCOPED_TRACE(wait.name);
      for (int yields = 0; yields < 20; ++yields) {
        auto future = Async(io, [&] { return wait.call(io); });
        for (int i = 0; i < yields; ++i) io.Yield();
        future.Cancel();
        const absl::Status ended = future.Await(io);
        EXPECT_EQ(ended.code(), StatusCode::kCancelled) << ended;
      }
    }
  });
}

TYPED_TEST(CancelTest, DeadlineEndsEachWait) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Waits waits;
    for (const Waits::Wait& wait : waits.All()) {
      SCOPED_TRACE(wait.name);
      for (const Duration timeout : {Duration(5ms), Duration(0)}) {
        const MonotonicTime begin = io.Now();
        const Deadline deadline(io, timeout);
        const absl::Status ended = wait.call(io);
        EXPECT_EQ(ended.code(), StatusCode::kDeadlineExceeded) << ended;
        EXPECT_GE(io.Now() - begin, timeout);
        EXPECT_TRUE(deadline.fired());
      }
      EXPECT_TRUE(CheckCancelled(io).ok());
    }
  });
}

TYPED_TEST(CancelTest, CancelAndDeadlineMayMeetInEachWait) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Waits waits;
    for (const Waits::Wait& wait : waits.All()) {
      SCOPED_TRACE(wait.name);
      for (int round = 0; round < 10; ++round) {
        CancelScope scope(io);
        auto canceller = Async(io, [&](B& own) {
          EXPECT_TRUE(Sleep(own, 200us).ok());
          scope.Cancel();
        });
        {
          const Deadline deadline(io, 200us);
          const absl::Status ended = wait.call(io);
          EXPECT_TRUE(absl::IsCancelled(ended) ||
                      absl::IsDeadlineExceeded(ended))
              << ended;
        }
        const Shield shield(io);
        canceller.Await(io);
      }
    }
  });
}

TYPED_TEST(CancelTest, AllWaitsAtOnceAreCancelledAtOnce) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Waits waits;
    const std::vector<Waits::Wait> all = waits.All();
    for (int round = 0; round < 5; ++round) {
      TaskGroup<B> group(io);
      std::atomic<size_t> cancelled{0};
      std::vector<WaitWatch> watches(all.size());
      for (size_t i = 0; i < all.size(); ++i) {
        group.Spawn([&, i](B& own) {
          watches[i].Begin();
          if (absl::IsCancelled(all[i].call(own))) cancelled.fetch_add(1);
        });
      }
      for (const WaitWatch& watch : watches) watch.AwaitParked(io);
      group.Cancel();
      EXPECT_TRUE(group.Await(io).ok());
      EXPECT_EQ(cancelled.load(), all.size());
    }
  });
}

// Nothing is performed for a task that was cancelled before.
TYPED_TEST(CancelTest, OperationInACancelledScopeHasNoEffect) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    Pipe pipe;
    char byte = 'x';
    {
      CancelScope scope(io);
      scope.Cancel();
      EXPECT_EQ(io.Perform(op::WriteAt{
                    .fd = pipe.write.fd(), .data = &byte, .size = 1}),
                -ECANCELED);
      const Shield shield(io);
      const Deadline over(io, 0ms);
      EXPECT_EQ(io.Perform(op::WriteAt{
                    .fd = pipe.write.fd(), .data = &byte, .size = 1}),
                -ETIME);
    }
    byte = 'y';
    EXPECT_EQ(io.Perform(
                  op::WriteAt{.fd = pipe.write.fd(), .data = &byte, .size = 1}),
              1);
    char received[4];
    EXPECT_EQ(io.Perform(op::ReadAt{
                  .fd = pipe.read.fd(), .data = received, .size = 4}),
              1);
    EXPECT_EQ(received[0], 'y');
  });
}

// C3: a deadline that meets the arrival of data loses none of it.
TYPED_TEST(CancelTest, DeadlineLosesNoData) {
  using B = typename TypeParam::Io;
  const testing::Seed seed;
  RunOn<TypeParam>([&](B& io) {
    constexpr int kBytes = 1000;
    SocketPair pair;
    auto sender = Async(io, [&](B& own) {
      auto random = seed.GeneratorFor(0);
      for (int i = 0; i < kBytes; ++i) {
        const char byte = static_cast<char>(i);
        ASSERT_EQ(own.Perform(op::Send{
                      .fd = pair.second.fd(), .data = &byte, .size = 1}),
                  1);
        EXPECT_TRUE(Sleep(own, std::chrono::microseconds(random() % 60)).ok());
      }
    });
    auto random = seed.GeneratorFor(1);
    int timeouts = 0;
    for (int received = 0; received < kBytes;) {
      const Deadline deadline(io, std::chrono::microseconds(random() % 60));
      char byte = 0;
      const int64_t n =
          io.Perform(op::Recv{.fd = pair.first.fd(),
                              .data = &byte,
                              .size = 1,
                              .probably_empty = random() % 2 == 0});
      if (n == -ETIME) {
        ++timeouts;
        continue;
      }
      ASSERT_EQ(n, 1);
      ASSERT_EQ(byte, static_cast<char>(received));
      ++received;
    }
    EXPECT_GT(timeouts, 0);
    sender.Await(io);
  });
}

// Several tasks may wait for one listener in blocking mode; a connection that
// wakes them all goes to one, and the others can still be cancelled.
TYPED_TEST(CancelTest, AcceptorsThatMissedAConnectionCanBeCancelled) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    for (int round = 0; round < 20; ++round) {
      const Listener listener;
      constexpr int kAcceptors = 4;
      std::atomic<int> accepted{0};
      std::atomic<int> cancelled{0};
      TaskGroup<B> group(io);
      WaitWatch watches[kAcceptors];
      for (WaitWatch& watch : watches) {
        group.Spawn([&](B& own) {
          watch.Begin();
          const int64_t result = own.Perform(op::Accept{.fd = listener.fd()});
          if (result >= 0) {
            const Descriptor server(static_cast<int>(result));
            accepted.fetch_add(1);
          } else if (result == -ECANCELED) {
            cancelled.fetch_add(1);
          }
        });
      }
      for (const WaitWatch& watch : watches) watch.AwaitParked(io);
      const Descriptor client = TcpSocket();
      EXPECT_EQ(io.Perform(listener.ConnectFrom(client)), 0);
      testing::YieldUntil(io, [&] { return accepted == 1; });
      group.Cancel();
      EXPECT_TRUE(group.Await(io).ok());
      EXPECT_EQ(accepted.load(), 1);
      EXPECT_EQ(cancelled.load(), kAcceptors - 1);
    }
  });
}

}  // namespace
}  // namespace weft
