/* What a long run must not do: grow. */
#include "check.h"

#include <dirent.h>
#include <unistd.h>

static long resident_bytes(void) {
  long pages = 0;
  FILE *statm = fopen("/proc/self/statm", "r");
  CHECK(statm != NULL && fscanf(statm, "%*s %ld", &pages) == 1);
  fclose(statm);
  return pages * sysconf(_SC_PAGESIZE);
}

static int entries(const char *folder) {
  int count = 0;
  DIR *dir = opendir(folder);
  CHECK(dir != NULL);
  while (readdir(dir)) count++;
  closedir(dir);
  return count;
}

typedef struct {
  long resident;
  int descriptors, temporary_files, threads;
} footprint;

static footprint measure(void) {
  return (footprint){resident_bytes(), entries("/proc/self/fd"), entries(getenv("TMPDIR")), entries("/proc/self/task")};
}

static void expect_no_growth(footprint before) {
  footprint after = measure();
  CHECK(after.descriptors == before.descriptors);
  CHECK(after.temporary_files == before.temporary_files);
  CHECK(after.threads == before.threads);
  CHECK(after.resident - before.resident < 1 << 20);
}

static void ten_thousand_executions_do_not_grow(void) {
  init();
  ready r = prepare("chain", 0);
  for (int i = 0; i < 1000; i++) OK(nrt_execute(r.model, r.in, r.out));
  footprint before = measure();
  for (int i = 0; i < 10000; i++) OK(nrt_execute(r.model, r.in, r.out));
  expect_no_growth(before);
  expect_y(&r, 4, 3);
  release(&r);
  nrt_close();
}

static void five_hundred_models_do_not_grow(void) {
  init();
  for (int i = 0; i < 50; i++) {
    ready r = prepare("chain", i % 2);
    OK(nrt_execute(r.model, r.in, r.out));
    release(&r);
  }
  footprint before = measure();
  for (int i = 0; i < 500; i++) {
    ready r = prepare("chain", i % 2);
    OK(nrt_execute(r.model, r.in, r.out));
    release(&r);
  }
  expect_no_growth(before);
  nrt_close();
  CHECK(entries(getenv("TMPDIR")) == 2); /* `.` and `..` */
}

RUN_CASES(CASE(ten_thousand_executions_do_not_grow), CASE(five_hundred_models_do_not_grow))
