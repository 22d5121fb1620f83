// What a bug of this folder is, and what its programs are written with.
//
// A program uses weft's primitives on Sim as a service would, and goes wrong in
// some schedules only; its twin is the same program, repaired. What tasks share
// without a lock is a Shared, so that each access is a scheduling point.
#ifndef WEFT_TESTS_BUGS_BUG_H_
#define WEFT_TESTS_BUGS_BUG_H_

#include <cstddef>
#include <functional>
#include <tuple>
#include <utility>
#include <vector>

#include "weft/backends/sim/sim.h"
#include "weft/runtime/future.h"
#include "weft/sync/atomic.h"

namespace weft::bugs {

struct Bug {
  const char* name;
  // What kind of bug it is, or where it is from.
  const char* family;
  // The mean number of schedules to the first find that was published or
  // modelled for it; where several were, the largest. 0: none is known.
  double published;
  void (*bug)(Sim&);
  void (*twin)(Sim&);
  // So hard that it need not be found.
  bool stretch = false;

  // How many schedules the default portfolio may need.
  double Budget() const {
    return kBudget * (published > 0 ? published : kUnpublished);
  }
  static constexpr double kBudget = 7;
  static constexpr double kUnpublished = 10;
};

template <class T>
using Shared = Atomic<T, Sim>;

inline void Expect(Sim& io, bool right, const char* otherwise) {
  if (!right) io.ReportFailure(otherwise);
}

// Runs each function in a task of its own and waits for all.
template <class... Fns>
void Together(Sim& io, Fns&... fns) {
  // In braces, so that the tasks start in the order in which they stand there.
  std::tuple tasks{Async(io, std::ref(fns))...};
  std::apply([&io](auto&... task) { (task.Await(io), ...); }, tasks);
}

// Calls `fn(i)` for each i below `count`, each in a task of its own, and waits
// for all.
template <class Fn>
void Each(Sim& io, size_t count, const Fn& fn) {
  std::vector<Future<void, Sim>> tasks;
  tasks.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    tasks.push_back(Async(io, [&fn, i] { fn(i); }));
  }
  for (auto& task : tasks) task.Await(io);
}

// Calls `many()` in each of `count` tasks and `one()` in another, which starts
// last, and waits for all.
template <class Many, class One>
void ManyAndOne(Sim& io, size_t count, const Many& many, const One& one) {
  std::vector<Future<void, Sim>> tasks;
  tasks.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    tasks.push_back(Async(io, std::ref(many)));
  }
  auto last = Async(io, std::ref(one));
  for (auto& task : tasks) task.Await(io);
  last.Await(io);
}

}  // namespace weft::bugs

#endif  // WEFT_TESTS_BUGS_BUG_H_
