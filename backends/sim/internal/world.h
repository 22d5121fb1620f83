// What surrounds the tasks of a schedule: the simulated network, as the
// scheduler sees it.
#ifndef WEFT_BACKENDS_SIM_INTERNAL_WORLD_H_
#define WEFT_BACKENDS_SIM_INTERNAL_WORLD_H_

#include <cstdint>
#include <string>

#include "weft/runtime/clock.h"
#include "weft/runtime/internal/sockets.h"

namespace weft::sim {

class World {
 public:
  // Before a schedule: nothing is left of the one before.
  virtual void Begin(uint64_t seed) = 0;
  // When something happens next without any task; kNever if nothing does.
  virtual MonotonicTime NextEvent() const = 0;
  // Lets all happen whose time has come; may wake tasks.
  virtual void Advance(MonotonicTime now) = 0;
  // What the schedule that has ended did not give back, a line each; empty if
  // it gave back everything.
  virtual std::string Leftovers() const = 0;
  // For people: "127.0.0.1:80 to 127.0.0.1:32768".
  virtual std::string Describe(int fd) const = 0;
  virtual internal::Sockets& sockets() = 0;

 protected:
  ~World() = default;
};

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_INTERNAL_WORLD_H_
