/* What public clients of the runtime call besides loading and executing. */
#include "check.h"

static char *contents(const char *path) {
  FILE *file = fopen(path, "rb");
  CHECK(file != NULL);
  char *text = calloc(1, 1 << 16);
  size_t length = fread(text, 1, (1 << 16) - 1, file);
  CHECK(length > 0);
  fclose(file);
  return text;
}

static int occurrences(const char *text, const char *part) {
  int count = 0;
  for (; (text = strstr(text, part)) != NULL; text += strlen(part)) count++;
  return count;
}

static void a_model_is_loaded_with_a_count_of_one(void) {
  init();
  nrt_tensor_set_t *set;
  OK(nrt_allocate_tensor_set(&set));
  void *any = set; /* the SDK's sets are pointers to void */
  nrt_destroy_tensor_set(&any);
  CHECK(any == NULL && NRT_MAJOR_VERSION == 2);
  neff_file neff = read_neff("doubles");
  int32_t counts[] = {1, -1};
  for (int i = 0; i < 2; i++) {
    nrt_model_t *model = NULL;
    OK(nrt_load(neff.bytes, neff.size, -1, counts[i], &model));
    ready r = prepare_loaded(model, 0);
    OK(nrt_execute(r.model, r.in, r.out));
    expect_y(&r, 2, 0);
    uint32_t cores = 0;
    OK(nrt_get_model_vnc_count(model, &cores));
    CHECK(cores == 1);
    EXPECT(NRT_INVALID, nrt_get_model_vnc_count(model, NULL));
    release(&r);
  }
  int32_t wrong[] = {0, 2, -2};
  nrt_model_t *model = NULL;
  for (int i = 0; i < 3; i++) EXPECT(NRT_INVALID, nrt_load(neff.bytes, neff.size, -1, wrong[i], &model));
  free(neff.bytes);
  nrt_close();
}

static void collectives_work_for_one_worker_and_fail_for_more(void) {
  init();
  neff_file neff = read_neff("doubles");
  nrt_model_t *model = NULL;
  OK(nrt_load_collectives(neff.bytes, neff.size, 1, 1, 0, 1, &model));
  nrt_model_info_t info = {77};
  size_t size = 0;
  OK(nrt_get_model_info(model, &info, sizeof(info), &size));
  CHECK(info.vnc == 1 && size == sizeof(info));
  EXPECT(NRT_INVALID, nrt_get_model_info(model, &info, 0, &size));
  OK(nrt_unload(model));
  EXPECT(NRT_FAILURE, nrt_load_collectives(neff.bytes, neff.size, 0, 1, 1, 2, &model));
  EXPECT(NRT_INVALID, nrt_load_collectives(neff.bytes, neff.size, 0, 1, 2, 2, &model));
  EXPECT(NRT_INVALID, nrt_load_collectives(neff.bytes, neff.size, 0, 1, 0, 0, &model));
  free(neff.bytes);
  char in[3] = "ab", out[3] = {0};
  OK(nrt_build_global_comm(0, 0, 1));
  OK(nrt_cc_global_comm_init(0, 0, 1));
  OK(nrt_barrier(-1, 0, 1));
  OK(nrt_all_gather(0, 0, 1, 3, in, out));
  CHECK(memcmp(in, out, 3) == 0);
  EXPECT(NRT_FAILURE, nrt_build_global_comm(0, 0, 32));
  EXPECT(NRT_FAILURE, nrt_cc_global_comm_init(0, 1, 2));
  EXPECT(NRT_FAILURE, nrt_barrier(0, 0, 2));
  EXPECT(NRT_FAILURE, nrt_all_gather(0, 0, 2, 3, in, out));
  EXPECT(NRT_INVALID, nrt_barrier(2, 0, 1));
  EXPECT(NRT_INVALID, nrt_cc_global_comm_init(0xffffffff, 0, 1));
  EXPECT(NRT_INVALID, nrt_all_gather(0, 0, 1, 3, NULL, out));
  nrt_close();
}

