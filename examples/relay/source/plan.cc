#include "weft/examples/relay/source/plan.h"

#include <algorithm>
#include <chrono>

namespace relay {
namespace {

constexpr uint64_t kOneInBusy = 50;  // every so many upstreams one is busy
constexpr double kBusyShare = 0.9;   // of all events

// Events a second of one upstream.
double RateOf(const Plan& plan, uint32_t upstream) {
  const uint64_t all = plan.all_upstreams();
  const uint64_t busy = (all + kOneInBusy - 1) / kOneInBusy;
  const uint64_t idle = all - busy;
  const auto rate = static_cast<double>(plan.rate);
  if (idle == 0) return rate / static_cast<double>(busy);
  return upstream % kOneInBusy == 0
             ? rate * kBusyShare / static_cast<double>(busy)
             : rate * (1 - kBusyShare) / static_cast<double>(idle);
}

// Of which one upstream takes all its random numbers.
uint64_t SeedOf(const Plan& plan, uint32_t upstream) {
  return plan.seed * 1'000'003 + upstream;
}

}  // namespace

std::vector<PlannedMisdeed> MisdeedsOf(const Plan& plan, uint32_t upstream) {
  std::vector<PlannedMisdeed> planned;
  if (plan.outage > weft::Duration::zero()) {
    planned.push_back({plan.outage_start(), Misdeed::kReset});
  }
  if (upstream >= plan.upstreams && !plan.misdeeds.empty()) {
    std::mt19937_64 random(~SeedOf(plan, upstream));
    // The last third is for what they lead to.
    std::uniform_int_distribution<int64_t> when(0,
                                                plan.length().count() * 2 / 3);
    for (uint64_t i = 0; i < plan.misdeeds_each; ++i) {
      const uint64_t turn = upstream - plan.upstreams + i;
      planned.push_back({weft::Duration(when(random)),
                         plan.misdeeds[turn % plan.misdeeds.size()]});
    }
  }
  std::ranges::sort(planned, {}, &PlannedMisdeed::when);
  return planned;
}

Schedule::Schedule(const Plan& plan, uint32_t upstream)
    : random_(SeedOf(plan, upstream)), gap_seconds_(RateOf(plan, upstream)) {}

weft::Duration Schedule::Next() {
  seconds_ += gap_seconds_(random_);
  return std::chrono::duration_cast<weft::Duration>(
      std::chrono::duration<double>(seconds_));
}

}  // namespace relay
