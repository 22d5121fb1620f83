// One parker, and a node in each primitive that a branch is about: whoever
// claims the parker first decides, and what the others would have given stays
// where it is.
//
// **No two-sided claims.** To serve a waiting partner, a Select would have to
// claim the partner and itself in one step, if it could be claimed itself
// meanwhile: two of them that meet on two channels would each spoil the claim
// of the other. So the locks of all channels are held from the first look to
// the last Enlist: until then nobody sees this Select, and from then on it
// only waits. Events and futures have no partner who could be lost; they may
// become ready, and claim, at any time.
//
// **No deadlock.** Locks are taken in one order, each once.
// Nobody else holds two of them. The locks of events are taken inside, one at
// a time, and nothing is locked under them.
#include "weft/sync/internal/select_core.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/wait_note.h"
#include "weft/sync/internal/compiled_atomics.h"
#include "weft/sync/internal/require_task.h"
#include "weft/sync/internal/wait_status.h"

namespace weft::internal {
namespace {

using Lock = CompiledAtomics::Lock;
using Branch = SelectBranch<CompiledAtomics>;
using Branches = std::span<Branch* const>;

class LockAll {
 public:
  explicit LockAll(Branches branches) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    for (Branch* const branch : branches) {
      Lock* const lock = branch->Lock();
      if (lock != nullptr) locks_[count_++] = lock;
    }
    const auto first = locks_.begin();
    const auto last = first + static_cast<std::ptrdiff_t>(count_);
    std::sort(first, last, CompiledAtomics::Before);
    count_ = static_cast<size_t>(std::unique(first, last) - first);
    for (size_t i = 0; i < count_; ++i) locks_[i]->lock();
  }
  ~LockAll() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    while (count_ > 0) locks_[--count_]->unlock();
  }
  LockAll(const LockAll&) = delete;
  LockAll& operator=(const LockAll&) = delete;

 private:
  std::array<Lock*, kMaxSelectBranches> locks_;
  size_t count_ = 0;
};

// Carries out one of the branches that can be at once, each with the same
// probability.
std::optional<size_t> TryNow(Branches branches, uint64_t random,
                             Parker<CompiledAtomics>*& partner) {
  std::array<size_t, kMaxSelectBranches> order;
  for (size_t i = 0; i < branches.size(); ++i) order[i] = i;
  for (size_t left = branches.size(); left > 0; --left) {
    std::swap(order[random % left], order[left - 1]);
    random /= left;
    if (branches[order[left - 1]]->TryNow(partner)) return order[left - 1];
  }
  return std::nullopt;
}

// Enlists all; or until one has become ready, which is chosen unless another
// has claimed the parker already.
std::optional<size_t> Enlist(Branches branches,
                             Parker<CompiledAtomics>& parker) {
  for (size_t i = 0; i < branches.size(); ++i) {
    if (!branches[i]->Enlist(parker)) continue;
    if (parker.Claim()) return i;
    break;
  }
  return std::nullopt;
}

std::optional<size_t> SettleAll(Branches branches, Io& io) {
  std::optional<size_t> chosen;
  for (size_t i = 0; i < branches.size(); ++i) {
    if (!branches[i]->Settle(io)) continue;
    WEFT_CHECK(!chosen.has_value());
    chosen = i;
  }
  return chosen;
}

// The branch that lets Select wait the shortest time.
size_t FirstToExpire(Branches branches) {
  const auto limit = [](Branch* branch) { return branch->Limit(); };
  return static_cast<size_t>(std::ranges::min_element(branches, {}, limit) -
                             branches.begin());
}

MonotonicTime EarliestDeadline(Branches branches, const Io& io) {
  const Duration limit = branches[FirstToExpire(branches)]->Limit();
  return limit == Duration::max() ? kNever : After(io.Now(), limit);
}

JoinableTask& RefuseEmpty(JoinableTask* task) {
  if (task != nullptr) return *task;
  Misuse(
      "OnEnd of an empty Future; a Future can be awaited once, and not after "
      "it was moved from");
}

}  // namespace

absl::StatusOr<size_t> RunSelect(Io& io, Branches branches) {
  const Task& task = RequireTask(io, "Select");
  if (absl::Status status = CheckScopes(task, "select"); !status.ok()) {
    return status;
  }
  const MonotonicTime deadline = EarliestDeadline(branches, io);
  const uint64_t random = io.Random();
  Parker<CompiledAtomics> parker;
  Parker<CompiledAtomics>* partner = nullptr;
  std::optional<size_t> at_once;
  std::optional<size_t> ready;
  {
    const LockAll locks(branches);
    at_once = TryNow(branches, random, partner);
    if (!at_once.has_value()) ready = Enlist(branches, parker);
  }
  if (partner != nullptr) partner->Resume(io);
  if (at_once.has_value()) return *at_once;
  const WaitNote note({.object = &parker, .what = "select"});
  const WakeReason reason = ready.has_value()
                                ? WakeReason::kValueDiffered
                                : parker.Park(io, {.deadline = deadline});
  const std::optional<size_t> chosen = SettleAll(branches, io);
  WEFT_CHECK(chosen.has_value() == (reason == WakeReason::kWoken));
  if (ready.has_value()) return *ready;
  if (chosen.has_value()) return *chosen;
  if (reason == WakeReason::kDeadline) return FirstToExpire(branches);
  return WaitStatus(task, reason, "select");
}

template <class Atomics>
EndBranch<Atomics>::EndBranch(JoinableTask* task) : task_(RefuseEmpty(task)) {}

template <class Atomics>
bool EndBranch<Atomics>::TryNow(Parker<Atomics>*&) {
  return task_.ended();
}

template <class Atomics>
bool EndBranch<Atomics>::Enlist(Parker<Atomics>& parker) {
  watcher_.emplace(parker);
  if (task_.Watch(*watcher_)) return false;
  watcher_.reset();
  return true;
}

template <class Atomics>
bool EndBranch<Atomics>::Settle(Io& io) {
  if (!watcher_.has_value()) return false;
  if (watcher_->claimed) return true;
  task_.Unwatch(io);
  return false;
}

template <class Atomics>
bool EndBranch<Atomics>::Watcher::Claim() {
  // Only the one that has claimed may write here.
  return parker.Claim() && (claimed = true);
}

template <class Atomics>
void EndBranch<Atomics>::Watcher::Resume(Io& io) {
  parker.Resume(io);
}

template class EndBranch<CompiledAtomics>;

}  // namespace weft::internal