static void batches_read_and_write_parts_of_tensors(void) {
  init();
  nrt_tensor_t *a = device_tensor(0, 8), *b = NULL;
  OK(nrt_tensor_allocate(NRT_TENSOR_PLACEMENT_HOST, -1, 4, "b", &b));
  char one[] = {1, 2}, two[] = {3}, three[] = {4, 5, 6, 7};
  nrt_tensor_batch_op_t of_a[] = {{6, 2, one}, {0, 1, two}}, of_b[] = {{0, 4, three}};
  nrt_tensor_batch_t batches[] = {{a, of_a, 2}, {b, of_b, 1}, {a, NULL, 0}};
  OK(nrt_tensor_write_batch(batches, 3, false));
  char found[8];
  OK(nrt_tensor_read(a, found, 0, 8));
  CHECK(memcmp(found, "\3\0\0\0\0\0\1\2", 8) == 0);
  memset(one, 0, 2);
  memset(two, 0, 1);
  memset(three, 0, 4);
  OK(nrt_tensor_read_batch(batches, 3, true));
  CHECK(one[0] == 1 && one[1] == 2 && two[0] == 3 && memcmp(three, "\4\5\6\7", 4) == 0);
  OK(nrt_tensor_write_batch(NULL, 0, false));
  EXPECT(NRT_INVALID, nrt_tensor_write_batch(NULL, 1, false));
  EXPECT(NRT_INVALID, nrt_tensor_read_batch(batches, UINT64_MAX, false));
  of_b[0].size = 5;
  EXPECT(NRT_INVALID, nrt_tensor_write_batch(batches, 2, false));
  of_b[0] = (nrt_tensor_batch_op_t){UINT64_MAX, 4, three};
  EXPECT(NRT_INVALID, nrt_tensor_read_batch(batches, 2, false));
  of_b[0] = (nrt_tensor_batch_op_t){0, 4, NULL};
  EXPECT(NRT_INVALID, nrt_tensor_read_batch(batches, 2, false));
  batches[0].ops = NULL;
  EXPECT(NRT_INVALID, nrt_tensor_read_batch(batches, 1, false));
  batches[1].tensor = NULL;
  EXPECT(NRT_INVALID_HANDLE, nrt_tensor_read_batch(batches + 1, 1, false));
  nrt_tensor_free(&a);
  nrt_tensor_free(&b);
  nrt_close();
}

static void memory_is_set_to_a_byte(void) {
  init();
  nrt_tensor_t *tensor = device_tensor(0, 8), *slice = NULL;
  OK(nrt_tensor_memset(tensor, 1, 0x1ff, 3));
  OK(nrt_tensor_allocate_slice(tensor, 4, 4, "slice", &slice));
  OK(nrt_tensor_memset(slice, 2, 7, 2));
  char found[8];
  OK(nrt_tensor_read(tensor, found, 0, 8));
  CHECK(memcmp(found, "\0\377\377\377\0\0\7\7", 8) == 0);
  OK(nrt_tensor_memset(tensor, 8, 1, 0));
  EXPECT(NRT_INVALID, nrt_tensor_memset(slice, 2, 7, 3));
  EXPECT(NRT_INVALID, nrt_tensor_memset(tensor, UINT64_MAX, 7, 2));
  nrt_tensor_free(&tensor);
  nrt_tensor_free(&slice);
  nrt_close();
}

