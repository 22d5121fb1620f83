// Sleeping fibers on Boost.Fiber, one of the jobs of
// bench/cancellation_weft.cc; it has no way to cancel a fiber that is blocked.
//
// One thread. Stacks of 16 KiB from its pool, without guards: with them, or
// with its default of 128 KiB, a million are refused.

#include <boost/fiber/all.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "weft/bench/peers/boost/peer.h"

int main(int argc, char** argv) {
  const peer::Settings settings = peer::Parse(argc, argv);
  if (settings.job != "sleepers") return peer::NoSuchJob(settings);
  boost::fibers::pooled_fixedsize_stack stacks(16384);
  const uint64_t before = peer::Memory();
  const auto start = std::chrono::steady_clock::now();
  uint64_t started = 0;
  uint64_t ended = 0;
  double bytes_per_task = 0;
  boost::fibers::condition_variable all_ended;
  boost::fibers::mutex mutex;
  for (uint64_t i = 0; i < settings.count; ++i) {
    boost::fibers::fiber(
        boost::fibers::launch::post, std::allocator_arg, stacks,
        [&] {
          if (++started == settings.count) {
            bytes_per_task = static_cast<double>(peer::Memory() - before) /
                             static_cast<double>(settings.count - ended);
          }
          boost::this_fiber::sleep_for(std::chrono::seconds(settings.seconds));
          if (++ended == settings.count) all_ended.notify_one();
        })
        .detach();
  }
  std::unique_lock lock(mutex);
  all_ended.wait(lock, [&] { return ended == settings.count; });
  peer::PrintSleepers(start, bytes_per_task);
  return EXIT_SUCCESS;
}
