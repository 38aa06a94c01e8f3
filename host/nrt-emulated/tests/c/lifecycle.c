/* Opening and closing the runtime, and what can be asked at any time. */
#define _GNU_SOURCE
#include "check.h"

#include <dlfcn.h>

/* Every function that gives a status, with arguments that would be good or that nobody looks at. */
static void expect_of_all(NRT_STATUS expected) {
  char bytes[8] = {0};
  uint32_t count;
  nrt_version_t version;
  nrt_model_t *model = NULL;
  nrt_tensor_t *tensor = NULL;
  nrt_tensor_set_t *set = NULL;
  nrt_tensor_info_array_t *info = NULL;
  EXPECT(expected, nrt_load(bytes, sizeof(bytes), 0, -1, &model));
  EXPECT(expected, nrt_unload(model));
  EXPECT(expected, nrt_get_model_nc_count(model, &count));
  EXPECT(expected, nrt_get_model_instance_count(model, &count));
  EXPECT(expected, nrt_get_model_tensor_info(model, &info));
  EXPECT(expected, nrt_free_model_tensor_info(info));
  EXPECT(expected, nrt_tensor_allocate(NRT_TENSOR_PLACEMENT_HOST, 0, 8, "t", &tensor));
  EXPECT(expected, nrt_tensor_read(tensor, bytes, 0, 8));
  EXPECT(expected, nrt_tensor_write(tensor, bytes, 0, 8));
  EXPECT(expected, nrt_tensor_copy(tensor, 0, tensor, 0, 8));
  EXPECT(expected, nrt_tensor_allocate_empty("t", &tensor));
  EXPECT(expected, nrt_tensor_attach_buffer(tensor, bytes, 8));
  EXPECT(expected, nrt_tensor_allocate_slice(tensor, 0, 8, "t", &tensor));
  EXPECT(expected, nrt_allocate_tensor_set(&set));
  EXPECT(expected, nrt_add_tensor_to_tensor_set(set, "t", tensor));
  EXPECT(expected, nrt_get_tensor_from_tensor_set(set, "t", &tensor));
  EXPECT(expected, nrt_execute(model, set, set));
  EXPECT(expected, nrt_execute_repeat(model, set, set, 2));
  EXPECT(expected, nrt_get_version(&version, sizeof(version)));
  size_t size;
  int fd;
  void *address;
  nrt_vnc_memory_stats_t stats;
  nrt_model_info_t about;
  nrt_tensor_device_allocation_info_t allocation;
  EXPECT(expected, nrt_load_collectives(bytes, sizeof(bytes), 0, 1, 0, 1, &model));
  EXPECT(expected, nrt_get_model_vnc_count(model, &count));
  EXPECT(expected, nrt_get_model_info(model, &about, sizeof(about), &size));
  EXPECT(expected, nrt_tensor_read_batch(NULL, 0, false));
  EXPECT(expected, nrt_tensor_write_batch(NULL, 0, false));
  EXPECT(expected, nrt_tensor_memset(tensor, 0, 0, 8));
  EXPECT(expected, nrt_tensor_check_output_completion(tensor, 0, 1));
  EXPECT(expected, nrt_tensor_reset_output_completion(tensor));
  EXPECT(expected, nrt_tensor_get_device_allocation_info(tensor, &allocation));
  EXPECT(expected, nrt_get_dmabuf_fd(0, 8, &fd));
  EXPECT(expected, nrt_get_hbm_mmap_va(0, 0, &address, &size));
  EXPECT(expected, nrt_get_attached_efa_bdf(bytes, bytes, &size));
  EXPECT(expected, nrt_host_device_id_get(0, &count));
  EXPECT(expected, nrt_host_device_id_rid_map_get(&count, &count));
  EXPECT(expected, nrt_get_vnc_memory_stats(0, &stats, sizeof(stats), &size));
  EXPECT(expected, nrt_build_global_comm(0, 0, 1));
  EXPECT(expected, nrt_cc_global_comm_init(0, 0, 1));
  EXPECT(expected, nrt_barrier(0, 0, 1));
  EXPECT(expected, nrt_all_gather(0, 0, 1, 8, bytes, bytes));
  EXPECT(expected, nrt_trace_start(false));
  EXPECT(expected, nrt_trace_stop("trace.json"));
  EXPECT(expected, nrt_profile_start(model, "profile.json"));
  EXPECT(expected, nrt_profile_stop("profile.json"));
  /* Those without a status do nothing. */
  CHECK(nrt_tensor_get_size(tensor) == 0);
  CHECK(nrt_tensor_get_va(tensor) == NULL);
  nrt_tensor_free(&tensor);
  nrt_destroy_tensor_set(&set);
  CHECK(model == NULL && tensor == NULL && set == NULL && info == NULL);
}

