// The io_uring driver without the workers around it.
#include "weft/backends/evented/internal/driver.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "weft/backends/evented/internal/uring_driver.h"
#include "weft/tests/conformance/backends.h"
#include "weft/tests/conformance/descriptors.h"

namespace weft::internal {
namespace {

using namespace std::chrono_literals;
using testing::Pipe;
using testing::SocketPair;

// Keeps the result.
class KeptRequest final : public Request {
 public:
  using Request::Request;

  void Complete(int64_t result) override {
    EXPECT_FALSE(result_.has_value()) << "completed twice";
    result_ = result;
  }
  std::optional<int64_t> result() const { return result_; }

 private:
  std::optional<int64_t> result_;
};

class DriverTest : public testing::ConformanceTest<testing::EventedUring1> {
 protected:
  static std::unique_ptr<Driver> Make(uint32_t entries = 8) {
    return UringDriver::Create(entries).value();
  }
  static MonotonicTime In(Duration span) { return KernelMonotonicNow() + span; }
  // Polls until the request is complete.
  static int64_t Finish(Driver& driver, const KeptRequest& request) {
    while (!request.result().has_value()) driver.Poll(kNever);
    return *request.result();
  }
};

TEST_F(DriverTest, RequestCompletesWithItsResult) {
  const auto driver = Make();
  Pipe pipe;
  const Operation write =
      op::WriteAt{.fd = pipe.write.fd(), .data = "abc", .size = 3};
  char text[8];
  const Operation read =
      op::ReadAt{.fd = pipe.read.fd(), .data = text, .size = sizeof(text)};
  KeptRequest written(write);
  KeptRequest received(read);
  driver->Submit(received);
  driver->Poll(Driver::kNoWait);
  EXPECT_FALSE(received.result().has_value());
  driver->Submit(written);
  EXPECT_EQ(Finish(*driver, written), 3);
  EXPECT_EQ(Finish(*driver, received), 3);
  EXPECT_EQ(std::string(text, 3), "abc");
}

TEST_F(DriverTest, RefusalComesThroughComplete) {
  const auto driver = Make();
  const Operation sync = op::Sync{.fd = -1};
  KeptRequest request(sync);
  driver->Submit(request);
  EXPECT_EQ(Finish(*driver, request), -EBADF);
}

TEST_F(DriverTest, NothingReachesTheKernelBeforePoll) {
  const auto driver = Make();
  Pipe pipe;
  const Operation write =
      op::WriteAt{.fd = pipe.write.fd(), .data = "abc", .size = 3};
  KeptRequest request(write);
  driver->Submit(request);
  EXPECT_TRUE(driver->HasWork());
  pollfd readable = {.fd = pipe.read.fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&readable, 1, 0), 0);
  EXPECT_EQ(Finish(*driver, request), 3);
  driver->Poll(Driver::kNoWait);
  EXPECT_FALSE(driver->HasWork());
}

TEST_F(DriverTest, PollReturnsAtItsDeadline) {
  const auto driver = Make();
  for (const Duration span : {Duration(0), Duration(5ms), Duration(-1s)}) {
    const MonotonicTime deadline = In(span);
    driver->Poll(deadline);
    EXPECT_GE(KernelMonotonicNow(), deadline);
  }
}

// The first deadline is in the kernel already when the second one comes.
TEST_F(DriverTest, EarlierDeadlineIsKeptAfterALaterOne) {
  const auto driver = Make();
  for (int round = 0; round < 20; ++round) {
    driver->Wake();
    EXPECT_FALSE(driver->Poll(In(1h)));
    const MonotonicTime deadline = In(1ms);
    while (!driver->Poll(deadline)) {
    }
    EXPECT_GE(KernelMonotonicNow(), deadline);
  }
}

// One that nobody waits for any more may end a wait, but only once.
TEST_F(DriverTest, LaterDeadlineIsKeptAfterAnEarlierOne) {
  const auto driver = Make();
  for (int round = 0; round < 20; ++round) {
    driver->Wake();
    driver->Poll(In(1ms));
    const MonotonicTime deadline = In(3ms);
    int polls = 0;
    while (KernelMonotonicNow() < deadline) {
      driver->Poll(deadline);
      ++polls;
    }
    EXPECT_LE(polls, 3);
  }
}

TEST_F(DriverTest, WakeEndsAPoll) {
  const auto driver = Make();
  for (int i = 0; i < 100; ++i) {
    std::thread waker([&] { driver->Wake(); });
    driver->Poll(kNever);
    waker.join();
  }
}

TEST_F(DriverTest, WakeBeforeAPollIsKept) {
  const auto driver = Make();
  for (int i = 0; i < 100; ++i) {
    driver->Wake();
    driver->Wake();
    driver->Poll(kNever);
  }
  // All of them are used up.
  driver->Poll(Driver::kNoWait);
  const MonotonicTime deadline = In(5ms);
  driver->Poll(deadline);
  EXPECT_GE(KernelMonotonicNow(), deadline);
}

TEST_F(DriverTest, CancelledRequestCompletes) {
  const auto driver = Make();
  Pipe pipe;
  const Operation poll = op::Poll{.fd = pipe.read.fd(), .events = POLLIN};
  for (const bool submitted_before : {true, false}) {
    KeptRequest request(poll);
    driver->Submit(request);
    if (submitted_before) driver->Poll(Driver::kNoWait);
    EXPECT_FALSE(request.result().has_value());
    driver->Cancel(request);
    EXPECT_EQ(Finish(*driver, request), -ECANCELED);
  }
}

TEST_F(DriverTest, RequestThatIsFasterThanItsCancelKeepsItsResult) {
  const auto driver = Make();
  Pipe pipe;
  ASSERT_EQ(write(pipe.write.fd(), "x", 1), 1);
  const Operation poll = op::Poll{.fd = pipe.read.fd(), .events = POLLIN};
  KeptRequest request(poll);
  driver->Submit(request);
  driver->Cancel(request);
  EXPECT_EQ(Finish(*driver, request), POLLIN);
  driver->Poll(Driver::kNoWait);
}

// U15, U16: the queues hold 8 and 64.
TEST_F(DriverTest, MoreRequestsThanTheQueuesHoldAllComplete) {
  const auto driver = Make(8);
  Pipe pipe;
  const Operation poll = op::Poll{.fd = pipe.read.fd(), .events = POLLIN};
  std::deque<KeptRequest> requests;
  for (int i = 0; i < 500; ++i) driver->Submit(requests.emplace_back(poll));
  driver->Poll(Driver::kNoWait);
  for (size_t i = 0; i < requests.size(); i += 2) driver->Cancel(requests[i]);
  for (size_t i = 0; i < requests.size(); i += 2) {
    EXPECT_EQ(Finish(*driver, requests[i]), -ECANCELED);
  }
  ASSERT_EQ(write(pipe.write.fd(), "x", 1), 1);
  for (size_t i = 1; i < requests.size(); i += 2) {
    EXPECT_EQ(Finish(*driver, requests[i]), POLLIN);
  }
}

// While the completion queue overflows, a wake still arrives.
TEST_F(DriverTest, WakeArrivesWhileCompletionsOverflow) {
  const auto driver = Make(8);
  Pipe pipe;
  const Operation poll = op::Poll{.fd = pipe.read.fd(), .events = POLLIN};
  std::deque<KeptRequest> requests;
  for (int i = 0; i < 300; ++i) driver->Submit(requests.emplace_back(poll));
  driver->Poll(Driver::kNoWait);
  ASSERT_EQ(write(pipe.write.fd(), "x", 1), 1);
  driver->Wake();
  for (const KeptRequest& request : requests) {
    EXPECT_EQ(Finish(*driver, request), POLLIN);
  }
  driver->Wake();
  driver->Poll(kNever);
}

TEST_F(DriverTest, EagainIsLeftToTheWorker) {
  const auto driver = Make();
  SocketPair pair;
  char byte = 0;
  const Operation recv = op::Recv{
      .fd = pair.first.fd(), .data = &byte, .size = 1, .flags = MSG_DONTWAIT};
  KeptRequest request(recv);
  driver->Submit(request);
  EXPECT_EQ(Finish(*driver, request), -EAGAIN);
}

using DriverDeathTest = DriverTest;

TEST_F(DriverDeathTest, MayNotEndWithARequestInFlight) {
  const auto end_with_one = [] {
    auto driver = Make();
    const Pipe pipe;
    const Operation poll = op::Poll{.fd = pipe.read.fd(), .events = POLLIN};
    KeptRequest request(poll);
    driver->Submit(request);
    driver = nullptr;
  };
  EXPECT_DEATH(end_with_one(),
               "weft: internal error: in_flight_ == 0 does not hold");
}

TEST_F(DriverTest, DescribesItselfInOneLine) {
  EXPECT_EQ(Make(8)->Describe(),
            "io_uring, 8 submissions, 64 completions, deferred task work");
}

}  // namespace
}  // namespace weft::internal
