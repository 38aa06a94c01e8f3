/* Several processes that want NeuronCores. */
#include "check.h"

/* Has its cores until its input ends. */
static void holds_its_cores(void) {
  init();
  uint32_t count = 0;
  OK(nrt_get_visible_nc_count(&count));
  printf("%u\n", count);
  fflush(stdout);
  while (getchar() != EOF) {}
  nrt_close();
}

static void finds_its_cores_free(void) {
  init();
  nrt_close();
}

static void finds_its_cores_busy(void) {
  EXPECT(NRT_EXEC_NC_BUSY, nrt_init(NRT_FRAMEWORK_TYPE_NO_FW, "", ""));
  nrt_tensor_t *tensor = NULL;
  EXPECT(NRT_UNINITIALIZED, nrt_tensor_allocate(NRT_TENSOR_PLACEMENT_HOST, 0, 8, "t", &tensor));
}

static void has_no_folder_for_locks(void) { EXPECT(NRT_RESOURCE, nrt_init(NRT_FRAMEWORK_TYPE_NO_FW, "", "")); }

RUN_CASES(CASE(holds_its_cores), CASE(finds_its_cores_free), CASE(finds_its_cores_busy), CASE(has_no_folder_for_locks))
