// TCM, and giving up.
#ifndef GPSIMD_TCM_HPP
#define GPSIMD_TCM_HPP

#include <gpsimd/core.hpp>

namespace torch {
namespace neuron {
inline namespace gpsimd_emulated {

// Bytes of the core's TCM, aligned to 64; null when the pool is exhausted.
inline void *tcm_malloc(size_t bytes, gpsimd::Location where = gpsimd::Location::here()) {
  return gpsimd::core_for("tcm_malloc", where).allocate(bytes, where);
}

// Frees what `tcm_malloc` returned; null frees nothing.
inline void tcm_free(void *tcm, gpsimd::Location where = gpsimd::Location::here()) {
  gpsimd::core_for("tcm_free", where).release(tcm, where);
}

// Ends the core's part of the launch as a panic of the op. Generated code calls it where it prints and aborts on the
// device.
[[noreturn]] inline void gpsimd_trap(const char *message, gpsimd::Location where = gpsimd::Location::here()) {
  gpsimd::stop(GPSIMD_FAILURE_PANIC, message, where);
}

}  // namespace gpsimd_emulated
}  // namespace neuron
}  // namespace torch

#endif
