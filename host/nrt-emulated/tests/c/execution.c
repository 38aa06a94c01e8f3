/* Executing models: results, what the sets must hold, kernels that fail, time that runs out. */
#include "check.h"

#include <math.h>
#include <time.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void sleep_for(double seconds) {
  struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  nanosleep(&time, NULL);
}

static void a_graph_of_calls_is_computed(void) {
  init();
  ready r = prepare("chain", 1);
  OK(nrt_execute(r.model, r.in, r.out));
  expect_y(&r, 4, 3); /* 2 (2 x) + 3 */
  OK(nrt_execute(r.model, r.in, r.out));
  expect_y(&r, 4, 3);
  release(&r);
  nrt_close();
}

/* y = u/2 (1 + erf(u / sqrt 2)) with u = x + bias, x of 3 rows of 4. */
static void an_op_of_the_bert_trainer_is_computed(void) {
  init();
  nrt_model_t *model = load("gelu", -1);
  float x[12], bias[4] = {0.5f, -0.5f, 0, 2}, y[12];
  for (int i = 0; i < 12; i++) x[i] = (float)i / 2 - 3;
  nrt_tensor_t *tensors[3] = {device_tensor(0, sizeof(x)), device_tensor(0, sizeof(bias)), device_tensor(0, sizeof(y))};
  nrt_tensor_set_t *in = NULL, *out = NULL;
  OK(nrt_allocate_tensor_set(&in));
  OK(nrt_allocate_tensor_set(&out));
  OK(nrt_add_tensor_to_tensor_set(in, "x", tensors[0]));
  OK(nrt_add_tensor_to_tensor_set(in, "bias", tensors[1]));
  OK(nrt_add_tensor_to_tensor_set(out, "y", tensors[2]));
  OK(nrt_tensor_write(tensors[0], x, 0, sizeof(x)));
  OK(nrt_tensor_write(tensors[1], bias, 0, sizeof(bias)));
  OK(nrt_execute(model, in, out));
  OK(nrt_tensor_read(tensors[2], y, 0, sizeof(y)));
  for (int i = 0; i < 12; i++) {
    double u = (double)x[i] + (double)bias[i % 4], expected = u / 2 * (1 + erf(u / sqrt(2)));
    CHECK(fabs((double)y[i] - expected) < 1e-6);
  }
  for (int i = 0; i < 3; i++) nrt_tensor_free(&tensors[i]);
  nrt_destroy_tensor_set(&in), nrt_destroy_tensor_set(&out);
  OK(nrt_unload(model));
  nrt_close();
}

static void a_tensor_that_is_missing_or_of_another_size_is_bad_input(void) {
  init();
  ready r = prepare("doubles", 0);
  nrt_tensor_set_t *empty = NULL;
  OK(nrt_allocate_tensor_set(&empty));
  EXPECT(NRT_EXEC_BAD_INPUT, nrt_execute(r.model, empty, r.out));
  EXPECT(NRT_EXEC_BAD_INPUT, nrt_execute(r.model, r.in, empty));
  nrt_tensor_t *small = device_tensor(0, 31), *large = device_tensor(0, 33), *none = NULL, *part = NULL;
  OK(nrt_tensor_allocate_empty("none", &none));
  nrt_tensor_t *wrong[] = {small, large, none};
  for (int i = 0; i < 3; i++) {
    OK(nrt_add_tensor_to_tensor_set(r.in, "x", wrong[i]));
    EXPECT(NRT_EXEC_BAD_INPUT, nrt_execute(r.model, r.in, r.out));
    OK(nrt_add_tensor_to_tensor_set(r.in, "x", r.x));
    OK(nrt_add_tensor_to_tensor_set(r.out, "y", wrong[i]));
    EXPECT(NRT_EXEC_BAD_INPUT, nrt_execute(r.model, r.in, r.out));
    OK(nrt_add_tensor_to_tensor_set(r.out, "y", r.y));
  }
  OK(nrt_tensor_allocate_slice(large, 1, 32, "part", &part));
  OK(nrt_add_tensor_to_tensor_set(r.out, "y", part));
  OK(nrt_execute(r.model, r.in, r.out));
  nrt_tensor_free(&small), nrt_tensor_free(&large), nrt_tensor_free(&none), nrt_tensor_free(&part);
  nrt_destroy_tensor_set(&empty);
  release(&r);
  nrt_close();
}

static void a_tensor_that_the_model_does_not_have_is_invalid(void) {
  init();
  ready r = prepare("doubles", 0);
  OK(nrt_add_tensor_to_tensor_set(r.in, "z", r.x));
  EXPECT(NRT_INVALID, nrt_execute(r.model, r.in, r.out));
  release(&r);
  nrt_close();
}

