// Random numbers that are the same on every machine, from one seed.
#ifndef WEFT_RUNTIME_INTERNAL_RNG_H_
#define WEFT_RUNTIME_INTERNAL_RNG_H_

#include <cstdint>

namespace weft::internal {

// SplitMix64 (Steele, Lea and Flood, 2014): one addition and a mixing function,
// every seed a good one.
class Rng {
 public:
  explicit Rng(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    state_ += 0x9E3779B97F4A7C15u;
    uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
    return mixed ^ (mixed >> 31);
  }

  // 0 to `bound` - 1.
  uint32_t Below(uint32_t bound) {
    return static_cast<uint32_t>(((Next() >> 32) * bound) >> 32);
  }

 private:
  uint64_t state_;
};

// A seed of its own for part `index` of what has seed `seed`.
inline uint64_t DeriveSeed(uint64_t seed, uint64_t index) {
  return Rng(seed ^ Rng(index).Next()).Next();
}

}  // namespace weft::internal

#endif  // WEFT_RUNTIME_INTERNAL_RNG_H_
