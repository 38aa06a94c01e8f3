/* Tensors: their memory, slices, attached buffers, copies, and handles that are none. */
#include "check.h"

static nrt_tensor_t *host_tensor(size_t size) {
  nrt_tensor_t *tensor = NULL;
  OK(nrt_tensor_allocate(NRT_TENSOR_PLACEMENT_HOST, -1, size, "host", &tensor));
  return tensor;
}

static void expect_bytes(const nrt_tensor_t *tensor, const char *expected) {
  char found[64] = {0};
  CHECK(nrt_tensor_get_size(tensor) == strlen(expected));
  OK(nrt_tensor_read(tensor, found, 0, strlen(expected)));
  CHECK(strcmp(found, expected) == 0);
}

static void what_is_written_is_read(void) {
  init();
  nrt_tensor_t *tensors[3] = {device_tensor(1, 8), host_tensor(8), NULL};
  OK(nrt_tensor_allocate(NRT_TENSOR_PLACEMENT_VIRTUAL, 0, 8, NULL, &tensors[2]));
  for (int i = 0; i < 3; i++) {
    OK(nrt_tensor_write(tensors[i], "abcdefgh", 0, 8));
    OK(nrt_tensor_write(tensors[i], "XY", 5, 2));
    OK(nrt_tensor_write(tensors[i], "", 8, 0));
    expect_bytes(tensors[i], "abcdeXYh");
    nrt_tensor_free(&tensors[i]);
    CHECK(tensors[i] == NULL);
  }
  nrt_close();
}

static void device_memory_has_no_address_and_host_memory_has(void) {
  init();
  nrt_tensor_t *device = device_tensor(0, 8), *host = host_tensor(8), *slice = NULL, *empty = NULL;
  CHECK(nrt_tensor_get_va(device) == NULL);
  char *address = nrt_tensor_get_va(host);
  CHECK(address != NULL);
  memcpy(address, "straight", 8);
  expect_bytes(host, "straight");
  OK(nrt_tensor_allocate_slice(host, 3, 2, NULL, &slice));
  CHECK(nrt_tensor_get_va(slice) == address + 3);
  OK(nrt_tensor_allocate_empty("empty", &empty));
  CHECK(nrt_tensor_get_va(empty) == NULL);
  nrt_tensor_free(&device), nrt_tensor_free(&host), nrt_tensor_free(&slice), nrt_tensor_free(&empty);
  nrt_close();
}

static void ranges_past_the_end_are_invalid(void) {
  const size_t ranges[][2] = {{0, 9}, {1, 8}, {8, 1}, {9, 0}, {SIZE_MAX, 1}, {1, SIZE_MAX}, {SIZE_MAX, SIZE_MAX}, {4, SIZE_MAX - 3}};
  init();
  nrt_tensor_t *tensor = host_tensor(8), *other = host_tensor(8), *slice = NULL;
  char bytes[16] = {0};
  for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
    size_t offset = ranges[i][0], size = ranges[i][1];
    EXPECT(NRT_INVALID, nrt_tensor_read(tensor, bytes, offset, size));
    EXPECT(NRT_INVALID, nrt_tensor_write(tensor, bytes, offset, size));
    EXPECT(NRT_INVALID, nrt_tensor_copy(tensor, offset, other, 0, size));
    EXPECT(NRT_INVALID, nrt_tensor_copy(other, 0, tensor, offset, size));
    EXPECT(NRT_INVALID, nrt_tensor_allocate_slice(tensor, offset, size, NULL, &slice));
  }
  CHECK(slice == NULL);
  nrt_tensor_free(&tensor), nrt_tensor_free(&other);
  nrt_close();
}

static void slices_share_memory_and_keep_it(void) {
  init();
  nrt_tensor_t *whole = device_tensor(0, 8), *middle = NULL, *part = NULL;
  OK(nrt_tensor_write(whole, "abcdefgh", 0, 8));
  OK(nrt_tensor_allocate_slice(whole, 2, 4, "middle", &middle));
  OK(nrt_tensor_allocate_slice(middle, 1, 2, "part", &part));
  expect_bytes(part, "de");
  OK(nrt_tensor_write(part, "XY", 0, 2));
  expect_bytes(whole, "abcXYfgh");
  EXPECT(NRT_INVALID, nrt_tensor_read(part, (char[3]){0}, 0, 3));
  nrt_tensor_free(&whole), nrt_tensor_free(&middle);
  expect_bytes(part, "XY");
  nrt_tensor_free(&part);
  nrt_close();
}

