// Several tasks at one end of a pipe, on every backend.

#include <fcntl.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <string>
#include <string_view>

#include "weft/runtime/io.h"
#include "weft/runtime/operation.h"
#include "weft/runtime/task_group.h"
#include "weft/sync/event.h"
#include "weft/tests/conformance/backends.h"
#include "weft/tests/conformance/descriptors.h"
#include "weft/tests/conformance/wait_watch.h"

namespace weft {
namespace {

using testing::Pipe;
using testing::RunOn;
using testing::WaitWatch;

template <class Config>
class SharedPipeTest : public testing::ConformanceTest<Config> {};
TYPED_TEST_SUITE(SharedPipeTest, testing::KernelBackends,
                 testing::BackendNames);

int64_t Read(Io& io, const Pipe& pipe, std::string& text, size_t size) {
  text.assign(size, '\0');
  return io.Perform(
      op::ReadAt{.fd = pipe.read.fd(), .data = text.data(), .size = size});
}

int64_t Write(Io& io, const Pipe& pipe, std::string_view text) {
  return io.Perform(op::WriteAt{
      .fd = pipe.write.fd(), .data = text.data(), .size = text.size()});
}

// All readers see a byte come and one gets it; a cancel reaches the others
// nevertheless. C1
TYPED_TEST(SharedPipeTest, ReadersThatFoundNothingCanBeCancelled) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr int kReaders = 4;
    for (int round = 0; round < 50; ++round) {
      const Pipe pipe;
      std::array<WaitWatch, kReaders> watches;
      TaskGroup<B> group(io);
      std::atomic<int> got{0};
      Event<B> first;
      for (WaitWatch& watch : watches) {
        group.Spawn([&](B& own) {
          std::string text;
          watch.Begin();
          const int64_t n = Read(own, pipe, text, 1);
          EXPECT_TRUE(n == 1 || n == -ECANCELED) << n;
          if (n != 1) return;
          got.fetch_add(1);
          first.Set(own);
        });
      }
      for (const WaitWatch& watch : watches) watch.AwaitParked(io);
      EXPECT_EQ(Write(io, pipe, "x"), 1);
      EXPECT_TRUE(first.Wait(io).ok());
      group.Cancel();
      EXPECT_TRUE(group.Await(io).ok());
      EXPECT_EQ(got.load(), 1);
    }
  });
}

// All writers see room and one fills it. C1
TYPED_TEST(SharedPipeTest, WritersThatFoundNoRoomCanBeCancelled) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    constexpr int kWriters = 4;
    const std::string page(4096, 'x');
    for (int round = 0; round < 50; ++round) {
      const Pipe pipe;
      // A pipe of one page: it has room for one write or for none.
      ASSERT_EQ(fcntl(pipe.write.fd(), F_SETPIPE_SZ, 4096), 4096);
      ASSERT_EQ(Write(io, pipe, page), 4096);
      std::array<WaitWatch, kWriters> watches;
      TaskGroup<B> group(io);
      std::atomic<int> wrote{0};
      Event<B> first;
      for (WaitWatch& watch : watches) {
        group.Spawn([&](B& own) {
          watch.Begin();
          const int64_t n = Write(own, pipe, page);
          EXPECT_TRUE(n == 4096 || n == -ECANCELED) << n;
          if (n != 4096) return;
          wrote.fetch_add(1);
          first.Set(own);
        });
      }
      for (const WaitWatch& watch : watches) watch.AwaitParked(io);
      std::string text;
      EXPECT_EQ(Read(io, pipe, text, 4096), 4096);
      EXPECT_TRUE(first.Wait(io).ok());
      group.Cancel();
      EXPECT_TRUE(group.Await(io).ok());
      EXPECT_EQ(wrote.load(), 1);
    }
  });
}

// More than a pipe holds goes through it, whoever is faster.
TYPED_TEST(SharedPipeTest, LongWritesArriveWhole) {
  using B = typename TypeParam::Io;
  RunOn<TypeParam>([](B& io) {
    const Pipe pipe;
    std::string sent(size_t{1} << 20, '\0');
    for (size_t i = 0; i < sent.size(); ++i) {
      sent[i] = static_cast<char>(i * 7 + i / 4096);
    }
    TaskGroup<B> group(io);
    group.Spawn([&](B& own) {
      std::string_view left = sent;
      while (!left.empty()) {
        const int64_t n = Write(own, pipe, left);
        ASSERT_GT(n, 0);
        left.remove_prefix(static_cast<size_t>(n));
      }
    });
    std::string received;
    while (received.size() < sent.size()) {
      std::string part;
      const int64_t n = Read(io, pipe, part, 10'000);
      ASSERT_GT(n, 0);
      received.append(part, 0, static_cast<size_t>(n));
    }
    EXPECT_TRUE(group.Await(io).ok());
    EXPECT_TRUE(received == sent);
  });
}

}  // namespace
}  // namespace weft
