#include "weft/examples/relay/source/plan.h"

#include <chrono>

namespace relay {
namespace {

constexpr uint64_t kOneInBusy = 50;  // every so many upstreams one is busy
constexpr double kBusyShare = 0.9;   // of all events

// Events a second of one upstream.
double RateOf(const Plan& plan, uint32_t upstream) {
  const uint64_t busy = (plan.upstreams + kOneInBusy - 1) / kOneInBusy;
  const uint64_t idle = plan.upstreams - busy;
  const auto rate = static_cast<double>(plan.rate);
  if (idle == 0) return rate / static_cast<double>(busy);
  return upstream % kOneInBusy == 0
             ? rate * kBusyShare / static_cast<double>(busy)
             : rate * (1 - kBusyShare) / static_cast<double>(idle);
}

}  // namespace

Schedule::Schedule(const Plan& plan, uint32_t upstream)
    : random_(plan.seed * 1'000'003 + upstream),
      gap_seconds_(RateOf(plan, upstream)) {}

weft::Duration Schedule::Next() {
  seconds_ += gap_seconds_(random_);
  return std::chrono::duration_cast<weft::Duration>(
      std::chrono::duration<double>(seconds_));
}

}  // namespace relay
