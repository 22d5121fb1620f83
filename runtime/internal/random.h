// Random numbers for backends that run in real time.
#ifndef WEFT_RUNTIME_INTERNAL_RANDOM_H_
#define WEFT_RUNTIME_INTERNAL_RANDOM_H_

#include <cstdint>

namespace weft::internal {

// 64 random bits; not for secrets. Any thread.
uint64_t RandomBits();

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_INTERNAL_RANDOM_H_
