// What cancelling an operation does to others and to the world, on every
// backend. That each call can be cancelled is in pitfalls_c_test.cc.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>

#include "weft/runtime/io.h"
#include "weft/runtime/scope.h"
#include "weft/runtime/task_group.h"
#include "weft/tests/conformance/backends.h"
#include "weft/tests/conformance/descriptors.h"
#include "weft/tests/conformance/wait_watch.h"

namespace weft {
namespace {

using namespace std::chrono_literals;
using testing::Descriptor;
using testing::Listener;
using testing::Pipe;
using testing::RunOn;
using testing::TcpSocket;
using testing::WaitWatch;

template <class Config>
class CancelTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(CancelTest, testing::PerturbedToo::Kernel,
                 testing::BackendNames);

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
