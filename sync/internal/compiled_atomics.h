// The sources in this folder are compiled twice: into libweft for the backends
// that run programs, and with WEFT_EXPLORED for those that explore schedules.
// Each source ends with the explicit instantiation of its core for the one or
// the other. Only for sources: the headers know no such choice.
#ifndef WEFT_SYNC_INTERNAL_COMPILED_ATOMICS_H_
#define WEFT_SYNC_INTERNAL_COMPILED_ATOMICS_H_

#include "weft/runtime/internal/atomics.h"

namespace weft::internal {

#ifdef WEFT_EXPLORED
using CompiledAtomics = ExploredAtomics;
#else
using CompiledAtomics = NativeAtomics;
#endif

}  // namespace weft::internal

#endif  // WEFT_SYNC_INTERNAL_COMPILED_ATOMICS_H_
