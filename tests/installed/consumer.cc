// The smallest user of weft: one task in a group, on the default backend.
#include <cstdio>
#include <type_traits>

#include "absl/status/status.h"
#include "weft/backends/run.h"
#include "weft/runtime/task_group.h"

int main() {
  weft::Options options = weft::Options::FromEnvironment();
  return weft::RunMain(options, [](auto& io) -> absl::Status {
    using B = std::remove_reference_t<decltype(io)>;
    weft::TaskGroup<B> group(io);
    group.Spawn([](B&) { std::puts("ok"); });
    return group.Await(io);
  });
}
