// Once per test library: calls an exported function, and returns the message of the trap that ends it.

#include <setjmp.h>
#include <stdint.h>
#include <string.h>

static thread_local jmp_buf trap_target;
static thread_local char trap_message[128];

namespace torch { namespace neuron {
[[noreturn]] void gpsimd_trap(const char* message) {
  strncpy(trap_message, message, sizeof(trap_message) - 1);
  longjmp(trap_target, 1);
}
} }

typedef void (*Function)(void* instance, const uint64_t* operands, uint64_t* results);

// Null if the function returned.
extern "C" const char* gpsimd_invoke(Function function, void* instance, const uint64_t* operands, uint64_t* results) {
  if (setjmp(trap_target)) return trap_message;
  function(instance, operands, results);
  return nullptr;
}