static void attached_buffers_are_used_in_place(void) {
  setenv("GPSIMD_EMULATED_HBM_BYTES", "1024", 1);
  init();
  char buffer[9] = "original", second[5] = "more";
  nrt_tensor_t *tensor = NULL, *slice = NULL;
  OK(nrt_tensor_allocate_empty("attached", &tensor));
  CHECK(nrt_tensor_get_size(tensor) == 0);
  EXPECT(NRT_INVALID, nrt_tensor_read(tensor, second, 0, 0));
  EXPECT(NRT_INVALID, nrt_tensor_allocate_slice(tensor, 0, 0, NULL, &slice));
  EXPECT(NRT_INVALID, nrt_tensor_attach_buffer(tensor, NULL, 8));
  OK(nrt_tensor_attach_buffer(tensor, buffer, 8));
  CHECK(nrt_tensor_get_va(tensor) == buffer);
  expect_bytes(tensor, "original");
  OK(nrt_tensor_write(tensor, "un", 0, 2));
  CHECK(strcmp(buffer, "uniginal") == 0);
  buffer[0] = 'U';
  expect_bytes(tensor, "Uniginal");
  OK(nrt_tensor_allocate_slice(tensor, 4, 4, NULL, &slice));
  OK(nrt_tensor_attach_buffer(tensor, second, 4));
  expect_bytes(tensor, "more");
  expect_bytes(slice, "inal");
  nrt_tensor_free(&tensor), nrt_tensor_free(&slice);
  /* One that has memory of its own loses it, and device memory is given back. */
  tensor = device_tensor(0, 1024);
  OK(nrt_tensor_attach_buffer(tensor, buffer, 8));
  CHECK(nrt_tensor_get_va(tensor) == buffer);
  nrt_tensor_t *all = device_tensor(0, 1024);
  nrt_tensor_free(&tensor), nrt_tensor_free(&all);
  CHECK(strcmp(buffer, "Uniginal") == 0);
  nrt_close();
}

static void copies_may_overlap(void) {
  init();
  nrt_tensor_t *tensor = device_tensor(0, 8), *slice = NULL, *host = host_tensor(8);
  OK(nrt_tensor_write(tensor, "abcdefgh", 0, 8));
  OK(nrt_tensor_copy(tensor, 0, tensor, 2, 6));
  expect_bytes(tensor, "ababcdef");
  OK(nrt_tensor_allocate_slice(tensor, 1, 6, NULL, &slice));
  OK(nrt_tensor_copy(tensor, 2, slice, 0, 4));
  expect_bytes(tensor, "aabcddef");
  OK(nrt_tensor_copy(slice, 0, host, 1, 6));
  OK(nrt_tensor_write(host, "<", 0, 1));
  OK(nrt_tensor_write(host, ">", 7, 1));
  expect_bytes(host, "<abcdde>");
  OK(nrt_tensor_copy(host, 0, tensor, 0, 8));
  expect_bytes(tensor, "<abcdde>");
  nrt_tensor_free(&tensor), nrt_tensor_free(&slice), nrt_tensor_free(&host);
  nrt_close();
}

static void a_copy_between_the_device_memories_of_two_cores_is_invalid(void) {
  init();
  nrt_tensor_t *first = device_tensor(0, 8), *second = device_tensor(1, 8), *host = host_tensor(8);
  EXPECT(NRT_INVALID, nrt_tensor_copy(first, 0, second, 0, 8));
  OK(nrt_tensor_copy(first, 0, host, 0, 8));
  OK(nrt_tensor_copy(host, 0, second, 0, 8));
  nrt_tensor_free(&first), nrt_tensor_free(&second), nrt_tensor_free(&host);
  nrt_close();
}

