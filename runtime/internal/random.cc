#include "weft/runtime/internal/random.h"

#include <random>

namespace weft::internal {
namespace {

std::mt19937_64 SeededGenerator() {
  std::random_device device;
  std::seed_seq seed{device(), device(), device(), device()};
  return std::mt19937_64(seed);
}

}  // namespace

uint64_t RandomBits() {
  // Abseil's generators share a pool of seeds, filled by the first thread, in
  // a library that is not built with weft's sanitizers: TSan takes that for a
  // race.
  static thread_local std::mt19937_64 generator = SeededGenerator();
  return generator();
}

}  // namespace weft::internal
