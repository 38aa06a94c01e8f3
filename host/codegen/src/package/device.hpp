// ---- The device, as the kernels see it: the vendor's API, and under emulation the emulator's ----

#ifdef GPSIMD_EMULATED
enum { LONGEST_MESSAGE = 1024, PANIC_STACK_BYTES = 4096 };
#else
enum { LONGEST_MESSAGE = 256, PANIC_STACK_BYTES = 2048 };
#endif

// A place in the Rust source.
struct Place {
  const char* file;
  u32 file_bytes, line, column;
};

// An output: its type, and where it is in the tensor that the op returns, counted in elements of that.
struct Output {
  u32 dtype, rank;
  u64 dims[MAX_RANK];
  u64 len;
#ifndef GPSIMD_EMULATED
  u64 start;
  u32 width;  // of an element
#endif
};

// The outputs of an op: how many, and of several the function that says their types.
struct Outputs {
  u32 count;
  ShapeFunction shape;
  u32 shape_operands;  // tensors and sizes, the first operands
};

// The tensors of a launch (operands, sizes, scalars packed into one, and last the outputs), and what went wrong in it.
struct Launch {
  const torch::Tensor* const* operands;
  u32 operand_count;
  Output outputs[MAX_OUTPUTS];
  torch::Tensor returned;
  // Of the failure that is reported now.
  char message[LONGEST_MESSAGE];
  u32 message_bytes;
  bool message_is_cut;
#ifdef GPSIMD_EMULATED
  const gpsimd_device* device;
#else
  u32 tcm_top;  // bytes of the pool that are taken
  // The last request that the pool could not serve.
  u32 refused_bytes, refused_left;
  Place refused_at;
  // The first stage that was dropped: an error only if nothing else is wrong.
  bool has_dropped;
  char dropped[LONGEST_MESSAGE];
  u32 dropped_bytes;
  Place dropped_at;
#endif
};

GPSIMD_INLINE Launch& launch_of(const Instance& w) { return *static_cast<Launch*>(w.host); }

GPSIMD_INLINE const Output* output_of(const Launch& launch, u32 tensor) {
  return tensor < launch.operand_count ? nullptr : &launch.outputs[tensor - launch.operand_count];
}

// Adds to the message of the failure that comes next; one that is too long is cut, not in the middle of a character.
__attribute__((unused, noinline, cold)) static void add_to_message(Launch& launch, const u8* text, u32 bytes) {
  const u32 room = launch.message_is_cut ? 0 : LONGEST_MESSAGE - launch.message_bytes;
  u32 fits = bytes < room ? bytes : room;
  while (fits < bytes && fits > 0 && (text[fits] & 0xc0) == 0x80) --fits;
  __builtin_memcpy(launch.message + launch.message_bytes, text, fits);
  launch.message_bytes += fits;
  launch.message_is_cut |= fits < bytes;
}

GPSIMD_INLINE void import_gpsimd_fail_text(Instance& w, u8* m, u32 text, u32 bytes) {
  add_to_message(launch_of(w), m + text, bytes);
}