static void calls_before_init_are_uninitialized(void) {
  expect_of_all(NRT_UNINITIALIZED);
  nrt_close();
  expect_of_all(NRT_UNINITIALIZED);
  init();
}

static void calls_after_close_are_closed(void) {
  init();
  nrt_close();
  expect_of_all(NRT_CLOSED);
  EXPECT(NRT_CLOSED, nrt_init(NRT_FRAMEWORK_TYPE_NO_FW, "", ""));
  nrt_close();
  expect_of_all(NRT_CLOSED);
}

static void init_twice_is_invalid(void) {
  init();
  EXPECT(NRT_INVALID, nrt_init(NRT_FRAMEWORK_TYPE_NO_FW, "", ""));
  nrt_tensor_t *tensor = device_tensor(0, 8);
  nrt_tensor_free(&tensor);
  nrt_close();
}

static void init_with_arguments_that_mean_nothing_is_invalid(void) {
  EXPECT(NRT_INVALID, nrt_init(NRT_FRAMEWORK_TYPE_INVALID, "", ""));
  EXPECT(NRT_INVALID, nrt_init((nrt_framework_type_t)6, "", ""));
  EXPECT(NRT_INVALID, nrt_init(NRT_FRAMEWORK_TYPE_PYTORCH, NULL, ""));
  EXPECT(NRT_INVALID, nrt_init(NRT_FRAMEWORK_TYPE_PYTORCH, "", NULL));
  OK(nrt_init(NRT_FRAMEWORK_TYPE_PRECHECK, "2.9", "2.9"));
  nrt_close();
}

static void settings_that_mean_nothing_are_invalid(void) {
  const char *settings[][2] = {
      {"NEURON_RT_VISIBLE_CORES", "0,2"},  {"NEURON_RT_VISIBLE_CORES", "2"},     {"NEURON_RT_VISIBLE_CORES", ""},
      {"NEURON_RT_NUM_CORES", "3"},        {"NEURON_RT_NUM_CORES", "one"},       {"NEURON_RT_LOG_LEVEL", "loud"},
      {"GPSIMD_EMULATED_CORES", "0"},      {"GPSIMD_EMULATED_HBM_BYTES", "16G"}, {"GPSIMD_EMULATED_MODE", "slow"},
  };
  for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
    setenv(settings[i][0], settings[i][1], 1);
    EXPECT(NRT_INVALID, nrt_init(NRT_FRAMEWORK_TYPE_NO_FW, "", ""));
    unsetenv(settings[i][0]);
  }
  init();
  nrt_close();
}

static void expect_counts(uint32_t total, uint32_t visible) {
  uint32_t count = 77;
  OK(nrt_get_total_nc_count(&count));
  CHECK(count == total);
  OK(nrt_get_total_vnc_count(&count));
  CHECK(count == total);
  OK(nrt_get_visible_nc_count(&count));
  CHECK(count == visible);
  OK(nrt_get_visible_vnc_count(&count));
  CHECK(count == visible);
}

static void cores_are_counted_at_any_time(void) {
  expect_counts(2, 2);
  setenv("GPSIMD_EMULATED_CORES", "8", 1);
  setenv("NEURON_RT_VISIBLE_CORES", "3-5", 1);
  expect_counts(8, 3);
  init();
  expect_counts(8, 3);
  setenv("NEURON_RT_VISIBLE_CORES", "3", 1);
  expect_counts(8, 3); /* what the process has, not what it would ask for now */
  nrt_close();
  expect_counts(8, 1);
  setenv("GPSIMD_EMULATED_CORES", "many", 1);
  uint32_t count;
  EXPECT(NRT_INVALID, nrt_get_total_nc_count(&count));
  EXPECT(NRT_INVALID, nrt_get_total_nc_count(NULL));
}

