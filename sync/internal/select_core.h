// The part of Select that does not depend on the types of its branches.
#ifndef WEFT_SYNC_INTERNAL_SELECT_CORE_H_
#define WEFT_SYNC_INTERNAL_SELECT_CORE_H_

#include <cstddef>
#include <optional>
#include <span>

#include "absl/status/statusor.h"
#include "weft/runtime/future.h"
#include "weft/runtime/internal/atomics.h"
#include "weft/runtime/io.h"
#include "weft/sync/internal/select_branch.h"

namespace weft::internal {

// How many branches can be put in random order with one random number of 64
// bits.
inline constexpr size_t kMaxSelectBranches = 20;

// Carries out exactly one branch and returns its index, or none and returns
// CANCELLED or DEADLINE_EXCEEDED.
absl::StatusOr<size_t> RunSelect(
    Io& io, std::span<SelectBranch<NativeAtomics>* const> branches);
absl::StatusOr<size_t> RunSelect(
    Io& io, std::span<SelectBranch<ExploredAtomics>* const> branches);

// The end of a task.
template <class Atomics>
class EndBranch : public SelectBranch<Atomics> {
 public:
  explicit EndBranch(JoinableTask* task);

  bool TryNow(Parker<Atomics>*& partner) final;
  bool Enlist(Parker<Atomics>& parker) final;
  bool Settle(Io& io) final;

 private:
  struct Watcher final : EndWatcher {
    explicit Watcher(Parker<Atomics>& own) : parker(own) {}

    bool Claim() final;
    void Resume(Io& io) final;

    Parker<Atomics>& parker;
    bool claimed = false;
  };

  JoinableTask& task_;
  std::optional<Watcher> watcher_;
};

extern template class EndBranch<NativeAtomics>;
extern template class EndBranch<ExploredAtomics>;

// Is chosen when no other branch was for `span`.
template <class Atomics>
class TimerBranch : public SelectBranch<Atomics> {
 public:
  explicit TimerBranch(Duration span) : span_(span) {}

  Duration Limit() const final { return span_; }
  bool TryNow(Parker<Atomics>*&) final { return false; }
  bool Enlist(Parker<Atomics>&) final { return false; }
  bool Settle(Io&) final { return false; }

 private:
  const Duration span_;
};

}  // namespace weft::internal

#endif  // WEFT_SYNC_INTERNAL_SELECT_CORE_H_
