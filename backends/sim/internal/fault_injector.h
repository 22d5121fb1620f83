// FaultInjector: makes the faults of a schedule, or counts the places for
// them.
#ifndef WEFT_BACKENDS_SIM_INTERNAL_FAULT_INJECTOR_H_
#define WEFT_BACKENDS_SIM_INTERNAL_FAULT_INJECTOR_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/backends/sim/faults.h"
#include "weft/runtime/internal/rng.h"

namespace weft::sim {

class Scheduler;

// One fault, by its place.
struct Fault {
  // The values are the letters of a token.
  enum class Kind : char {
    kCall = 'o',      // the call number `place` fails
    kLate = 'l',      // after call number `place`, its task is cancelled
    kCancel = 'c',    // a task is cancelled at point `place`
    kDeadline = 'd',  // time jumps at point `place`
    kStart = 's',     // start number `place` is refused
  };

  Kind kind = Kind::kCall;
  uint64_t place = 0;   // from 0
  uint32_t choice = 0;  // which errno of the call, which task of those alive

  friend bool operator==(const Fault&, const Fault&) = default;
};

class FaultInjector {
 public:
  // Before a schedule: no faults.
  void BeginWithout();
  // The same, and the places are noted.
  void BeginCount();
  // These, wherever there is a place for one.
  void BeginGiven(std::vector<Fault> faults);
  void BeginRandom(const FaultOptions& options, uint64_t seed);
  // What ToToken gave; false if the text is none.
  bool BeginFromToken(std::string_view text, uint64_t seed);

  // With which errno the call that begins fails; 0: it does not. `call` is one
  // of the names in fault_injector.cc, or none of them.
  int AtCall(Scheduler& scheduler, const char* call);
  // Whether the task is to be cancelled now that the call has succeeded.
  bool AfterCall(Scheduler& scheduler, const char* call);
  void AtPoint(Scheduler& scheduler);
  bool AtStart(Scheduler& scheduler);

  // All faults that there is a place for in the schedule that was counted.
  std::vector<Fault> Places(const FaultOptions& options) const;
  // What was done: to be given, and for people, a line each.
  const std::vector<Fault>& made() const { return made_; }
  const std::string& done() const { return done_; }
  // For the token; empty without faults.
  const std::string& token() const { return token_; }

 private:
  enum class Mode { kNone, kCount, kGiven, kRandom };

  void Clear(Mode mode);
  // The one that was given for this place; null if none was.
  const Fault* Given(Fault::Kind kind, uint64_t place) const;
  // At random: whether a fault of this sort comes here.
  bool Draw(bool wanted, const char* sort, int error);
  void Note(const Scheduler& scheduler, const Fault& fault,
            std::string_view what);
  void CancelOne(Scheduler& scheduler, uint64_t place, uint32_t choice);
  void Jump(Scheduler& scheduler, uint64_t place);

  Mode mode_ = Mode::kNone;
  std::vector<Fault> given_;
  FaultOptions random_options_;
  uint64_t seed_ = 0;
  internal::Rng random_{0};
  std::string token_;
  std::vector<Fault> made_;
  std::string done_;

  uint64_t calls_ = 0;
  uint64_t points_ = 0;
  uint64_t starts_ = 0;
  // Places, where they are counted: the choices that each has.
  std::vector<uint32_t> call_choices_;
  std::vector<bool> call_succeeded_;
  std::vector<uint32_t> cancel_choices_;
  std::vector<bool> deadline_possible_;
};

}  // namespace weft::sim

#endif  // WEFT_BACKENDS_SIM_INTERNAL_FAULT_INJECTOR_H_