static void a_tensor_freed_while_in_a_set_is_an_invalid_handle(void) {
  init();
  ready r = prepare("doubles", 0);
  nrt_tensor_free(&r.x);
  EXPECT(NRT_INVALID_HANDLE, nrt_execute(r.model, r.in, r.out));
  r.x = device_tensor(0, 32);
  EXPECT(NRT_INVALID_HANDLE, nrt_execute(r.model, r.in, r.out));
  OK(nrt_add_tensor_to_tensor_set(r.in, "x", r.x));
  OK(nrt_execute(r.model, r.in, r.out));
  release(&r);
  nrt_close();
}

static void expect_failure(const char *neff, NRT_STATUS status) {
  ready r = prepare(neff, 0);
  const float before[8] = {9, 9, 9, 9, 9, 9, 9, 9};
  OK(nrt_tensor_write(r.y, before, 0, sizeof(before)));
  EXPECT(status, nrt_execute(r.model, r.in, r.out));
  expect_y(&r, 0, 9); /* what it was */
  release(&r);
}

static void an_access_out_of_bounds_is_oob(void) {
  init();
  expect_failure("past_the_end", NRT_EXEC_OOB);
  expect_failure("past_the_tile", NRT_EXEC_OOB);
  expect_failure("past_the_end_unnoticed", NRT_EXEC_OOB);
  expect_failure("faulty_ops", NRT_EXEC_OOB); /* a Rust kernel */
  nrt_close();
}

static void an_access_out_of_bounds_is_oob_in_fast_mode(void) {
  setenv("GPSIMD_EMULATED_MODE", "fast", 1);
  init();
  expect_failure("past_the_end", NRT_EXEC_OOB);
  ready r = prepare("chain", 0);
  OK(nrt_execute(r.model, r.in, r.out));
  expect_y(&r, 4, 3);
  release(&r);
  nrt_close();
}

static void a_kernel_that_fails_completes_with_an_error(void) {
  init();
  expect_failure("refuses", NRT_EXEC_COMPLETED_WITH_ERR);
  expect_failure("panics", NRT_EXEC_COMPLETED_WITH_ERR); /* a Rust kernel */
  ready r = prepare("doubles", 0);
  OK(nrt_execute(r.model, r.in, r.out)); /* the core goes on */
  expect_y(&r, 2, 0);
  release(&r);
  nrt_close();
}

static void a_new_nan_completes_with_a_numerical_error(void) {
  init();
  ready r = prepare("not_a_number", 0);
  float values[8];
  EXPECT(NRT_EXEC_COMPLETED_WITH_NUM_ERR, nrt_execute(r.model, r.in, r.out));
  OK(nrt_tensor_read(r.y, values, 0, sizeof(values)));
  for (int i = 0; i < 8; i++) CHECK(i == 3 ? isnan(values[i]) : values[i] == (float)i);
  values[3] = INFINITY;
  OK(nrt_tensor_write(r.x, values, 0, sizeof(values)));
  OK(nrt_execute(r.model, r.in, r.out));
  values[5] = -NAN, values[3] = 3;
  OK(nrt_tensor_write(r.x, values, 0, sizeof(values)));
  OK(nrt_execute(r.model, r.in, r.out)); /* a NaN came in */
  release(&r);
  r = prepare("doubles", 0);
  const float large[8] = {3e38f, -3e38f};
  OK(nrt_tensor_write(r.x, large, 0, sizeof(large)));
  OK(nrt_execute(r.model, r.in, r.out)); /* an infinity is no NaN, a new one neither */
  release(&r);
  nrt_close();
}

/* Checked mode runs every op twice: `slow` sleeps for 1.6 s, `slower` for 3 s. */
static void an_execution_that_takes_too_long_times_out(void) {
  init();
  setenv("NEURON_RT_EXEC_TIMEOUT", "1", 1);
  ready slow = prepare("slower", 0);
  unsetenv("NEURON_RT_EXEC_TIMEOUT");
  ready quick = prepare("doubles", 0), elsewhere = prepare("doubles", 1);
  const float before[8] = {9, 9, 9, 9, 9, 9, 9, 9};
  char *buffer = malloc(32);
  OK(nrt_tensor_attach_buffer(slow.y, buffer, 32));
  OK(nrt_tensor_write(slow.y, before, 0, 32));

  double start = now();
  EXPECT(NRT_TIMEOUT, nrt_execute(slow.model, slow.in, slow.out));
  CHECK(now() - start >= 1 && now() - start < 3);
  /* Its core is busy until it ends, other cores are not. */
  EXPECT(NRT_EXEC_NC_BUSY, nrt_execute(quick.model, quick.in, quick.out));
  EXPECT(NRT_EXEC_NC_BUSY, nrt_execute(slow.model, slow.in, slow.out));
  OK(nrt_execute(elsewhere.model, elsewhere.in, elsewhere.out));
  /* What it was given can be freed: it works on memory of its own, and writes nothing any more. */
  expect_y(&slow, 0, 9);
  release(&slow);
  memset(buffer, 1, 32);
  sleep_for(3);
  for (int i = 0; i < 32; i++) CHECK(buffer[i] == 1);
  free(buffer);
  OK(nrt_execute(quick.model, quick.in, quick.out));
  expect_y(&quick, 2, 0);
  release(&quick), release(&elsewhere);
  nrt_close();
}