static void arguments_that_mean_nothing_are_invalid(void) {
  init();
  nrt_tensor_t *tensor = NULL, *host = host_tensor(8);
  nrt_tensor_set_t *set = NULL;
  char long_name[NRT_TENSOR_NAME_MAX + 1];
  memset(long_name, 'n', sizeof(long_name));
  long_name[NRT_TENSOR_NAME_MAX] = 0;
  EXPECT(NRT_INVALID, nrt_tensor_allocate((nrt_tensor_placement_t)3, 0, 8, "t", &tensor));
  EXPECT(NRT_INVALID, nrt_tensor_allocate(NRT_TENSOR_PLACEMENT_DEVICE, 2, 8, "t", &tensor));
  EXPECT(NRT_INVALID, nrt_tensor_allocate(NRT_TENSOR_PLACEMENT_DEVICE, -1, 8, "t", &tensor));
  EXPECT(NRT_INVALID, nrt_tensor_allocate(NRT_TENSOR_PLACEMENT_DEVICE, 0, 8, "t", NULL));
  EXPECT(NRT_INVALID, nrt_tensor_allocate(NRT_TENSOR_PLACEMENT_DEVICE, 0, 8, long_name, &tensor));
  EXPECT(NRT_INVALID, nrt_tensor_allocate_empty("\xff", &tensor));
  EXPECT(NRT_INVALID, nrt_tensor_read(host, NULL, 0, 8));
  EXPECT(NRT_INVALID, nrt_tensor_write(host, NULL, 0, 8));
  EXPECT(NRT_INVALID, nrt_tensor_attach_buffer(host, long_name, SIZE_MAX));
  EXPECT(NRT_INVALID, nrt_allocate_tensor_set(NULL));
  OK(nrt_allocate_tensor_set(&set));
  EXPECT(NRT_INVALID, nrt_add_tensor_to_tensor_set(set, NULL, host));
  EXPECT(NRT_INVALID, nrt_get_tensor_from_tensor_set(set, "t", NULL));
  CHECK(tensor == NULL);
  long_name[NRT_TENSOR_NAME_MAX - 1] = 0;
  OK(nrt_tensor_allocate(NRT_TENSOR_PLACEMENT_DEVICE, 1, 8, long_name, &tensor));
  nrt_tensor_free(NULL);
  nrt_destroy_tensor_set(NULL);
  nrt_tensor_free(&tensor), nrt_tensor_free(&host), nrt_destroy_tensor_set(&set);
  nrt_close();
}

static void expect_no_tensor(nrt_tensor_t *tensor, nrt_tensor_t *good) {
  char bytes[8];
  nrt_tensor_t *other = NULL;
  EXPECT(NRT_INVALID_HANDLE, nrt_tensor_read(tensor, bytes, 0, 8));
  EXPECT(NRT_INVALID_HANDLE, nrt_tensor_write(tensor, bytes, 0, 8));
  EXPECT(NRT_INVALID_HANDLE, nrt_tensor_copy(tensor, 0, good, 0, 8));
  EXPECT(NRT_INVALID_HANDLE, nrt_tensor_copy(good, 0, tensor, 0, 8));
  EXPECT(NRT_INVALID_HANDLE, nrt_tensor_attach_buffer(tensor, bytes, 8));
  EXPECT(NRT_INVALID_HANDLE, nrt_tensor_allocate_slice(tensor, 0, 8, NULL, &other));
  CHECK(nrt_tensor_get_size(tensor) == 0);
  CHECK(nrt_tensor_get_va(tensor) == NULL);
  CHECK(other == NULL);
  other = tensor;
  nrt_tensor_free(&other);
  CHECK(other == NULL);
}

static void null_stale_and_foreign_handles_are_invalid_handles(void) {
  init();
  nrt_tensor_t *good = device_tensor(0, 8), *freed = device_tensor(0, 8);
  nrt_tensor_t *stale = freed;
  nrt_tensor_set_t *set = NULL, *no_set;
  OK(nrt_allocate_tensor_set(&set));
  nrt_tensor_free(&freed);
  char memory[256] = {0};
  expect_no_tensor(NULL, good);
  expect_no_tensor(stale, good);
  expect_no_tensor((nrt_tensor_t *)memory, good);
  expect_no_tensor((nrt_tensor_t *)set, good);
  expect_no_tensor((nrt_tensor_t *)(uintptr_t)1, good);
  /* Nothing that is made later is found by the old handle. */
  for (int i = 0; i < 100; i++) {
    nrt_tensor_t *later = device_tensor(0, 8);
    CHECK(later != stale);
    nrt_tensor_free(&later);
  }
  expect_no_tensor(stale, good);

  nrt_tensor_t *got = NULL;
  nrt_tensor_set_t *sets[] = {NULL, (nrt_tensor_set_t *)good, (nrt_tensor_set_t *)memory};
  for (int i = 0; i < 3; i++) {
    EXPECT(NRT_INVALID_HANDLE, nrt_add_tensor_to_tensor_set(sets[i], "t", good));
    EXPECT(NRT_INVALID_HANDLE, nrt_get_tensor_from_tensor_set(sets[i], "t", &got));
    no_set = sets[i];
    nrt_destroy_tensor_set(&no_set);
  }
  EXPECT(NRT_INVALID_HANDLE, nrt_add_tensor_to_tensor_set(set, "t", stale));
  nrt_tensor_free(&good), nrt_destroy_tensor_set(&set);
  nrt_close();
}

