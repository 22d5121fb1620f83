#include "weft/runtime/fiber/stack_pool.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "weft/tests/conformance/descriptors.h"
#include "weft/tests/conformance/limits.h"

namespace weft::internal {
namespace {

using weft::testing::Forbid;
using weft::testing::InChild;
using weft::testing::LimitAddressSpace;

constexpr size_t kStackSize = size_t{128} << 10;

size_t PageSize() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

// How many pages of the stack are in memory.
size_t ResidentPages(const Stack& stack) {
  std::vector<unsigned char> resident((stack.size - 1) / PageSize() + 1);
  EXPECT_EQ(mincore(stack.bottom, stack.size, resident.data()), 0);
  return static_cast<size_t>(
      std::count_if(resident.begin(), resident.end(),
                    [](unsigned char page) { return page & 1; }));
}

size_t ResidentPages(const std::vector<Stack>& stacks) {
  size_t pages = 0;
  for (const Stack& stack : stacks) pages += ResidentPages(stack);
  return pages;
}

Stack ReserveAndTake(StackPool& pool) {
  const absl::Status reserved = pool.Reserve();
  EXPECT_TRUE(reserved.ok()) << reserved;
  return pool.Take();
}

std::vector<Stack> TakeMany(StackPool& pool, size_t count) {
  std::vector<Stack> stacks;
  while (stacks.size() < count) stacks.push_back(ReserveAndTake(pool));
  return stacks;
}

TEST(StackPoolTest, WholeStackIsUsable) {
  StackPool pool(kStackSize);
  const Stack stack = ReserveAndTake(pool);
  EXPECT_GE(stack.size, kStackSize / 2);
  EXPECT_EQ(stack.top(), stack.bottom + stack.size);
  std::memset(stack.bottom, 0xa5, stack.size);
  EXPECT_EQ(stack.bottom[stack.size - 1], std::byte{0xa5});
  pool.Give(stack);
}

TEST(StackPoolTest, SizeIsRoundedUpToPages) {
  StackPool pool(kStackSize + 1);
  const std::vector<Stack> stacks = TakeMany(pool, 2);
  for (const Stack& stack : stacks) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(stack.bottom) % PageSize(), 0u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(stack.top()) % 64, 0u);
  }
  EXPECT_EQ(std::abs(stacks[0].bottom - stacks[1].bottom),
            static_cast<std::ptrdiff_t>(kStackSize + PageSize()));
  for (const Stack& stack : stacks) pool.Give(stack);
}

TEST(StackPoolTest, TakenCountsWhatWasNotGivenBack) {
  StackPool pool(kStackSize);
  ASSERT_TRUE(pool.Reserve().ok());
  EXPECT_EQ(pool.taken(), 0u);
  const Stack stack = pool.Take();
  EXPECT_EQ(pool.taken(), 1u);
  pool.Give(stack);
  EXPECT_EQ(pool.taken(), 0u);
}

TEST(StackPoolTest, StacksDoNotOverlap) {
  StackPool pool(kStackSize);
  const std::vector<Stack> stacks = TakeMany(pool, 1000);
  std::set<std::byte*> bottoms;
  for (const Stack& stack : stacks) bottoms.insert(stack.bottom);
  EXPECT_EQ(bottoms.size(), stacks.size());
  for (auto it = bottoms.begin(); std::next(it) != bottoms.end(); ++it) {
    // A guard lies between them.
    EXPECT_GT(*std::next(it), *it + stacks.front().size);
  }
  for (const Stack& stack : stacks) pool.Give(stack);
}

TEST(StackPoolTest, GivenStackIsTakenNext) {
  StackPool pool(kStackSize);
  std::vector<Stack> stacks = TakeMany(pool, 10);
  pool.Give(stacks[4]);
  EXPECT_EQ(ReserveAndTake(pool).bottom, stacks[4].bottom);
  for (const Stack& stack : stacks) pool.Give(stack);
}

TEST(StackPoolTest, CancelledReservationIsOpenToOthers) {
  StackPool pool(kStackSize);
  ASSERT_TRUE(pool.Reserve().ok());
  pool.CancelReservation();
  const Stack stack = ReserveAndTake(pool);
  EXPECT_EQ(pool.taken(), 1u);
  pool.Give(stack);
}

TEST(StackPoolTest, UntouchedStacksTakeNoMemory) {
  StackPool pool(kStackSize);
  const std::vector<Stack> stacks = TakeMany(pool, 1000);
  EXPECT_EQ(ResidentPages(stacks), 0u);
  for (const Stack& stack : stacks) stack.bottom[stack.size - 1] = std::byte{1};
  EXPECT_EQ(ResidentPages(stacks), stacks.size());
  for (const Stack& stack : stacks) pool.Give(stack);
}

TEST(StackPoolTest, MemoryOfABurstGoesBack) {
  StackPool pool(kStackSize);
  EXPECT_FALSE(pool.HasExcess());
  const std::vector<Stack> stacks = TakeMany(pool, 1000);
  for (const Stack& stack : stacks) std::memset(stack.bottom, 1, stack.size);
  const size_t pages = (stacks.front().size - 1) / PageSize() + 1;
  EXPECT_EQ(ResidentPages(stacks), stacks.size() * pages);
  for (const Stack& stack : stacks) pool.Give(stack);
  EXPECT_LE(ResidentPages(stacks), 256 * pages);
  EXPECT_TRUE(pool.HasExcess());
  pool.Trim();
  EXPECT_LE(ResidentPages(stacks), 16 * pages);
  EXPECT_FALSE(pool.HasExcess());
}

