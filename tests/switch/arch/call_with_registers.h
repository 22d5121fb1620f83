// A call with known values in all registers that a function has to preserve.
#ifndef WEFT_TESTS_SWITCH_ARCH_CALL_WITH_REGISTERS_H_
#define WEFT_TESTS_SWITCH_ARCH_CALL_WITH_REGISTERS_H_

#include <cstdint>

#if defined(__x86_64__)
#include "weft/tests/switch/arch/call_with_registers_x86_64.h"
#elif defined(__aarch64__)
#include "weft/tests/switch/arch/call_with_registers_aarch64.h"
#endif

// Calls `call(argument)` with known values, made of `seed`, in the registers
// that a function has to preserve; returns a bit for each that came back wrong.
extern "C" uint64_t weft_switch_call_with_registers(void (*call)(void*),
                                                    void* argument,
                                                    uint64_t seed);

namespace weft::switches {

// True if `call(argument)` came back with the values, which are made of `seed`;
// the last three digits of `seed` should be 0. Elsewhere it only calls.
inline bool PreservesRegisters(void (*call)(void*), void* argument,
                               [[maybe_unused]] uint64_t seed) {
#if defined(__x86_64__) || defined(__aarch64__)
  return weft_switch_call_with_registers(call, argument, seed) == 0;
#else
  call(argument);
  return true;
#endif
}

}  // namespace weft::switches

#endif  // WEFT_TESTS_SWITCH_ARCH_CALL_WITH_REGISTERS_H_
