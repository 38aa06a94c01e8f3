/* Several threads of one program. */
#include "check.h"

#include <pthread.h>
#include <time.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void run_all(int count, void *(*run)(void *), void *arguments, size_t size) {
  pthread_t threads[16];
  for (int i = 0; i < count; i++) CHECK(pthread_create(&threads[i], NULL, run, (char *)arguments + (size_t)i * size) == 0);
  for (int i = 0; i < count; i++) CHECK(pthread_join(threads[i], NULL) == 0);
}

/* Executes a model again and again on inputs of its own. */
typedef struct {
  ready r;
  int number;
} client;

static void *execute_often(void *argument) {
  client *c = argument;
  for (int round = 0; round < 200; round++) {
    float x[8];
    for (int i = 0; i < 8; i++) x[i] = (float)(c->number * 100000 + round * 100 + i);
    OK(nrt_tensor_write(c->r.x, x, 0, sizeof(x)));
    OK(nrt_execute(c->r.model, c->r.in, c->r.out));
    float y[8];
    OK(nrt_tensor_read(c->r.y, y, 0, sizeof(y)));
    for (int i = 0; i < 8; i++) CHECK(y[i] == x[i] * 4 + 3);
  }
  return NULL;
}

static void two_threads_execute_one_model(void) {
  init();
  nrt_model_t *model = load("chain", 0);
  client clients[2] = {{prepare_loaded(model, 0), 1}, {prepare_loaded(model, 0), 2}};
  run_all(2, execute_often, clients, sizeof(client));
  clients[1].r.model = load("doubles", 0);
  release(&clients[0].r), release(&clients[1].r);
  nrt_close();
}

static void four_threads_execute_four_models_on_two_cores(void) {
  init();
  client clients[4];
  for (int i = 0; i < 4; i++) clients[i] = (client){prepare("chain", i % 2), i};
  run_all(4, execute_often, clients, sizeof(client));
  for (int i = 0; i < 4; i++) release(&clients[i].r);
  nrt_close();
}

static void *execute_once(void *argument) {
  ready *r = argument;
  OK(nrt_execute(r->model, r->in, r->out));
  return NULL;
}

/* `slow` sleeps for 1.6 s. */
static void two_models_on_two_cores_run_at_the_same_time(void) {
  init();
  /* Placed by the runtime: one on each core. */
  ready models[2] = {prepare_loaded(load("slow", -1), 0), prepare_loaded(load("slow", -1), 1)};
  double start = now();
  run_all(2, execute_once, models, sizeof(ready));
  double both = now() - start;
  CHECK(both >= 1.6 && both < 2.8);
  release(&models[0]), release(&models[1]);
  nrt_close();
}

static void one_core_runs_one_execution_at_a_time(void) {
  init();
  ready models[2] = {prepare("slow", 0), prepare("slow", 0)};
  double start = now();
  run_all(2, execute_once, models, sizeof(ready));
  CHECK(now() - start >= 3.2);
  release(&models[0]), release(&models[1]);
  nrt_close();
}

static NRT_STATUS waiting_status = NRT_SUCCESS;

static void *execute_behind(void *argument) {
  ready *r = argument;
  struct timespec time = {0, 300000000};
  nanosleep(&time, NULL);
  waiting_status = nrt_execute(r->model, r->in, r->out);
  return NULL;
}

static void a_thread_that_waits_for_a_core_learns_that_it_stays_busy(void) {
  init();
  setenv("NEURON_RT_EXEC_TIMEOUT", "1", 1);
  ready slow = prepare("slower", 0), behind = prepare("doubles", 0);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, execute_behind, &behind) == 0);
  EXPECT(NRT_TIMEOUT, nrt_execute(slow.model, slow.in, slow.out));
  CHECK(pthread_join(thread, NULL) == 0);
  CHECK(waiting_status == NRT_EXEC_NC_BUSY);
  release(&slow), release(&behind);
  nrt_close();
}

static void *close_soon(void *argument) {
  (void)argument;
  struct timespec time = {0, 300000000};
  nanosleep(&time, NULL);
  nrt_close();
  return NULL;
}

static void close_waits_for_executions_of_other_threads(void) {
  init();
  ready slow = prepare("slow", 0);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, close_soon, NULL) == 0);
  OK(nrt_execute(slow.model, slow.in, slow.out));
  CHECK(pthread_join(thread, NULL) == 0);
  EXPECT(NRT_CLOSED, nrt_unload(slow.model));
}

static void *make_and_free(void *argument) {
  int number = *(int *)argument;
  for (int i = 0; i < 500; i++) {
    nrt_tensor_t *tensor = device_tensor(number % 2, 64), *slice = NULL;
    int found = 0;
    OK(nrt_tensor_write(tensor, &number, 60, sizeof(number)));
    OK(nrt_tensor_allocate_slice(tensor, 60, 4, NULL, &slice));
    nrt_tensor_free(&tensor);
    OK(nrt_tensor_read(slice, &found, 0, sizeof(found)));
    CHECK(found == number);
    nrt_tensor_free(&slice);
  }
  return NULL;
}

static void threads_make_and_free_tensors(void) {
  init();
  int numbers[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  run_all(8, make_and_free, numbers, sizeof(int));
  nrt_close();
}

/* Opposite copies between two tensors: nothing waits forever. */
static nrt_tensor_t *pair[2];

static void *copy_often(void *argument) {
  int from = *(int *)argument;
  for (int i = 0; i < 2000; i++) OK(nrt_tensor_copy(pair[from], 0, pair[1 - from], 0, 64));
  return NULL;
}

static void opposite_copies_end(void) {
  init();
  pair[0] = device_tensor(0, 64), pair[1] = device_tensor(0, 64);
  int from[4] = {0, 1, 0, 1};
  run_all(4, copy_often, from, sizeof(int));
  nrt_tensor_free(&pair[0]), nrt_tensor_free(&pair[1]);
  nrt_close();
}

RUN_CASES(CASE(two_threads_execute_one_model), CASE(four_threads_execute_four_models_on_two_cores),
          CASE(two_models_on_two_cores_run_at_the_same_time), CASE(one_core_runs_one_execution_at_a_time),
          CASE(a_thread_that_waits_for_a_core_learns_that_it_stays_busy),
          CASE(close_waits_for_executions_of_other_threads), CASE(threads_make_and_free_tensors),
          CASE(opposite_copies_end))
