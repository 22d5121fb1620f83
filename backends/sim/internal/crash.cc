#include "weft/backends/sim/internal/crash.h"

#include <string_view>

#include "weft/backends/sim/internal/token.h"
#include "weft/runtime/internal/signal_text.h"
#include "weft/runtime/task.h"

namespace weft::sim {

void CrashReporter::OnCrash(const char* name) const {
  const Fiber* fiber = scheduler_.running();
  if (fiber == nullptr) return;
  internal::SignalText out;
  out.Put("weft: sim: ");
  out.Put(name);
  out.Put(" in task ");
  out.PutNumber(fiber->number);
  out.Put(" '");
  out.Put(fiber->task.name());
  out.Put("' at step ");
  out.PutNumber(scheduler_.steps());
  out.Put("; to run this schedule again:\nWEFT_REPLAY=");
  // As Token::ToString, which allocates.
  out.Put(Token::kVersion);
  out.Put(":");
  out.Put(strategy_);
  out.Put(":");
  out.PutNumber(scheduler_.seed(), 16);
  out.Put(":");
  out.PutNumber(scheduler_.limits().unfair_steps);
  out.Put(":");
  out.PutNumber(scheduler_.limits().max_steps);
  out.Put(":");
  for (const SwitchFaultLetter& fault : kSwitchFaultLetters) {
    if (scheduler_.switch_faults().*fault.member) out.Put(fault.letter);
  }
  out.Put(":");
  out.Put(Token::kCrash);
  out.Put(":");
  scheduler_.history().Write([&out](char c) { out.Put(c); });
  if (const std::string_view faults = scheduler_.fault_token();
      !faults.empty()) {
    out.Put(":");
    out.Put(faults);
  }
  out.Put("\n");
}

}  // namespace weft::sim
