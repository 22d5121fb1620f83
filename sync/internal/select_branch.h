// What a primitive offers to Select.
#ifndef WEFT_SYNC_INTERNAL_SELECT_BRANCH_H_
#define WEFT_SYNC_INTERNAL_SELECT_BRANCH_H_

#include "weft/runtime/clock.h"
#include "weft/runtime/io.h"
#include "weft/sync/internal/wait_list.h"

namespace weft::internal {

// What all branches have in common.
struct AnySelectBranch {};

// One branch of one Select, in the order in which its members are called.
template <class Atomics>
class SelectBranch : public AnySelectBranch {
 public:
  SelectBranch() = default;
  SelectBranch(const SelectBranch&) = delete;
  SelectBranch& operator=(const SelectBranch&) = delete;

  // How long Select may wait because of this branch.
  virtual Duration Limit() const { return Duration::max(); }

  // What has to be locked around TryNow and Enlist, so that no partner comes
  // in between; null if the branch has no partner, but only becomes ready.
  virtual typename Atomics::Lock* Lock() { return nullptr; }

  // Carries the branch out if that needs no wait. `partner` is then the wait
  // of another task that was claimed on the way, if any; to be resumed.
  virtual bool TryNow(Parker<Atomics>*& partner) = 0;

  // Lets the branch claim `parker` from now on. True: it became ready after
  // TryNow, and does not.
  virtual bool Enlist(Parker<Atomics>& parker) = 0;

  // After the wait, whether the branch was enlisted or not: true if it was
  // the one that claimed the parker. From here on it does not use the parker.
  virtual bool Settle(Io& io) = 0;

 protected:
  ~SelectBranch() = default;
};

}  // namespace weft::internal

#endif  // WEFT_SYNC_INTERNAL_SELECT_BRANCH_H_
