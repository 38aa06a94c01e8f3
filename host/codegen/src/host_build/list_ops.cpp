// Prints what shape sources register: library, op, kernel function and a letter for each operand, of every op.
#include <stdint.h>
#include <stdio.h>

extern "C" {
// Defined by NEURON_LIBRARY.
void gpsimd_visit_shapes(void (*visit)(void *, const char *, const char *, const char *, const char *), void *context);
}

int main() {
  gpsimd_visit_shapes(
      [](void *, const char *library, const char *op, const char *kernel, const char *operands) {
        printf("%s\t%s\t%s\t%s\n", library, op, kernel, operands);
      },
      nullptr);
  return 0;
}
