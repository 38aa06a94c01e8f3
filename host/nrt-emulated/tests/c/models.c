/* Loading and unloading NEFFs, and what a model says of itself. */
#include "check.h"

static void loads_that_cannot_be_are_invalid(void) {
  init();
  neff_file neff = read_neff("doubles");
  nrt_model_t *model = NULL;
  EXPECT(NRT_INVALID, nrt_load(NULL, neff.size, 0, -1, &model));
  EXPECT(NRT_INVALID, nrt_load(neff.bytes, neff.size, 0, -1, NULL));
  EXPECT(NRT_INVALID, nrt_load(neff.bytes, SIZE_MAX, 0, -1, &model));
  EXPECT(NRT_INVALID, nrt_load(neff.bytes, neff.size, 2, -1, &model));
  EXPECT(NRT_INVALID, nrt_load(neff.bytes, neff.size, -2, -1, &model));
  EXPECT(NRT_INVALID, nrt_load(neff.bytes, neff.size, 0, 2, &model));
  EXPECT(NRT_INVALID, nrt_load(neff.bytes, neff.size, 0, 0, &model));
  setenv("NEURON_RT_EXEC_TIMEOUT", "soon", 1);
  EXPECT(NRT_INVALID, nrt_load(neff.bytes, neff.size, 0, -1, &model));
  unsetenv("NEURON_RT_EXEC_TIMEOUT");
  CHECK(model == NULL);
  OK(nrt_load(neff.bytes, neff.size, 0, -1, &model));
  OK(nrt_unload(model));
  free(neff.bytes);
  nrt_close();
}

static void what_is_no_neff_is_invalid(void) {
  init();
  neff_file neff = read_neff("doubles");
  nrt_model_t *model = NULL;
  const size_t lengths[] = {0, 1, 1023, 1024, 1025, neff.size / 2, neff.size - 1};
  for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
    EXPECT(NRT_INVALID, nrt_load(neff.bytes, lengths[i], 0, -1, &model));
  }
  memset(neff.bytes, 'x', neff.size);
  EXPECT(NRT_INVALID, nrt_load(neff.bytes, neff.size, 0, -1, &model));
  free(neff.bytes);
  CHECK(model == NULL);
  nrt_close();
}

static void a_neff_for_the_device_is_invalid(void) {
  init();
  nrt_model_t *model = NULL;
  EXPECT(NRT_INVALID, try_load("for_the_device", 0, &model));
  nrt_close();
}

static void a_neff_of_another_version_is_unsupported(void) {
  init();
  nrt_model_t *model = NULL;
  EXPECT(NRT_UNSUPPORTED_NEFF_VERSION, try_load("neff_version", 0, &model));
  EXPECT(NRT_UNSUPPORTED_NEFF_VERSION, try_load("package_version", 0, &model));
  EXPECT(NRT_UNSUPPORTED_NEFF_VERSION, try_load("graph_version", 0, &model));
  CHECK(model == NULL);
  nrt_close();
}

static void a_neff_for_more_cores_than_there_are_is_not_loaded(void) {
  init();
  nrt_model_t *model = NULL;
  EXPECT(NRT_LOAD_NOT_ENOUGH_NC, try_load("three_cores", -1, &model));
  EXPECT(NRT_LOAD_NOT_ENOUGH_NC, try_load("two_cores", 1, &model));
  CHECK(model == NULL);
  uint32_t count = 0;
  ready r = prepare("two_cores", 0);
  OK(nrt_get_model_nc_count(r.model, &count));
  CHECK(count == 2);
  OK(nrt_execute(r.model, r.in, r.out));
  expect_y(&r, 2, 0);
  release(&r);
  nrt_close();
}

static void a_neff_that_does_not_fit_its_library_is_invalid(void) {
  const char *neffs[] = {"no_such_op", "too_few_operands", "too_many_scalars", "scalar_of_another_type",
                         "too_few_outputs", "output_of_another_shape", "int64", "garbage_for_a_library"};
  init();
  for (size_t i = 0; i < sizeof(neffs) / sizeof(neffs[0]); i++) {
    nrt_model_t *model = NULL;
    EXPECT(NRT_INVALID, try_load(neffs[i], 0, &model));
  }
  nrt_close();
}

static void a_wrong_hash_is_invalid_when_hashes_are_validated(void) {
  init();
  nrt_model_t *model = load("wrong_hash", 0);
  OK(nrt_unload(model));
  setenv("NEURON_RT_VALIDATE_HASH", "true", 1);
  EXPECT(NRT_INVALID, try_load("wrong_hash", 0, &model));
  model = load("doubles", 0);
  OK(nrt_unload(model));
  nrt_close();
}

static void intermediates_are_device_memory(void) {
  setenv("GPSIMD_EMULATED_HBM_BYTES", "63", 1);
  init();
  nrt_model_t *model = NULL;
  EXPECT(NRT_RESOURCE, try_load("chain", 0, &model)); /* two intermediates of 32 bytes */
  OK(nrt_unload(load("doubles", 0)));
  nrt_close();
}

