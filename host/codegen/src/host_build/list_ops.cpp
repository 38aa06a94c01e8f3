// Prints what a shape source registers: the library's name, then op, kernel function and number of tensors of every op.
#include <stdint.h>
#include <stdio.h>

extern "C" {
// Defined by NEURON_LIBRARY.
const char *gpsimd_library_name();
void gpsimd_visit_shapes(void (*visit)(void *, const char *, const char *, uint32_t), void *context);
}

int main() {
  printf("%s\n", gpsimd_library_name());
  gpsimd_visit_shapes(
      [](void *, const char *op, const char *kernel, uint32_t tensors) { printf("%s\t%s\t%u\n", op, kernel, tensors); },
      nullptr);
  return 0;
}