static void close_waits_for_an_execution_that_timed_out(void) {
  init();
  setenv("NEURON_RT_EXEC_TIMEOUT", "1", 1);
  ready slow = prepare("slow", 0);
  double start = now();
  EXPECT(NRT_TIMEOUT, nrt_execute(slow.model, slow.in, slow.out));
  release(&slow);
  nrt_close();
  CHECK(now() - start >= 1.6);
}

static void a_time_of_zero_never_runs_out(void) {
  init();
  setenv("NEURON_RT_EXEC_TIMEOUT", "0", 1);
  ready slow = prepare("slow", 0);
  OK(nrt_execute(slow.model, slow.in, slow.out));
  expect_y(&slow, 2, 0);
  release(&slow);
  nrt_close();
}

static void repeated_executions_take_the_outputs_before_as_inputs(void) {
  init();
  ready r = prepare("doubles", 0);
  OK(nrt_execute_repeat(r.model, r.in, r.out, 5));
  expect_y(&r, 32, 0);
  OK(nrt_execute_repeat(r.model, r.in, r.out, 1));
  expect_y(&r, 2, 0); /* the inputs themselves stay */
  EXPECT(NRT_INVALID, nrt_execute_repeat(r.model, r.in, r.out, 0));
  EXPECT(NRT_INVALID, nrt_execute_repeat(r.model, r.in, r.out, -1));
  release(&r);
  nrt_close();
}

static void a_model_whose_outputs_are_no_inputs_cannot_be_repeated(void) {
  init();
  nrt_model_t *model = load("two_outputs", 0);
  ready r = prepare_loaded(model, 0);
  OK(nrt_add_tensor_to_tensor_set(r.out, "z", r.y));
  OK(nrt_execute_repeat(r.model, r.in, r.out, 1));
  EXPECT(NRT_INVALID, nrt_execute_repeat(r.model, r.in, r.out, 2));
  release(&r);
  nrt_close();
}

static void attached_buffers_of_any_alignment_are_executed_in_place(void) {
  init();
  ready r = prepare("doubles", 0);
  char *memory = calloc(1, 32 + 7);
  float values[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  /* Input and output in one buffer, at an odd address. */
  memcpy(memory + 7, values, sizeof(values));
  OK(nrt_tensor_attach_buffer(r.x, memory + 7, 32));
  OK(nrt_tensor_attach_buffer(r.y, memory + 7, 32));
  OK(nrt_execute(r.model, r.in, r.out));
  memcpy(values, memory + 7, sizeof(values));
  for (int i = 0; i < 8; i++) CHECK(values[i] == (float)(2 * i));
  release(&r);
  free(memory);
  nrt_close();
}

static void a_call_may_write_several_outputs(void) {
  init();
  nrt_model_t *model = load("twice_and_once", 0);
  ready r = prepare_loaded(model, 0);
  nrt_tensor_t *y = r.y, *z = device_tensor(0, 32);
  OK(nrt_add_tensor_to_tensor_set(r.out, "z", z));
  OK(nrt_execute(r.model, r.in, r.out));
  expect_y(&r, 2, 0);
  r.y = z;
  expect_y(&r, 1, 0);
  r.y = y;
  release(&r);
  nrt_tensor_free(&z);
  nrt_close();
}

static void kernels_print(void) {
  init();
  ready r = prepare("prints", 0);
  OK(nrt_execute(r.model, r.in, r.out));
  release(&r);
  nrt_close();
}

RUN_CASES(CASE(a_graph_of_calls_is_computed), CASE(an_op_of_the_bert_trainer_is_computed),
          CASE(a_tensor_that_is_missing_or_of_another_size_is_bad_input),
          CASE(a_tensor_that_the_model_does_not_have_is_invalid),
          CASE(a_tensor_freed_while_in_a_set_is_an_invalid_handle), CASE(an_access_out_of_bounds_is_oob),
          CASE(an_access_out_of_bounds_is_oob_in_fast_mode), CASE(a_kernel_that_fails_completes_with_an_error),
          CASE(a_new_nan_completes_with_a_numerical_error), CASE(an_execution_that_takes_too_long_times_out),
          CASE(close_waits_for_an_execution_that_timed_out), CASE(a_time_of_zero_never_runs_out),
          CASE(repeated_executions_take_the_outputs_before_as_inputs),
          CASE(a_model_whose_outputs_are_no_inputs_cannot_be_repeated),
          CASE(attached_buffers_of_any_alignment_are_executed_in_place),
          CASE(a_call_may_write_several_outputs), CASE(kernels_print))