static void memory_statistics_are_those_of_the_core(void) {
  setenv("GPSIMD_EMULATED_HBM_BYTES", "1000", 1);
  init();
  nrt_tensor_t *tensor = device_tensor(1, 300);
  nrt_vnc_memory_stats_t stats = {1, 1};
  size_t size = 0;
  OK(nrt_get_vnc_memory_stats(1, &stats, sizeof(stats), &size));
  CHECK(stats.bytes_used == 300 && stats.bytes_limit == 1000 && size == sizeof(stats));
  OK(nrt_get_vnc_memory_stats(0, &stats, sizeof(stats), &size));
  CHECK(stats.bytes_used == 0 && stats.bytes_limit == 1000);
  nrt_tensor_free(&tensor);
  OK(nrt_get_vnc_memory_stats(1, &stats, sizeof(stats), &size));
  CHECK(stats.bytes_used == 0);
  EXPECT(NRT_INVALID, nrt_get_vnc_memory_stats(2, &stats, sizeof(stats), &size));
  EXPECT(NRT_INVALID, nrt_get_vnc_memory_stats(0xffffffff, &stats, sizeof(stats), &size));
  EXPECT(NRT_INVALID, nrt_get_vnc_memory_stats(0, &stats, sizeof(stats) - 1, &size));
  EXPECT(NRT_INVALID, nrt_get_vnc_memory_stats(0, NULL, sizeof(stats), &size));
  nrt_close();
}

static void outputs_count_the_executions_that_wrote_them(void) {
  init();
  ready r = prepare("doubles", 0);
  EXPECT(NRT_TIMEOUT, nrt_tensor_check_output_completion(r.y, 1000, 1));
  OK(nrt_tensor_check_output_completion(r.y, 0, 0));
  OK(nrt_execute(r.model, r.in, r.out));
  OK(nrt_execute(r.model, r.in, r.out));
  OK(nrt_tensor_check_output_completion(r.y, 0, 2));
  OK(nrt_tensor_check_output_completion(r.y, -1, 2));
  EXPECT(NRT_TIMEOUT, nrt_tensor_check_output_completion(r.y, 1, 3));
  EXPECT(NRT_TIMEOUT, nrt_tensor_check_output_completion(r.x, 1, 1));
  OK(nrt_tensor_reset_output_completion(r.y));
  EXPECT(NRT_TIMEOUT, nrt_tensor_check_output_completion(r.y, 1, 1));
  EXPECT(NRT_INVALID, nrt_tensor_check_output_completion(NULL, 1, 1));
  EXPECT(NRT_INVALID, nrt_tensor_reset_output_completion(NULL));
  release(&r);
  nrt_close();
}

static void the_instance_is_an_emulated_trn1(void) {
  nrt_instance_info_t info;
  OK(nrt_get_instance_info(&info, sizeof(info)));
  CHECK(info.family == NRT_INSTANCE_TRN1 && info.size == NRT_INSTANCE_SIZE_2XL);
  CHECK(strcmp(info.arch_name, "emulated") == 0 && strcmp(info.device_revision, "none") == 0);
  EXPECT(NRT_INVALID, nrt_get_instance_info(&info, sizeof(info) - 1));
  EXPECT(NRT_INVALID, nrt_get_instance_info(NULL, sizeof(info)));
  setenv("GPSIMD_EMULATED_CORES", "4", 1);
  init();
  OK(nrt_get_instance_info(&info, sizeof(info)));
  CHECK(info.size == NRT_INSTANCE_SIZE_UNKNOWN);
  uint32_t device = 77;
  OK(nrt_host_device_id_get(1, &device));
  CHECK(device == 1);
  EXPECT(NRT_INVALID, nrt_host_device_id_get(2, &device));
  EXPECT(NRT_INVALID, nrt_host_device_id_get(-1, &device));
  nrt_close();
}

static void what_needs_hardware_fails(void) {
  init();
  nrt_tensor_t *tensor = device_tensor(0, 8);
  nrt_tensor_device_allocation_info_t allocation;
  int fd;
  void *address;
  size_t size = 16;
  uint32_t count = 1, map;
  char bdf[16];
  EXPECT(NRT_FAILURE, nrt_tensor_get_device_allocation_info(tensor, &allocation));
  EXPECT(NRT_INVALID_HANDLE, nrt_tensor_get_device_allocation_info(NULL, &allocation));
  EXPECT(NRT_FAILURE, nrt_get_dmabuf_fd(0, 8, &fd));
  EXPECT(NRT_INVALID, nrt_get_hbm_mmap_va(0, 0, &address, &size)); /* documented so, unlike the others */
  EXPECT(NRT_FAILURE, nrt_get_attached_efa_bdf(bdf, bdf, &size));
  EXPECT(NRT_FAILURE, nrt_host_device_id_rid_map_get(&count, &map));
  nrt_tensor_free(&tensor);
  nrt_close();
}

