#ifndef GPSIMD_EMULATED
#error "operations are counted under the emulator alone"
#endif
#include <cstdint>

struct gpsimd_operation_counts {
  uint64_t float_, fma, divide, integer, compare, memory, branch;
};
// As `Operations` of the emulator, which reads them.
struct gpsimd_operations {
  gpsimd_operation_counts scalar;  // one at a time
  gpsimd_operation_counts vector;  // in vectorised loops: elements
};

// Of the core that runs on this thread, since the emulator set them to zero.
static thread_local gpsimd_operations gpsimd_operations_here;
extern "C" __attribute__((visibility("default"))) gpsimd_operations* gpsimd_operations_of_core() {
  return &gpsimd_operations_here;
}

