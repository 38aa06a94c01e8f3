/* The op library of the test NEFFs: one op for everything that an execution can do. */
#include <stdio.h>
#include <time.h>

#include "gpsimd_abi.h"

typedef const gpsimd_device *device;

#define AT(line_) (&(const gpsimd_location){GPSIMD_TEXT("ops.c"), (line_), 1})
#define TRY(call) do { if ((call) != GPSIMD_STATUS_OK) return GPSIMD_STATUS_FAILED; } while (0)

/* Core 0 does all: y[i] = f(x[i]) in tiles of 256 elements. */
#define ELEMENTWISE(name, value)                                                                            \
  static uint32_t name(device d) {                                                                          \
    if (d->core_id != 0) return GPSIMD_STATUS_OK;                                                           \
    uint64_t len = d->tensors[0].len;                                                                       \
    float *tile = d->tcm_alloc(d->context, 1024, AT(1));                                                    \
    for (uint64_t at = 0; at < len; at += 256) {                                                            \
      uint64_t n = len - at < 256 ? len - at : 256;                                                         \
      TRY(d->load(d->context, 0, at, n, tile, AT(2)));                                                      \
      for (uint64_t i = 0; i < n; i++) tile[i] = (value);                                                   \
      TRY(d->store(d->context, d->tensor_count - 1, at, n, tile, AT(3)));                                   \
    }                                                                                                       \
    return GPSIMD_STATUS_OK;                                                                                \
  }
ELEMENTWISE(doubles, tile[i] * 2)
ELEMENTWISE(not_a_number, tile[i] == 3 ? 0.0f / 0.0f : tile[i])

/* y = x + step */
static uint32_t add(device d) {
  if (d->core_id != 0) return GPSIMD_STATUS_OK;
  uint64_t len = d->tensors[0].len;
  float *x = d->tcm_alloc(d->context, 1024, AT(4)), *step = d->tcm_alloc(d->context, 64, AT(5));
  TRY(d->load(d->context, 1, 0, 1, step, AT(6)));
  for (uint64_t at = 0; at < len; at += 256) {
    uint64_t n = len - at < 256 ? len - at : 256;
    TRY(d->load(d->context, 0, at, n, x, AT(7)));
    for (uint64_t i = 0; i < n; i++) x[i] += step[0];
    TRY(d->store(d->context, 2, at, n, x, AT(8)));
  }
  return GPSIMD_STATUS_OK;
}

/* As `doubles`, after sleeping for the milliseconds of its scalar. */
static uint32_t slow(device d) {
  if (d->core_id == 0) {
    float *milliseconds = d->tcm_alloc(d->context, 64, AT(9));
    TRY(d->load(d->context, 1, 0, 1, milliseconds, AT(10)));
    struct timespec time = {(time_t)(milliseconds[0] / 1000), (long)milliseconds[0] % 1000 * 1000000};
    d->tcm_free(d->context, milliseconds, AT(11));
    nanosleep(&time, 0);
  }
  return doubles(d);
}

/* y = 2 x, and z = x where the scalar, a u32, is the largest there is: tensors x, params, y, z. */
static uint32_t twice_and_once(device d) {
  if (d->core_id != 0) return GPSIMD_STATUS_OK;
  uint64_t len = d->tensors[0].len;
  float *x = d->tcm_alloc(d->context, 1024, AT(12));
  uint32_t *largest = d->tcm_alloc(d->context, 64, AT(13));
  TRY(d->load(d->context, 1, 0, 1, largest, AT(14)));
  TRY(d->load(d->context, 0, 0, len, x, AT(15)));
  if (*largest == UINT32_MAX) TRY(d->store(d->context, 3, 0, len, x, AT(16)));
  for (uint64_t i = 0; i < len; i++) x[i] *= 2;
  return d->store(d->context, 2, 0, len, x, AT(17));
}

static uint32_t past_the_end(device d) {
  float *tile = d->tcm_alloc(d->context, 64, AT(20));
  return d->load(d->context, 0, d->tensors[0].len, 1, tile, AT(21));
}
static uint32_t past_the_tile(device d) {
  float *tile = d->tcm_alloc(d->context, 16, AT(22));
  return d->load(d->context, 0, 0, 5, tile, AT(23));
}
static uint32_t past_the_end_unnoticed(device d) {
  past_the_end(d);
  return doubles(d);
}
static uint32_t refuses(device d) {
  TRY(doubles(d));
  d->fail(d->context, GPSIMD_FAILURE_REFUSED, (gpsimd_text)GPSIMD_TEXT("not today"), AT(24));
  return GPSIMD_STATUS_FAILED;
}
static uint32_t prints(device d) {
  if (d->core_id == 0) d->print_text(d->context, (gpsimd_text)GPSIMD_TEXT("a line of the kernel\n"));
  return doubles(d);
}

static uint32_t like_x(const gpsimd_tensor_type *operands, uint32_t count, gpsimd_tensor_type *outputs,
                       uint32_t output_count, gpsimd_shape_error *error) {
  (void)count, (void)error;
  for (uint32_t i = 0; i < output_count; i++) outputs[i] = operands[0];
  return GPSIMD_STATUS_OK;
}

#define X "{\"name\": \"x\", \"kind\": {\"tensor\": \"f32\"}}"
#define X_AND_SCALAR X ", {\"name\": \"value\", \"kind\": {\"scalar\": \"f32\"}}"
#define X_AND_U32 X ", {\"name\": \"value\", \"kind\": {\"scalar\": \"u32\"}}"
#define Y "{\"name\": \"y\", \"element\": \"f32\"}"
#define Y_AND_Z Y ", {\"name\": \"z\", \"element\": \"f32\"}"
#define OPS(OP, AND)                                                                                        \
  OP(doubles, X, Y) AND OP(not_a_number, X, Y) AND OP(add, X_AND_SCALAR, Y) AND OP(slow, X_AND_SCALAR, Y)   \
  AND OP(past_the_end, X, Y) AND OP(past_the_tile, X, Y) AND OP(past_the_end_unnoticed, X, Y) AND           \
  OP(refuses, X, Y) AND OP(prints, X, Y) AND OP(twice_and_once, X_AND_U32, Y_AND_Z)
#define DESCRIBE(name, operands, outputs)                                                                   \
  "{\"name\": \"" #name "\", \"doc\": \"\", \"operands\": [" operands "], \"outputs\": [" outputs "], "     \
  "\"gradients\": [], \"file\": \"ops.c\"}"
#define ENTRY(name, operands, outputs) {name, like_x},
#define COMMA ", "
#define NOTHING

static const gpsimd_op ops[] = {OPS(ENTRY, NOTHING)};
static const gpsimd_library library = {
    "gpsimd\0",
    GPSIMD_ABI_VERSION,
    sizeof(ops) / sizeof(ops[0]),
    GPSIMD_TEXT("{\"name\": \"ops\", \"version\": \"0.1.0\", \"ops\": [" OPS(DESCRIBE, COMMA) "]}"),
    GPSIMD_TEXT(""),
    ops,
};
const gpsimd_library *gpsimd_op_library(void) { return &library; }
