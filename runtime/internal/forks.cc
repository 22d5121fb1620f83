#include "weft/runtime/internal/forks.h"

#include <pthread.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "weft/runtime/internal/check.h"
#include "weft/runtime/internal/current.h"

namespace weft::internal {

constinit std::atomic<uint32_t> forks{0};

namespace {

// On the only thread of the child. A worker is none any more, so that the check
// of every call that there is a fiber to park finds it, at no cost for others.
void InChild() {
  forks.fetch_add(1, std::memory_order_relaxed);
  if (current.worker != nullptr) current = {};
}

uint32_t WatchedForks() {
  [[maybe_unused]] static const int watching =
      pthread_atfork(nullptr, nullptr, &InChild);
  return forks.load(std::memory_order_relaxed);
}

}  // namespace

BirthProcess::BirthProcess() : forks_(WatchedForks()) {}

void BirthProcess::Refuse(const char* call) {
  Misuse(absl::StrCat(call,
                      " came in a child process, on a backend that its parent "
                      "made: threads and "
                      "rings stay with the parent. Let the child do nothing "
                      "but exec or _exit"));
}

void KeepInherited(std::shared_ptr<void> inherited) {
  static auto& all = *new std::vector<std::shared_ptr<void>>();
  // The only thread of the child.
  all.push_back(std::move(inherited));
}

}  // namespace weft::internal
