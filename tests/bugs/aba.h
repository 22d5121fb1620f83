// A free list without locks: the head is compared by its index only. Between
// the look at the second entry and the exchange, others may take both and give
// the first one back; then the second becomes the head while it is in use.
// Repaired: the head counts its changes.
#ifndef WEFT_TESTS_BUGS_ABA_H_
#define WEFT_TESTS_BUGS_ABA_H_

#include <cstdint>
#include <utility>

#include "weft/tests/bugs/bug.h"

namespace weft::bugs {

template <bool repaired>
class FreeList {
 public:
  static constexpr uint64_t kNone = 3;

  uint64_t Pop() {
    uint64_t head = head_.load();
    while (IndexOf(head) != kNone) {
      const uint64_t next = next_[IndexOf(head)].load();
      if (head_.compare_exchange_strong(head, Replace(head, next))) break;
    }
    return IndexOf(head);
  }
  void Push(uint64_t index) {
    uint64_t head = head_.load();
    do {
      next_[index].store(IndexOf(head));
    } while (!head_.compare_exchange_strong(head, Replace(head, index)));
  }

 private:
  static constexpr uint64_t kChange = 4;
  static uint64_t IndexOf(uint64_t head) { return head % kChange; }
  static uint64_t Replace(uint64_t head, uint64_t index) {
    return (repaired ? head - IndexOf(head) + kChange : 0) + index;
  }

  Shared<uint64_t> head_{0};
  Shared<uint64_t> next_[3] = {1, 2, kNone};
};

template <bool repaired>
void Aba(Sim& io) {
  FreeList<repaired> list;
  bool used[3] = {false, false, false};
  const auto take = [&] {
    const uint64_t index = list.Pop();
    if (index == list.kNone) return index;
    Expect(io, !std::exchange(used[index], true), "an entry is used twice");
    return index;
  };
  const auto take_two = [&] {
    take();
    take();
  };
  const auto keep_second = [&] {
    const uint64_t first = take();
    take();
    if (first == list.kNone) return;
    used[first] = false;
    list.Push(first);
  };
  Together(io, take_two, keep_second);
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_ABA_H_