static void sets_hold_tensors_by_name_and_do_not_own_them(void) {
  init();
  nrt_tensor_t *first = device_tensor(0, 8), *second = device_tensor(0, 8), *got = NULL;
  nrt_tensor_set_t *set = NULL;
  OK(nrt_allocate_tensor_set(&set));
  EXPECT(NRT_FAILURE, nrt_get_tensor_from_tensor_set(set, "t", &got));
  CHECK(got == NULL);
  OK(nrt_add_tensor_to_tensor_set(set, "t", first));
  OK(nrt_get_tensor_from_tensor_set(set, "t", &got));
  CHECK(got == first);
  OK(nrt_add_tensor_to_tensor_set(set, "t", second)); /* replaces */
  OK(nrt_add_tensor_to_tensor_set(set, "u", second));
  OK(nrt_get_tensor_from_tensor_set(set, "t", &got));
  CHECK(got == second);
  nrt_tensor_free(&second);
  EXPECT(NRT_INVALID_HANDLE, nrt_get_tensor_from_tensor_set(set, "t", &got));
  nrt_destroy_tensor_set(&set);
  CHECK(set == NULL);
  CHECK(nrt_tensor_get_size(first) == 8);
  nrt_tensor_free(&first);
  nrt_close();
}

static void a_second_free_is_reported_and_harmless(void) {
  init();
  nrt_tensor_t *tensor = device_tensor(0, 8), *again = tensor;
  nrt_tensor_free(&tensor);
  nrt_tensor_free(&again);
  nrt_tensor_free(&again);
  tensor = device_tensor(0, 8);
  OK(nrt_tensor_write(tensor, "abcdefgh", 0, 8));
  nrt_tensor_free(&tensor);
  nrt_close();
}

static void device_memory_is_accounted_per_core(void) {
  setenv("GPSIMD_EMULATED_HBM_BYTES", "1000", 1);
  init();
  nrt_tensor_t *first = device_tensor(0, 600), *slice = NULL, *second = NULL;
  EXPECT(NRT_RESOURCE, nrt_tensor_allocate(NRT_TENSOR_PLACEMENT_DEVICE, 0, 401, "t", &second));
  EXPECT(NRT_RESOURCE, nrt_tensor_allocate(NRT_TENSOR_PLACEMENT_DEVICE, 0, SIZE_MAX, "t", &second));
  nrt_tensor_t *other_core = device_tensor(1, 1000), *host = host_tensor(4000);
  OK(nrt_tensor_allocate_slice(first, 0, 600, NULL, &slice));
  second = device_tensor(0, 400);
  nrt_tensor_free(&first);
  EXPECT(NRT_RESOURCE, nrt_tensor_allocate(NRT_TENSOR_PLACEMENT_DEVICE, 0, 1, "t", &first));
  nrt_tensor_free(&slice);
  first = device_tensor(0, 600);
  nrt_tensor_free(&first), nrt_tensor_free(&second), nrt_tensor_free(&other_core), nrt_tensor_free(&host);
  nrt_close();
}

static void host_memory_that_there_is_not_fails_to_allocate(void) {
  init();
  nrt_tensor_t *tensor = NULL;
  EXPECT(NRT_FAIL_HOST_MEM_ALLOC, nrt_tensor_allocate(NRT_TENSOR_PLACEMENT_HOST, 0, SIZE_MAX, "t", &tensor));
  EXPECT(NRT_FAIL_HOST_MEM_ALLOC, nrt_tensor_allocate(NRT_TENSOR_PLACEMENT_HOST, 0, SIZE_MAX / 4, "t", &tensor));
  CHECK(tensor == NULL);
  nrt_close();
}

RUN_CASES(CASE(what_is_written_is_read), CASE(device_memory_has_no_address_and_host_memory_has),
          CASE(ranges_past_the_end_are_invalid), CASE(slices_share_memory_and_keep_it),
          CASE(attached_buffers_are_used_in_place), CASE(copies_may_overlap),
          CASE(a_copy_between_the_device_memories_of_two_cores_is_invalid),
          CASE(arguments_that_mean_nothing_are_invalid), CASE(null_stale_and_foreign_handles_are_invalid_handles),
          CASE(sets_hold_tensors_by_name_and_do_not_own_them), CASE(a_second_free_is_reported_and_harmless),
          CASE(device_memory_is_accounted_per_core), CASE(host_memory_that_there_is_not_fails_to_allocate))