static void a_profile_has_the_executions_of_its_model(void) {
  init();
  ready r = prepare("doubles", 1), other = prepare("doubles", 1);
  OK(nrt_execute(r.model, r.in, r.out));
  OK(nrt_profile_start(r.model, "profile.json"));
  EXPECT(NRT_INVALID, nrt_profile_start(other.model, "profile.json"));
  OK(nrt_execute(r.model, r.in, r.out));
  OK(nrt_execute(other.model, other.in, other.out));
  OK(nrt_execute_repeat(r.model, r.in, r.out, 2));
  EXPECT(NRT_INVALID, nrt_profile_stop("another.json"));
  EXPECT(NRT_INVALID, nrt_profile_stop(NULL));
  EXPECT(NRT_INVALID, nrt_profile_stop(""));
  OK(nrt_profile_stop("profile.json"));
  EXPECT(NRT_INVALID, nrt_profile_stop("profile.json"));
  char *text = contents("profile.json");
  CHECK(occurrences(text, "\"cat\": \"execution\"") == 3 && occurrences(text, "\"cat\": \"call\"") == 3);
  CHECK(strstr(text, "gpsimd emulated runtime") != NULL && strstr(text, "\"tid\": 1") != NULL);
  free(text);
  EXPECT(NRT_INVALID_HANDLE, nrt_profile_start(NULL, "profile.json"));
  OK(nrt_profile_start(r.model, "no/such/folder.json"));
  EXPECT(NRT_FAILURE, nrt_profile_stop("no/such/folder.json"));
  release(&r);
  release(&other);
  nrt_close();
}

static void a_trace_has_the_executions_of_all_models(void) {
  init();
  ready r = prepare("doubles", 0), fails = prepare("past_the_end", 1);
  EXPECT(NRT_INVALID, nrt_trace_stop("trace.json"));
  OK(nrt_trace_start(true));
  EXPECT(NRT_INVALID, nrt_trace_start(false));
  OK(nrt_execute(r.model, r.in, r.out));
  EXPECT(NRT_EXEC_OOB, nrt_execute(fails.model, fails.in, fails.out));
  OK(nrt_trace_stop("trace.json"));
  char *text = contents("trace.json");
  CHECK(occurrences(text, "\"cat\": \"execution\"") == 2 && occurrences(text, "\"error\": ") == 1);
  CHECK(occurrences(text, "\"bytes_used\": ") == 2 && strstr(text, "\"bytes_used\": 64") != NULL);
  free(text);
  OK(nrt_trace_start(false));
  OK(nrt_trace_stop("trace.json"));
  text = contents("trace.json");
  CHECK(occurrences(text, "\"cat\"") == 0 && occurrences(text, "bytes_used") == 0);
  free(text);
  release(&r);
  release(&fails);
  nrt_close();
}

static void quiet_is_without_a_line(void) {
  EXPECT(NRT_UNINITIALIZED, nrt_barrier(0, 0, 1)); /* before init errors are shown */
  setenv("NEURON_RT_LOG_LEVEL", "QUIET", 1);
  init();
  EXPECT(NRT_FAILURE, nrt_barrier(0, 0, 2));
  EXPECT(NRT_INVALID, nrt_profile_stop(NULL));
  nrt_close();
}

RUN_CASES(CASE(a_model_is_loaded_with_a_count_of_one), CASE(collectives_work_for_one_worker_and_fail_for_more),
          CASE(batches_read_and_write_parts_of_tensors), CASE(memory_is_set_to_a_byte),
          CASE(memory_statistics_are_those_of_the_core), CASE(outputs_count_the_executions_that_wrote_them),
          CASE(the_instance_is_an_emulated_trn1), CASE(what_needs_hardware_fails),
          CASE(a_profile_has_the_executions_of_its_model), CASE(a_trace_has_the_executions_of_all_models),
          CASE(quiet_is_without_a_line))