__attribute__((unused, noinline, cold)) static void import_gpsimd_fail_number(Instance& w, u8*, u64 number) {
  u8 digits[20];
  u32 first = sizeof digits;
  do {
    digits[--first] = static_cast<u8>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  add_to_message(launch_of(w), digits + first, static_cast<u32>(sizeof digits) - first);
}

GPSIMD_INLINE u32 import_gpsimd_core_id(Instance&, u8*) { return get_cpu_id(); }
GPSIMD_INLINE u32 import_gpsimd_core_count(Instance&, u8*) { return get_cpu_count(); }
GPSIMD_INLINE u32 import_gpsimd_tensor_dtype(Instance& w, u8*, u32 tensor) {
  const Launch& launch = launch_of(w);
  const Output* const output = output_of(launch, tensor);
  return output == nullptr ? dtype_code(launch.operands[tensor]->dtype()) : output->dtype;
}
GPSIMD_INLINE u32 import_gpsimd_tensor_rank(Instance& w, u8*, u32 tensor) {
  const Launch& launch = launch_of(w);
  const Output* const output = output_of(launch, tensor);
  return output == nullptr ? static_cast<u32>(launch.operands[tensor]->sizes().size()) : output->rank;
}
GPSIMD_INLINE u64 import_gpsimd_tensor_dim(Instance& w, u8*, u32 tensor, u32 dim) {
  const Launch& launch = launch_of(w);
  const Output* const output = output_of(launch, tensor);
  return output == nullptr ? static_cast<u64>(launch.operands[tensor]->sizes()[dim]) : output->dims[dim];
}
GPSIMD_INLINE u64 import_gpsimd_tensor_len(Instance& w, u8*, u32 tensor) {
  const Launch& launch = launch_of(w);
  const Output* const output = output_of(launch, tensor);
  const u64 elements = output == nullptr ? static_cast<u64>(launch.operands[tensor]->numel()) : output->len;
  // Kernels count in 32 bits there.
  if (elements > 0xffffffffu) gpsimd_trap("a tensor has more than 4294967295 elements: split it");
  return elements;
}

#ifdef GPSIMD_EMULATED
// Calls of the device table, as a native library makes them: the same checks, the same messages.

GPSIMD_INLINE gpsimd_location location(const u8* m, u32 file, u32 file_bytes, u32 line, u32 column) {
  return gpsimd_location{{reinterpret_cast<const char*>(m + file), file_bytes}, line, column};
}

// The emulator changes the pool, which is a part of what `m` leads to.
#define GPSIMD_POOL_CHANGED(m) __asm__ volatile("" : : "r"(m) : "memory")

__attribute__((unused, noinline)) static u32 import_gpsimd_tcm_left(Instance& w, u8*) {
  const gpsimd_device& device = *launch_of(w).device;
  return device.tcm_left(device.context);
}

__attribute__((unused, noinline)) static u32 import_gpsimd_tcm_alloc(Instance& w, u8* m, u32 bytes, u32 file,
                                                                     u32 file_bytes, u32 line, u32 column) {
  const gpsimd_device& device = *launch_of(w).device;
  const gpsimd_location at = location(m, file, file_bytes, line, column);
  u8* const tcm = static_cast<u8*>(device.tcm_alloc(device.context, bytes, &at));
  // In fast mode nobody finds out what a kernel reads before it writes: let it be the same in every launch.
  if (tcm != nullptr && device.tcm_top != nullptr) __builtin_memset(tcm, 0, bytes);
  GPSIMD_POOL_CHANGED(m);
  return tcm == nullptr ? 0 : static_cast<u32>(tcm - m);
}

__attribute__((unused, noinline)) static void import_gpsimd_tcm_free(Instance& w, u8* m, u32 tcm, u32, u32 file,
                                                                     u32 file_bytes, u32 line, u32 column) {
  const gpsimd_device& device = *launch_of(w).device;
  const gpsimd_location at = location(m, file, file_bytes, line, column);
  device.tcm_free(device.context, m + tcm, &at);
  GPSIMD_POOL_CHANGED(m);
}

__attribute__((unused, noinline)) static u32 import_gpsimd_load(Instance& w, u8* m, u32 tensor, u64 start, u64 len,
                                                                u32 tcm, u32 file, u32 file_bytes, u32 line,
                                                                u32 column) {
  const gpsimd_device& device = *launch_of(w).device;
  const gpsimd_location at = location(m, file, file_bytes, line, column);
  const u32 status = device.load(device.context, tensor, start, len, m + tcm, &at);
  GPSIMD_POOL_CHANGED(m);
  return status;
}

__attribute__((unused, noinline)) static u32 import_gpsimd_store(Instance& w, u8* m, u32 tensor, u64 start, u64 len,
                                                                 u32 tcm, u32 file, u32 file_bytes, u32 line,
                                                                 u32 column) {
  const gpsimd_device& device = *launch_of(w).device;
  const gpsimd_location at = location(m, file, file_bytes, line, column);
  return device.store(device.context, tensor, start, len, m + tcm, &at);
}

// A kernel goes on after a failure, unless it panicked; the emulator knows which one counts.
__attribute__((unused, noinline, cold)) static void import_gpsimd_fail(Instance& w, u8* m, u32 code, u32 file,
                                                                       u32 file_bytes, u32 line, u32 column) {
  Launch& launch = launch_of(w);
  const gpsimd_device& device = *launch.device;
  const gpsimd_location at = location(m, file, file_bytes, line, column);
  device.fail(device.context, code, gpsimd_text{launch.message, launch.message_bytes}, &at);
  launch.message_bytes = 0;
  launch.message_is_cut = false;
  if (code == FAILURE_PANIC) gpsimd::stop(*gpsimd::current_frame());
}

__attribute__((unused, noinline, cold)) static u32 import_gpsimd_start_panic(Instance& w, u8*) {
  return start_panic(w, GPSIMD_TCM_BELOW - PANIC_STACK_BYTES, PANIC_STACK_BYTES);
}

GPSIMD_INLINE void import_gpsimd_print_text(Instance& w, u8* m, u32 text, u32 len) {
  const gpsimd_device& device = *launch_of(w).device;
  device.print_text(device.context, gpsimd_text{reinterpret_cast<const char*>(m + text), len});
}
GPSIMD_INLINE void import_gpsimd_print_float(Instance& w, u8*, f64 value) {
  launch_of(w).device->print_float(launch_of(w).device->context, value);
}
GPSIMD_INLINE void import_gpsimd_print_signed(Instance& w, u8*, u64 value) {
  launch_of(w).device->print_signed(launch_of(w).device->context, static_cast<i64>(value));
}
GPSIMD_INLINE void import_gpsimd_print_unsigned(Instance& w, u8*, u64 value) {
  launch_of(w).device->print_unsigned(launch_of(w).device->context, value);
}

// ---- The ops ----

// Runs one core's part of a launch. The kernels' linear memory is the emulator's pool and, below that, what the library
// has in TCM besides: stack and constants.
static torch::Tensor launch(const torch::Tensor* const* operands, u32 operand_count,
                            u32 (*run)(Instance&, u8* __restrict), const Outputs& outputs) {
  Launch launch;
  launch.operands = operands;
  launch.operand_count = operand_count;
  launch.returned = get_dst_tensor();
  launch.message_bytes = 0;
  launch.message_is_cut = false;
  launch.device = gpsimd::core_for("launch", gpsimd::Location::here()).device;
  for (u32 i = 0; i < outputs.count; ++i) {
    const gpsimd_tensor& tensor = launch.device->tensors[operand_count + i];
    Output& output = launch.outputs[i];
    output.dtype = tensor.ty.dtype;
    output.rank = tensor.ty.rank;
    __builtin_memcpy(output.dims, tensor.ty.dims, sizeof output.dims);
    output.len = tensor.len;
  }
  u8* const memory = launch.device->tcm - GPSIMD_TCM_BELOW;
  Instance w = {};
  w.memory = memory;
  w.memory_bytes = GPSIMD_TCM_BELOW + launch.device->tcm_bytes;
  w.host = &launch;
  instantiate(w, memory);
  if (run(w, memory) != 0) gpsimd::stop(*gpsimd::current_frame());
  return launch.returned;
}

#else
// What is wrong is printed, and ends the launch. The device shows what core 0 prints.

[[noreturn]] __attribute__((noinline, cold)) static void fail_at(const Place& at, const char* text, u32 bytes) {
  printf("gpsimd: %.*s:%u:%u: %.*s\n", static_cast<int>(at.file_bytes), at.file, static_cast<unsigned>(at.line),
         static_cast<unsigned>(at.column), static_cast<int>(bytes), text);
  abort();
}

[[noreturn]] __attribute__((noinline, cold)) static void pool_exhausted(const Launch& launch) {
  const Place& at = launch.refused_at;
  printf("gpsimd: %.*s:%u:%u: the TCM pool is exhausted: %u bytes asked, %u of %u left; use smaller tiles\n",
         static_cast<int>(at.file_bytes), at.file, static_cast<unsigned>(at.line), static_cast<unsigned>(at.column),
         static_cast<unsigned>(launch.refused_bytes), static_cast<unsigned>(launch.refused_left),
         static_cast<unsigned>(POOL_BYTES));
  abort();
}

[[noreturn]] __attribute__((unused, noinline, cold)) static void dma_outside(const Place& at, const char* what, u32 tensor,
                                                                             u64 start, u64 len, u64 elements) {
  printf("gpsimd: %.*s:%u:%u: %s of %llu elements from element %llu of tensor %u goes past its end: it has %llu\n",
         static_cast<int>(at.file_bytes), at.file, static_cast<unsigned>(at.line), static_cast<unsigned>(at.column), what,
         static_cast<unsigned long long>(len), static_cast<unsigned long long>(start), static_cast<unsigned>(tensor),
         static_cast<unsigned long long>(elements));
  abort();
}

GPSIMD_INLINE Place place(const u8* m, u32 file, u32 file_bytes, u32 line, u32 column) {
  return Place{reinterpret_cast<const char*>(m + file), file_bytes, line, column};
}

GPSIMD_INLINE u32 import_gpsimd_tcm_left(Instance& w, u8*) { return POOL_BYTES - launch_of(w).tcm_top; }

GPSIMD_INLINE u32 import_gpsimd_tcm_alloc(Instance& w, u8* m, u32 bytes, u32 file, u32 file_bytes, u32 line, u32 column) {
  Launch& launch = launch_of(w);
  const u32 left = POOL_BYTES - launch.tcm_top;
  if (bytes > left) {
    launch.refused_bytes = bytes;
    launch.refused_left = left;
    launch.refused_at = place(m, file, file_bytes, line, column);
    return 0;
  }
  const u32 tcm = POOL_START + launch.tcm_top;
  launch.tcm_top += bytes;
  return tcm;
}

GPSIMD_INLINE void import_gpsimd_tcm_free(Instance& w, u8* m, u32 tcm, u32 bytes, u32 file, u32 file_bytes, u32 line,
                                          u32 column) {
  Launch& launch = launch_of(w);
  if (tcm + bytes != POOL_START + launch.tcm_top) {
    const char message[] = "TCM buffers must be freed in reverse order";
    fail_at(place(m, file, file_bytes, line, column), message, sizeof message - 1);
  }
  launch.tcm_top -= bytes;
}

__attribute__((unused, noinline)) static u32 import_gpsimd_load(Instance& w, u8* m, u32 tensor, u64 start, u64 len,
                                                                u32 tcm, u32 file, u32 file_bytes, u32 line,
                                                                u32 column) {
  if (tensor >= launch_of(w).operand_count) gpsimd_trap("a load of an output");
  const torch::Tensor& from = *launch_of(w).operands[tensor];
  const u64 elements = static_cast<u64>(from.numel());
  if (start > elements || len > elements - start) {
    dma_outside(place(m, file, file_bytes, line, column), "load", tensor, start, len, elements);
  }
  const size_t at = static_cast<size_t>(start), count = static_cast<size_t>(len);
#define LOAD(code, name, type) \
  if (from.dtype() == torch::name) from.tcm_accessor().tensor_to_tcm<type>(reinterpret_cast<type*>(m + tcm), at, count);
  GPSIMD_DTYPES(LOAD)
#undef LOAD
  return 0;
}

// Stores elements of the tensor that the op returns.
GPSIMD_INLINE void store_returned(Launch& launch, u8* tcm, u64 start, u64 len) {
  const size_t at = static_cast<size_t>(start), count = static_cast<size_t>(len);
  torch::Tensor& to = launch.returned;
#define STORE(code, name, type) \
  if (to.dtype() == torch::name) to.tcm_accessor().tcm_to_tensor<type>(reinterpret_cast<type*>(tcm), at, count);
  GPSIMD_DTYPES(STORE)
#undef STORE
}

__attribute__((unused, noinline)) static u32 import_gpsimd_store(Instance& w, u8* m, u32 tensor, u64 start, u64 len,
                                                                 u32 tcm, u32 file, u32 file_bytes, u32 line,
                                                                 u32 column) {
  Launch& launch = launch_of(w);
  const Output* const output = output_of(launch, tensor);
  if (output == nullptr) gpsimd_trap("a store to an operand");
  if (start > output->len || len > output->len - start) {
    dma_outside(place(m, file, file_bytes, line, column), "store", tensor, start, len, output->len);
  }
  store_returned(launch, m + tcm, output->start + start * output->width, len * output->width);
  return 0;
}

__attribute__((unused, noinline, cold)) static void import_gpsimd_fail(Instance& w, u8* m, u32 code, u32 file,
                                                                       u32 file_bytes, u32 line, u32 column) {
  Launch& launch = launch_of(w);
  const Place at = place(m, file, file_bytes, line, column);
  if (code != FAILURE_DROPPED) {
    if (code == FAILURE_DEVICE && launch.refused_bytes != 0) pool_exhausted(launch);
    fail_at(at, launch.message, launch.message_bytes);
  }
  if (!launch.has_dropped) {
    launch.has_dropped = true;
    launch.dropped_at = at;
    launch.dropped_bytes = launch.message_bytes;
    __builtin_memcpy(launch.dropped, launch.message, launch.message_bytes);
  }
  launch.message_bytes = 0;
  launch.message_is_cut = false;
}

__attribute__((unused, noinline, cold)) static u32 import_gpsimd_start_panic(Instance& w, u8* m) {
  // Not in TCM: addresses have 32 bits there, so that all memory lies at some distance from `m`.
  static u8 stack[PANIC_STACK_BYTES] __attribute__((aligned(16)));
  return start_panic(w, static_cast<u32>(reinterpret_cast<uintptr_t>(stack) - reinterpret_cast<uintptr_t>(m)),
                     PANIC_STACK_BYTES);
}

GPSIMD_INLINE void import_gpsimd_print_text(Instance&, u8* m, u32 text, u32 len) {
  if (get_cpu_id() == 0) printf("%.*s", static_cast<int>(len), reinterpret_cast<const char*>(m + text));
}
GPSIMD_INLINE void import_gpsimd_print_float(Instance&, u8*, f64 value) {
  if (get_cpu_id() == 0) printf("%g", value);
}
GPSIMD_INLINE void import_gpsimd_print_signed(Instance&, u8*, u64 value) {
  if (get_cpu_id() == 0) printf("%lld", static_cast<long long>(value));
}
GPSIMD_INLINE void import_gpsimd_print_unsigned(Instance&, u8*, u64 value) {
  if (get_cpu_id() == 0) printf("%llu", static_cast<unsigned long long>(value));
}

// ---- The ops ----

// The output that is the tensor that the op returns.
GPSIMD_INLINE void find_output(Launch& launch) {
  Output& output = launch.outputs[0];
  output.dtype = dtype_code(launch.returned.dtype());
  output.rank = static_cast<u32>(launch.returned.sizes().size());
  for (u32 dim = 0; dim < output.rank; ++dim) output.dims[dim] = static_cast<u64>(launch.returned.sizes()[dim]);
  output.len = static_cast<u64>(launch.returned.numel());
  output.start = 0;
  output.width = 1;
}

// Several outputs: the shape function says their types again. The pool, which nobody uses yet, has room for them.
__attribute__((unused, noinline)) static void find_outputs(Instance& w, u8* m, Launch& launch, const Outputs& outputs) {
  const u32 types = POOL_START + outputs.shape_operands * TYPE_BYTES, error = types + outputs.count * TYPE_BYTES;
  for (u32 i = 0; i < outputs.shape_operands; ++i) write_type(m, POOL_START + i * TYPE_BYTES, *launch.operands[i]);
  if (outputs.shape(w, m, POOL_START, outputs.shape_operands, types, outputs.count, error) != 0) {
    gpsimd_trap("the shape function refuses the operands of a launch");
  }
  const Packing packing = packing_of(m, types, outputs.count);
  if (packing.len > 0xffffffffu) gpsimd_trap("the outputs take more than 4294967295 elements when packed: split them");
  const u32 dtype = dtype_code(launch.returned.dtype());
  if (packing.dtype != dtype || packing.len != static_cast<u64>(launch.returned.numel())) {
    gpsimd_trap("the outputs do not fit the tensor that the shape function made: build both sources of the package again");
  }
  for (u32 i = 0; i < outputs.count; ++i) {
    const u32 type = types + i * TYPE_BYTES;
    Output& output = launch.outputs[i];
    output.dtype = i32_load(m, type, 0u);
    output.rank = i32_load(m, type, 4u);
    for (u32 dim = 0; dim < output.rank; ++dim) output.dims[dim] = i64_load(m, type, 8u + 8u * dim);
    output.len = elements_of_type(m, type);
    output.start = packing.starts[i];
    output.width = bytes_of_dtype(output.dtype) / packing.element_bytes;
  }
  if (get_cpu_id() != 0) return;
  // What is between two outputs is the same in every launch, too.
  __builtin_memset(m + POOL_START, 0, 64);
  for (u32 i = 1; i < outputs.count; ++i) {
    const Output& before = launch.outputs[i - 1];
    const u64 end = before.start + before.len * before.width;
    if (end < launch.outputs[i].start) store_returned(launch, m + POOL_START, end, launch.outputs[i].start - end);
  }
}

// Runs one core's part of a launch in a block of TCM that is the kernels' linear memory.
static torch::Tensor launch(const torch::Tensor* const* operands, u32 operand_count,
                            u32 (*run)(Instance&, u8* __restrict), const Outputs& outputs) {
  void* const block = torch::neuron::tcm_malloc(TCM_BYTES + 64);
  if (block == nullptr) gpsimd_trap("the TCM pool is exhausted");
  u8* const memory = reinterpret_cast<u8*>((reinterpret_cast<uintptr_t>(block) + 63) & ~static_cast<uintptr_t>(63));
  Launch launch;
  launch.operands = operands;
  launch.operand_count = operand_count;
  launch.returned = get_dst_tensor();
  launch.message_bytes = 0;
  launch.message_is_cut = false;
  launch.tcm_top = 0;
  launch.refused_bytes = 0;
  launch.has_dropped = false;
  Instance w = {};
  w.memory = memory;
  w.memory_bytes = TCM_BYTES;
  w.host = &launch;
  instantiate(w, memory);
  if (MAX_OUTPUTS > 1 && outputs.count > 1) {
    find_outputs(w, memory, launch, outputs);
  } else {
    find_output(launch);
  }
  if (run(w, memory) != 0) gpsimd_trap("the kernel failed");
  if (launch.has_dropped) fail_at(launch.dropped_at, launch.dropped, launch.dropped_bytes);
  torch::neuron::tcm_free(block);
  return launch.returned;
}
#endif

