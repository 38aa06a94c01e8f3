// Which of the engine's cores runs the op.
#ifndef GPSIMD_NEURON_NEURON_UTILS_HPP
#define GPSIMD_NEURON_NEURON_UTILS_HPP

#include <torch/torch.h>

// This core, from 0; always 0 in single-core mode.
inline uint32_t get_cpu_id(gpsimd::Location where = gpsimd::Location::here()) {
  const gpsimd::Core &core = gpsimd::core_for("get_cpu_id", where);
  return core.is_multicore ? core.device->core_id : 0;
}

// Cores of the engine, also in single-core mode, where only the first of them runs the op.
inline uint32_t get_cpu_count(gpsimd::Location where = gpsimd::Location::here()) {
  return gpsimd::core_for("get_cpu_count", where).device->core_count;
}

#endif