TEST(StackPoolTest, ThreadsTakeAndGiveAtOnce) {
  StackPool pool(kStackSize);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&pool, i] {
      for (int round = 0; round < 200; ++round) {
        const std::vector<Stack> stacks = TakeMany(pool, 10);
        for (const Stack& stack : stacks) *stack.bottom = std::byte(i);
        for (const Stack& stack : stacks) {
          EXPECT_EQ(*stack.bottom, std::byte(i));
          pool.Give(stack);
        }
        if (round % 50 == 0) pool.Trim();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(pool.taken(), 0u);
}

class StackPoolDeathTest : public ::testing::Test {
 protected:
  StackPoolDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

// Writes below the stack.
void Overflow(const Stack& stack, size_t by) {
  *const_cast<volatile std::byte*>(stack.bottom - by) = std::byte{1};
}

TEST_F(StackPoolDeathTest, WriteBelowTheStackFaults) {
  StackPool pool(kStackSize);
  const std::vector<Stack> stacks = TakeMany(pool, 3);
  EXPECT_DEATH(Overflow(stacks[0], 1), "");
  EXPECT_DEATH(Overflow(stacks[1], 1), "");
  EXPECT_DEATH(Overflow(stacks[1], PageSize()), "");
  EXPECT_DEATH(Overflow(stacks[1], size_t{16} << 10), "");
  for (const Stack& stack : stacks) pool.Give(stack);
}

TEST_F(StackPoolDeathTest, WriteBelowAReusedStackFaults) {
  StackPool pool(kStackSize);
  std::vector<Stack> stacks = TakeMany(pool, 1000);
  for (const Stack& stack : stacks) *stack.bottom = std::byte{1};
  for (const Stack& stack : stacks) pool.Give(stack);
  pool.Trim();
  stacks = TakeMany(pool, 1000);
  EXPECT_DEATH(Overflow(stacks.front(), 1), "");
  EXPECT_DEATH(Overflow(stacks.back(), 1), "");
  for (const Stack& stack : stacks) pool.Give(stack);
}

TEST_F(StackPoolDeathTest, PoolWithTakenStacksIsNotDestroyed) {
  EXPECT_DEATH(
      {
        StackPool pool(kStackSize);
        ReserveAndTake(pool);
      },
      "taken_ == 0 does not hold");
}

TEST_F(StackPoolDeathTest, PoolWithReservationsIsNotDestroyed) {
  EXPECT_DEATH(
      {
        StackPool pool(kStackSize);
        EXPECT_TRUE(pool.Reserve().ok());
      },
      "reserved_ == 0 does not hold");
}

// The kernel cannot read the guards either.
void ExpectGuards(const std::vector<Stack>& stacks) {
  const testing::Pipe pipe;
  for (const Stack& stack : stacks) {
    EXPECT_EQ(write(pipe.write.fd(), stack.bottom - 1, 1), -1);
    EXPECT_EQ(errno, EFAULT);
  }
}

// EINVAL on kernels before 6.13; 0 under an emulator that takes all advice and
// follows none that it does not know.
TEST_F(StackPoolDeathTest, StacksAreGuardedWhereNoAdviceInstallsGuards) {
  for (const int answer : {EINVAL, 0}) {
    EXPECT_EXIT(InChild([answer] {
                  Forbid(SYS_process_madvise, ENOSYS);
                  Forbid(SYS_madvise, answer);
                  StackPool pool(kStackSize);
                  const std::vector<Stack> stacks = TakeMany(pool, 20);
                  ExpectGuards(stacks);
                  for (const Stack& stack : stacks) pool.Give(stack);
                }),
                ::testing::ExitedWithCode(0), "")
        << answer;
  }
}

// As on kernels that do not know the call for many ranges at once.
TEST_F(StackPoolDeathTest, MemoryGoesBackOneByOneToo) {
  EXPECT_EXIT(InChild([] {
                Forbid(SYS_process_madvise, EBADF);
                StackPool pool(kStackSize);
                const std::vector<Stack> stacks = TakeMany(pool, 1000);
                for (const Stack& stack : stacks) *stack.bottom = std::byte{1};
                EXPECT_EQ(ResidentPages(stacks), stacks.size());
                for (const Stack& stack : stacks) pool.Give(stack);
                EXPECT_LE(ResidentPages(stacks), 256u);
                pool.Trim();
                EXPECT_LE(ResidentPages(stacks), 16u);
                ExpectGuards(stacks);
              }),
              ::testing::ExitedWithCode(0), "");
}

TEST_F(StackPoolDeathTest, RefusedMemoryIsResourceExhausted) {
  constexpr size_t kLarge = size_t{256} << 20;
  EXPECT_EXIT(
      InChild([] {
        StackPool pool(kLarge);
        LimitAddressSpace(3 * kLarge + (size_t{64} << 20));
        size_t granted = 0;
        absl::Status status = pool.Reserve();
        for (; status.ok() && granted < 100; status = pool.Reserve()) {
          ++granted;
        }
        // Smaller slabs are tried when large ones are refused.
        EXPECT_EQ(granted, 3u);
        EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
        EXPECT_TRUE(absl::StartsWith(
            status.message(),
            "start task: the system refused a stack of 268435456 bytes beside "
            "3 others: "))
            << status;
        // The refusal has cost nothing: what was granted is there.
        const Stack stack = pool.Take();
        stack.bottom[0] = std::byte{1};
        pool.Give(stack);
        EXPECT_TRUE(pool.Reserve().ok());
        EXPECT_FALSE(pool.Reserve().ok());
        for (size_t i = 0; i < granted; ++i) pool.CancelReservation();
      }),
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace weft::internal
