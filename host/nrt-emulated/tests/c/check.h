/* What the test programs share. They use the documented interface of libnrt and nothing else. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nrt/nrt.h"
#include "nrt/nrt_experimental.h"
#include "nrt/nrt_profile.h"
#include "nrt/nrt_status.h"
#include "nrt/nrt_version.h"

/* Ends the program when a call gives another status. */
#define EXPECT(expected, call)                                                                              \
  do {                                                                                                      \
    NRT_STATUS found_ = (call);                                                                             \
    if (found_ != (expected)) {                                                                             \
      fprintf(stderr, "%s:%d: %s gave %s, expected %s\n", __FILE__, __LINE__, #call,                        \
              nrt_get_status_as_str(found_), #expected);                                                    \
      exit(1);                                                                                              \
    }                                                                                                       \
  } while (0)
#define OK(call) EXPECT(NRT_SUCCESS, call)
#define CHECK(condition)                                                                                    \
  do {                                                                                                      \
    if (!(condition)) {                                                                                     \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                             \
      exit(1);                                                                                              \
    }                                                                                                       \
  } while (0)

/* A program is several cases, and runs the one that it is called with. */
typedef struct {
  const char *name;
  void (*run)(void);
} test_case;
#define CASE(name) {#name, name}
#define RUN_CASES(...)                                                                                      \
  int main(int argc, char **argv) {                                                                         \
    const test_case cases[] = {__VA_ARGS__};                                                                \
    for (size_t i = 0; argc == 2 && i < sizeof(cases) / sizeof(cases[0]); i++) {                            \
      if (strcmp(cases[i].name, argv[1]) == 0) {                                                            \
        cases[i].run();                                                                                     \
        return 0;                                                                                           \
      }                                                                                                     \
    }                                                                                                       \
    fprintf(stderr, "no such case\n");                                                                      \
    return 2;                                                                                               \
  }

static inline void init(void) { OK(nrt_init(NRT_FRAMEWORK_TYPE_NO_FW, "", "")); }

/* A file of the folder of test NEFFs. */
typedef struct {
  char *bytes;
  size_t size;
} neff_file;

static inline neff_file read_neff(const char *name) {
  char path[4096];
  snprintf(path, sizeof(path), "%s/%s.neff", getenv("TEST_NEFFS"), name);
  FILE *file = fopen(path, "rb");
  CHECK(file != NULL);
  CHECK(fseek(file, 0, SEEK_END) == 0);
  neff_file neff = {NULL, (size_t)ftell(file)};
  rewind(file);
  neff.bytes = malloc(neff.size);
  CHECK(fread(neff.bytes, 1, neff.size, file) == neff.size);
  fclose(file);
  return neff;
}

static inline NRT_STATUS try_load(const char *name, int32_t vnc, nrt_model_t **model) {
  neff_file neff = read_neff(name);
  NRT_STATUS status = nrt_load(neff.bytes, neff.size, vnc, -1, model);
  free(neff.bytes);
  return status;
}

static inline nrt_model_t *load(const char *name, int32_t vnc) {
  nrt_model_t *model = NULL;
  OK(try_load(name, vnc, &model));
  CHECK(model != NULL);
  return model;
}

static inline nrt_tensor_t *device_tensor(int vnc, size_t size) {
  nrt_tensor_t *tensor = NULL;
  OK(nrt_tensor_allocate(NRT_TENSOR_PLACEMENT_DEVICE, vnc, size, "tensor", &tensor));
  CHECK(tensor != NULL);
  return tensor;
}

/* A model with tensors for one input `x` and one output `y` of 8 floats, as most test NEFFs have. */
typedef struct {
  nrt_model_t *model;
  nrt_tensor_t *x, *y;
  nrt_tensor_set_t *in, *out;
} ready;

static inline ready prepare_loaded(nrt_model_t *model, int32_t vnc) {
  static const float values[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  ready r = {model, device_tensor(vnc, sizeof(values)), device_tensor(vnc, sizeof(values)), NULL, NULL};
  OK(nrt_tensor_write(r.x, values, 0, sizeof(values)));
  OK(nrt_allocate_tensor_set(&r.in));
  OK(nrt_allocate_tensor_set(&r.out));
  OK(nrt_add_tensor_to_tensor_set(r.in, "x", r.x));
  OK(nrt_add_tensor_to_tensor_set(r.out, "y", r.y));
  return r;
}
static inline ready prepare(const char *name, int32_t vnc) { return prepare_loaded(load(name, vnc), vnc); }

static inline void release(ready *r) {
  nrt_destroy_tensor_set(&r->in);
  nrt_destroy_tensor_set(&r->out);
  nrt_tensor_free(&r->x);
  nrt_tensor_free(&r->y);
  OK(nrt_unload(r->model));
}

/* y[i] = i * factor + offset */
static inline void expect_y(const ready *r, float factor, float offset) {
  float y[8];
  OK(nrt_tensor_read(r->y, y, 0, sizeof(y)));
  for (int i = 0; i < 8; i++) CHECK(y[i] == (float)i * factor + offset);
}

#endif
