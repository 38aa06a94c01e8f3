// Counts the instructions that kernels execute: a plugin of QEMU's user mode.
//
// Arguments: kernel=START-END and runner=START-END, hexadecimal, of every function of the kernels and of the runner.
// All other functions (soft float, memcpy) are shared: they count for kernels when a kernel ran last, not the runner.
// At the end every block of instructions that counted is a line on standard error: tb ADDRESS INSTRUCTIONS EXECUTIONS.
//
// QEMU's header is not packaged with it: the declarations here are those of its documented plugin interface that are used.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

struct qemu_plugin_tb;
typedef void (*trans_cb)(uint64_t id, struct qemu_plugin_tb *tb);
typedef void (*exec_cb)(unsigned int vcpu, void *data);
typedef void (*exit_cb)(uint64_t id, void *data);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, trans_cb cb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, exec_cb cb, int flags, void *data);
void qemu_plugin_register_atexit_cb(uint64_t id, exit_cb cb, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);

EXPORT int qemu_plugin_version = PLUGIN_VERSION;

enum Owner { SHARED, KERNEL, RUNNER };

struct Range {
  uint64_t start, end;
  enum Owner owner;
};

struct Block {
  uint64_t address, executions;
  size_t instructions;
  enum Owner owner;
  struct Block *next;
};

static struct Range *ranges;
static int range_count;
static struct Block *blocks;
static int in_kernel;

static void executed(unsigned int vcpu, void *data) {
  struct Block *block = data;
  (void)vcpu;
  if (block->owner != SHARED) in_kernel = block->owner == KERNEL;
  if (in_kernel) ++block->executions;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb) {
  struct Block *block = calloc(1, sizeof *block);
  (void)id;
  if (block == NULL) abort();
  block->address = qemu_plugin_tb_vaddr(tb);
  block->instructions = qemu_plugin_tb_n_insns(tb);
  for (int i = 0; i < range_count; ++i) {
    if (block->address >= ranges[i].start && block->address < ranges[i].end) block->owner = ranges[i].owner;
  }
  block->next = blocks;
  blocks = block;
  qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, 0, block);
}

static void ended(uint64_t id, void *data) {
  (void)id;
  (void)data;
  for (const struct Block *block = blocks; block != NULL; block = block->next) {
    if (block->executions == 0) continue;
    fprintf(stderr, "tb %" PRIx64 " %zu %" PRIu64 "\n", block->address, block->instructions, block->executions);
  }
  fprintf(stderr, "end\n");
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv) {
  (void)info;
  ranges = calloc(argc > 0 ? (size_t)argc : 1, sizeof *ranges);
  if (ranges == NULL) return 1;
  for (int i = 0; i < argc; ++i) {
    struct Range *range = &ranges[range_count++];
    if (sscanf(argv[i], "kernel=%" SCNx64 "-%" SCNx64, &range->start, &range->end) == 2) {
      range->owner = KERNEL;
    } else if (sscanf(argv[i], "runner=%" SCNx64 "-%" SCNx64, &range->start, &range->end) == 2) {
      range->owner = RUNNER;
    } else {
      fprintf(stderr, "unknown argument %s\n", argv[i]);
      return 1;
    }
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_atexit_cb(id, ended, NULL);
  return 0;
}