static void the_version_says_that_it_is_the_emulation(void) {
  struct {
    nrt_version_t version;
    uint64_t after;
  } v;
  memset(&v, 0xee, sizeof(v));
  init();
  OK(nrt_get_version(&v.version, sizeof(v.version)));
  CHECK(v.version.rt_major == 0);
  CHECK(strncmp(v.version.rt_detail, "gpsimd emulated runtime ", 24) == 0);
  CHECK(strcmp(v.version.git_hash, "none: gpsimd emulated runtime") == 0);
  CHECK(v.after == 0xeeeeeeeeeeeeeeee);
  EXPECT(NRT_INVALID, nrt_get_version(&v.version, sizeof(v.version) - 1));
  EXPECT(NRT_INVALID, nrt_get_version(NULL, sizeof(v.version)));
  nrt_close();
}

static void a_symbol_says_that_it_is_the_emulation_before_anything_is_called(void) {
  const char *identity = dlsym(RTLD_DEFAULT, "gpsimd_emulated_libnrt");
  CHECK(identity != NULL);
  CHECK(strncmp(identity, "gpsimd emulated runtime ", 24) == 0);
}

static void every_status_has_its_name(void) {
#define NAMED(status) CHECK(strcmp(nrt_get_status_as_str(status), #status) == 0)
  NAMED(NRT_SUCCESS); NAMED(NRT_FAILURE); NAMED(NRT_INVALID); NAMED(NRT_INVALID_HANDLE); NAMED(NRT_RESOURCE);
  NAMED(NRT_TIMEOUT); NAMED(NRT_HW_ERROR); NAMED(NRT_QUEUE_FULL); NAMED(NRT_LOAD_NOT_ENOUGH_NC);
  NAMED(NRT_UNSUPPORTED_NEFF_VERSION); NAMED(NRT_FAIL_HOST_MEM_ALLOC); NAMED(NRT_UNINITIALIZED); NAMED(NRT_CLOSED);
  NAMED(NRT_QUEUE_EMPTY); NAMED(NRT_EXEC_UNIT_UNRECOVERABLE); NAMED(NRT_EXEC_BAD_INPUT);
  NAMED(NRT_EXEC_COMPLETED_WITH_NUM_ERR); NAMED(NRT_EXEC_COMPLETED_WITH_ERR); NAMED(NRT_EXEC_NC_BUSY);
  NAMED(NRT_EXEC_OOB); NAMED(NRT_COLL_PENDING); NAMED(NRT_EXEC_HW_ERR_COLLECTIVES); NAMED(NRT_EXEC_HW_ERR_HBM_UE);
  NAMED(NRT_EXEC_HW_ERR_NC_UE); NAMED(NRT_EXEC_HW_ERR_DMA_ABORT); NAMED(NRT_EXEC_SW_NQ_OVERFLOW);
  NAMED(NRT_EXEC_HW_ERR_REPAIRABLE_HBM_UE); NAMED(NRT_NETWORK_PROXY_FAILURE);
  CHECK(strcmp(nrt_get_status_as_str((NRT_STATUS)8), "not an NRT_STATUS") == 0);
}

/* Of AddressSanitizer; the other builds do not have it. */
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static void close_frees_what_the_program_has_left(void) {
  CHECK(__sanitizer_get_current_allocated_bytes != NULL);
  size_t before = __sanitizer_get_current_allocated_bytes();
  init();
  ready r = prepare("doubles", 0);
  OK(nrt_execute(r.model, r.in, r.out));
  nrt_tensor_t *large[3];
  OK(nrt_tensor_allocate(NRT_TENSOR_PLACEMENT_DEVICE, 0, 64 << 20, "large", &large[0]));
  OK(nrt_tensor_allocate(NRT_TENSOR_PLACEMENT_HOST, 0, 64 << 20, "large", &large[1]));
  OK(nrt_tensor_allocate_slice(large[1], 0, 1, "slice", &large[2]));
  nrt_tensor_info_array_t *info;
  OK(nrt_get_model_tensor_info(r.model, &info));
  CHECK(__sanitizer_get_current_allocated_bytes() - before > 128 << 20);
  nrt_close();
  /* Stacks of threads that are ending, and what the C library keeps of files. */
  CHECK(__sanitizer_get_current_allocated_bytes() - before < 64 << 10);
}

RUN_CASES(CASE(calls_before_init_are_uninitialized), CASE(calls_after_close_are_closed), CASE(init_twice_is_invalid),
          CASE(init_with_arguments_that_mean_nothing_is_invalid), CASE(settings_that_mean_nothing_are_invalid),
          CASE(cores_are_counted_at_any_time), CASE(the_version_says_that_it_is_the_emulation),
          CASE(a_symbol_says_that_it_is_the_emulation_before_anything_is_called), CASE(every_status_has_its_name),
          CASE(close_frees_what_the_program_has_left))
