// How many threads of this process can run at once.
#ifndef WEFT_RUNTIME_INTERNAL_PROCESSORS_H_
#define WEFT_RUNTIME_INTERNAL_PROCESSORS_H_

#include <cstdint>
#include <optional>
#include <string>

namespace weft::internal {

// How many processors the quotas of the control groups of this process amount
// to, a part of one counted as one; absent if there are none. The groups above
// its own count, too, as far as their folders can be seen, as does version 1.
//
// Both read files, so they are for the start of things. Tests give a
// `file_root` with files of their own.
std::optional<uint32_t> ProcessorQuota(const std::string& file_root = "");

// That, or the processors that the affinity of this thread allows if those are
// fewer. At least 1.
uint32_t AvailableProcessors(const std::string& file_root = "");

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_INTERNAL_PROCESSORS_H_
