// The waits between attempts: how long, how different, and when short again.
#include "weft/examples/relay/backoff.h"

#include <chrono>
#include <cstdint>
#include <set>

#include "gtest/gtest.h"

namespace relay {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr BackoffOptions kOptions = {.first = milliseconds(100),
                                     .most = milliseconds(1500),
                                     .healthy = seconds(10)};

// Whether the next wait is one of those that `limit` allows.
testing::AssertionResult NextIsUpTo(weft::Duration limit, Backoff& backoff) {
  const weft::Duration wait = backoff.Next();
  if (wait >= limit / 2 && wait <= limit) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << wait.count() << " ns, where " << limit.count() << " are the limit";
}

TEST(Backoff, DoublesUpToItsCap) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Backoff backoff(kOptions, seed);
    for (const int limit : {100, 200, 400, 800, 1500, 1500, 1500}) {
      EXPECT_TRUE(NextIsUpTo(milliseconds(limit), backoff)) << seed;
    }
  }
}

TEST(Backoff, StaysAtTheLongestCap) {
  constexpr weft::Duration kMost = weft::Duration::max();
  Backoff backoff({.first = milliseconds(1), .most = kMost}, 1);
  for (int i = 0; i < 100; ++i) EXPECT_GT(backoff.Next(), milliseconds(0));
  EXPECT_TRUE(NextIsUpTo(kMost, backoff));
}

TEST(Backoff, WaitsDifferFromSeedToSeedAndFromTimeToTime) {
  std::set<weft::Duration> waits;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Backoff backoff({.first = seconds(1), .most = seconds(1)}, seed << 20);
    for (int i = 0; i < 10; ++i) waits.insert(backoff.Next());
  }
  EXPECT_GT(waits.size(), 990u);
  // They use the room that they have.
  EXPECT_LT(*waits.begin(), milliseconds(550));
  EXPECT_GT(*waits.rbegin(), milliseconds(950));
}

TEST(Backoff, SameSeedGivesTheSameWaits) {
  Backoff one(kOptions, 7);
  Backoff other(kOptions, 7);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(one.Next(), other.Next());
}

TEST(Backoff, BeginsAnewAfterAHealthyStretchOnly) {
  Backoff backoff(kOptions, 1);
  for (int i = 0; i < 10; ++i) backoff.Next();
  backoff.Lasted(kOptions.healthy - milliseconds(1));
  EXPECT_TRUE(NextIsUpTo(kOptions.most, backoff));
  backoff.Lasted(kOptions.healthy);
  EXPECT_TRUE(NextIsUpTo(kOptions.first, backoff));
  EXPECT_TRUE(NextIsUpTo(2 * kOptions.first, backoff));
}

}  // namespace
}  // namespace relay
