#ifndef GPSIMD_EMULATED
#error "operations are counted under the emulator alone"
#endif
#include <gpsimd_abi.h>

// Of the core that runs on this thread, since the emulator set them to zero.
static thread_local gpsimd_operations gpsimd_operations_here;
extern "C" __attribute__((visibility("default"))) gpsimd_operations* gpsimd_operations_of_core() {
  return &gpsimd_operations_here;
}