static void a_model_says_what_its_tensors_are(void) {
  init();
  nrt_model_t *model = load("mixed", 0);
  nrt_tensor_info_array_t *info = NULL;
  OK(nrt_get_model_tensor_info(model, &info));
  CHECK(info->tensor_count == 4);
  const nrt_tensor_info_t *x = &info->tensor_array[0], *wide = &info->tensor_array[1], *name = &info->tensor_array[2],
                          *y = &info->tensor_array[3];
  CHECK(strcmp(x->name, "x") == 0 && x->usage == NRT_TENSOR_USAGE_INPUT && x->dtype == NRT_DTYPE_FLOAT32);
  CHECK(x->size == 32 && x->ndim == 2 && x->shape[0] == 2 && x->shape[1] == 4);
  CHECK(strcmp(wide->name, "wide") == 0 && wide->dtype == NRT_DTYPE_INT64 && wide->size == 48);
  CHECK(wide->ndim == 3 && wide->shape[0] == 1 && wide->shape[1] == 2 && wide->shape[2] == 3);
  CHECK(strlen(name->name) == NRT_TENSOR_NAME_MAX - 1 && name->dtype == NRT_DTYPE_BFLOAT16);
  CHECK(name->ndim == 0 && name->size == 2);
  CHECK(strcmp(y->name, "y") == 0 && y->usage == NRT_TENSOR_USAGE_OUTPUT && y->size == 32);
  CHECK(y->ndim == 2 && y->shape[0] == 2 && y->shape[1] == 4);
  uint32_t count = 77;
  OK(nrt_get_model_nc_count(model, &count));
  CHECK(count == 1);
  OK(nrt_get_model_instance_count(model, &count));
  CHECK(count == 1);
  EXPECT(NRT_INVALID, nrt_get_model_nc_count(model, NULL));
  EXPECT(NRT_INVALID, nrt_get_model_instance_count(model, NULL));
  EXPECT(NRT_INVALID, nrt_get_model_tensor_info(model, NULL));
  OK(nrt_unload(model));
  CHECK(info->tensor_array[3].shape[1] == 4); /* the array is the program's */
  OK(nrt_free_model_tensor_info(info));
  EXPECT(NRT_INVALID_HANDLE, nrt_free_model_tensor_info(info));
  EXPECT(NRT_INVALID_HANDLE, nrt_free_model_tensor_info(NULL));
  nrt_close();
}

static void models_that_were_unloaded_are_invalid_handles(void) {
  init();
  ready r = prepare("doubles", 0);
  nrt_model_t *stale = r.model;
  OK(nrt_unload(stale));
  nrt_model_t *handles[] = {NULL, stale, (nrt_model_t *)r.in, (nrt_model_t *)r.x};
  for (int i = 0; i < 4; i++) {
    uint32_t count;
    nrt_tensor_info_array_t *info = NULL;
    EXPECT(NRT_INVALID_HANDLE, nrt_unload(handles[i]));
    EXPECT(NRT_INVALID_HANDLE, nrt_get_model_nc_count(handles[i], &count));
    EXPECT(NRT_INVALID_HANDLE, nrt_get_model_instance_count(handles[i], &count));
    EXPECT(NRT_INVALID_HANDLE, nrt_get_model_tensor_info(handles[i], &info));
    EXPECT(NRT_INVALID_HANDLE, nrt_execute(handles[i], r.in, r.out));
  }
  r.model = load("doubles", 0);
  nrt_tensor_set_t *none = NULL;
  EXPECT(NRT_INVALID_HANDLE, nrt_execute(r.model, none, r.out));
  EXPECT(NRT_INVALID_HANDLE, nrt_execute(r.model, r.in, (nrt_tensor_set_t *)r.y));
  EXPECT(NRT_INVALID_HANDLE, nrt_execute_repeat(r.model, r.in, none, 2));
  release(&r);
  nrt_close();
}

/* Mappings of op libraries that came out of NEFFs, counted by the start of each file. */
static int loaded_libraries(void) {
  int count = 0;
  char line[4096];
  FILE *maps = fopen("/proc/self/maps", "r");
  CHECK(maps != NULL);
  while (fgets(line, sizeof(line), maps)) {
    unsigned long offset = 1;
    CHECK(sscanf(line, "%*s %*s %lx", &offset) == 1);
    count += offset == 0 && strstr(line, "gpsimd-nrt-") != NULL;
  }
  fclose(maps);
  return count;
}

static void a_library_is_loaded_once_and_unloaded_with_its_last_model(void) {
  init();
  CHECK(loaded_libraries() == 0);
  nrt_model_t *first = load("doubles", 0), *second = load("chain", 1);
  CHECK(loaded_libraries() == 1);
  nrt_model_t *other = load("gelu", 1);
  CHECK(loaded_libraries() == 2);
  OK(nrt_unload(first));
  OK(nrt_unload(other));
  CHECK(loaded_libraries() == 1);
  OK(nrt_unload(second));
  CHECK(loaded_libraries() == 0);
  nrt_close();
}

RUN_CASES(CASE(loads_that_cannot_be_are_invalid), CASE(what_is_no_neff_is_invalid),
          CASE(a_neff_for_the_device_is_invalid), CASE(a_neff_of_another_version_is_unsupported),
          CASE(a_neff_for_more_cores_than_there_are_is_not_loaded),
          CASE(a_neff_that_does_not_fit_its_library_is_invalid),
          CASE(a_wrong_hash_is_invalid_when_hashes_are_validated), CASE(intermediates_are_device_memory),
          CASE(a_model_says_what_its_tensors_are), CASE(models_that_were_unloaded_are_invalid_handles),
          CASE(a_library_is_loaded_once_and_unloaded_with_its_last_model))
