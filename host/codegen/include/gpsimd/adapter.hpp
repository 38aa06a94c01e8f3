// Between the C interface of an op library and functions written for the device API. Included by the source that the
// build writes for every library, and by nothing else: it takes over `printf` and `abort` of the library.
#ifndef GPSIMD_ADAPTER_HPP
#define GPSIMD_ADAPTER_HPP

#include <torch/torch.h>

namespace gpsimd {

// An op as its adapter knows it.
struct AdaptedOp {
  const char *name;
  const char *const *tensor_names;  // the operands, the sizes, `params` if there are scalars, the outputs
  bool is_multicore;
  uint32_t scalars;
  torch::Tensor (*call)(const torch::Tensor *operands);
};

// Writes what the op returned, when it did not ask for the output itself.
inline void write_returned(Core &core, const torch::Tensor &returned) {
  const Location where{nullptr, 0};
  const torch::Tensor output(core.output);
  if (!returned.defined()) refuse(where, "the op returned no tensor, and did not write its output with `get_dst_tensor`");
  const TensorData &data = returned.data_of("return", where);
  if (returned.scalar_type() != output.scalar_type() || returned.sizes() != output.sizes()) {
    Message message;
    message.add("the op returned a tensor of type ").add(returned.scalar_type()).add(returned.sizes());
    message.add(", its shape function says ").add(output.scalar_type()).add(output.sizes());
    refuse(where, "%s", message.text());
  }
  char chunk[4096];
  const uint64_t step = sizeof chunk / data.element_bytes;
  for (uint64_t done = 0; done < data.len; done += step) {
    const uint64_t count = data.len - done < step ? data.len - done : step;
    core.read(data, done, count, chunk, where);
    core.write(*core.output, done, count, chunk, where);
  }
}

inline void run_op(const AdaptedOp &op, Core &core, TensorData *tensors) {
  const gpsimd_device &device = *core.device;
  const uint32_t operands = device.tensor_count - device.output_count;
  torch::Tensor handles[64];
  for (uint32_t i = 0; i < device.tensor_count; ++i) {
    const gpsimd_tensor &tensor = device.tensors[i];
    const size_t element_bytes = element_info(static_cast<c10::ScalarType>(tensor.ty.dtype)).bytes;
    tensors[i] = TensorData{tensor.ty,     tensor.len, op.tensor_names[i], static_cast<int64_t>(i),
                            static_cast<char *>(tensor.direct), element_bytes};
    handles[i] = torch::Tensor(&tensors[i]);
  }
  // The one that there is: an op of several, a package's, takes them from the device table.
  core.output = &tensors[operands];
  const torch::Tensor returned = op.call(handles);
  for (uint32_t i = 0; i < core.buffer_count; ++i) {
    const TcmBuffer &buffer = core.buffers[i];
    if (buffer.is_live) {
      refuse(buffer.where, "the op returned with these %zu bytes of TCM not freed: call `tcm_free` before", buffer.bytes);
    }
  }
  if (!core.is_multicore && !core.took_output) write_returned(core, returned);
}

// Runs one core's part of a launch.
inline uint32_t run(const AdaptedOp &op, const gpsimd_device *device) {
  // In single-core mode the other cores have no part in it.
  if (!op.is_multicore && device->core_id != 0) return GPSIMD_STATUS_OK;
  TensorData tensors[64];
  Core core;
  core.device = device;
  core.is_multicore = op.is_multicore;
  core.took_output = false;
  core.output = nullptr;
  core.buffer_count = 0;
  core.refused_bytes = 0;
  memcpy(core.fresh, device->tcm, sizeof core.fresh);
  Frame frame;
  frame.core = &core;
  return run_in(frame, [&] { run_op(op, core, tensors); }) ? GPSIMD_STATUS_OK : GPSIMD_STATUS_FAILED;
}

// What `printf` prints, on core 0; on the others it shows nothing on the device either.
inline int print(const char *format, va_list arguments) {
  Frame *frame = current_frame();
  if (frame == nullptr || frame->core == nullptr) return vfprintf(stdout, format, arguments);
  va_list again;
  va_copy(again, arguments);
  const int len = vsnprintf(nullptr, 0, format, again);
  va_end(again);
  const gpsimd_device *device = frame->core->device;
  if (len <= 0 || device->core_id != 0) return len;
  char *text = static_cast<char *>(malloc(static_cast<size_t>(len) + 1));
  if (text == nullptr) return -1;
  vsnprintf(text, static_cast<size_t>(len) + 1, format, arguments);
  device->print_text(device->context, gpsimd_text{text, static_cast<size_t>(len)});
  free(text);
  return len;
}

}  // namespace gpsimd

#define GPSIMD_STRING_OF(token) #token
#define GPSIMD_STRING(token) GPSIMD_STRING_OF(token)

// Defines a C function of the system's for this library alone: nothing else of the process sees it. The name is given to
// the assembler, because a declaration under the C name would not match the system's own.
#define GPSIMD_TAKES_OVER(name) \
  __asm__(GPSIMD_STRING(__USER_LABEL_PREFIX__) #name) __attribute__((visibility("hidden"), used))

extern "C" {

int gpsimd_printf(const char *format, ...) GPSIMD_TAKES_OVER(printf);
int gpsimd_vprintf(const char *format, va_list arguments) GPSIMD_TAKES_OVER(vprintf);
// Compilers turn simple calls of `printf` into these two.
int gpsimd_puts(const char *text) GPSIMD_TAKES_OVER(puts);
int gpsimd_putchar(int character) GPSIMD_TAKES_OVER(putchar);
[[noreturn]] void gpsimd_abort() GPSIMD_TAKES_OVER(abort);
#ifdef __GLIBC__
[[noreturn]] void gpsimd_assert_fail(const char *condition, const char *file, unsigned line, const char *function)
    GPSIMD_TAKES_OVER(__assert_fail);
#endif

int gpsimd_printf(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int len = gpsimd::print(format, arguments);
  va_end(arguments);
  return len;
}

int gpsimd_vprintf(const char *format, va_list arguments) { return gpsimd::print(format, arguments); }

int gpsimd_puts(const char *text) { return gpsimd_printf("%s\n", text); }

int gpsimd_putchar(int character) {
  gpsimd_printf("%c", character);
  return character;
}

void gpsimd_abort() { gpsimd::stop(GPSIMD_FAILURE_PANIC, "`abort` was called", gpsimd::Location{nullptr, 0}); }

#ifdef __GLIBC__
void gpsimd_assert_fail(const char *condition, const char *file, unsigned line, const char *) {
  gpsimd::Message message;
  message.add("assertion `").add(condition).add("` failed");
  gpsimd::stop(GPSIMD_FAILURE_PANIC, message.text(), gpsimd::Location{file, line});
}
#endif

// Defined by `NEURON_LIBRARY` of the shape source.
uint32_t gpsimd_call_shape(const char *op, const gpsimd_tensor_type *operands, uint32_t operand_count,
                           gpsimd_tensor_type *outputs, uint32_t output_count, gpsimd_shape_error *error);
}

namespace gpsimd {

// Calls an op's shape function; `params` follows tensors and sizes when the op has scalars.
inline uint32_t shape(const AdaptedOp &op, const gpsimd_tensor_type *operands, uint32_t count,
                      gpsimd_tensor_type *outputs, uint32_t output_count, gpsimd_shape_error *error) {
  gpsimd_tensor_type all[64];
  memcpy(all, operands, count * sizeof *all);
  if (op.scalars != 0) all[count++] = gpsimd_tensor_type{GPSIMD_I32, 1, {op.scalars}};
  return gpsimd_call_shape(op.name, all, count, outputs, output_count, error);
}

// The CPU features that the compiler was allowed to use.
constexpr char CPU_FEATURES[] = ""
#ifdef __SSE3__
    "sse3,"
#endif
#ifdef __SSSE3__
    "ssse3,"
#endif
#ifdef __SSE4_1__
    "sse4.1,"
#endif
#ifdef __SSE4_2__
    "sse4.2,"
#endif
#ifdef __POPCNT__
    "popcnt,"
#endif
#ifdef __AVX__
    "avx,"
#endif
#ifdef __AVX2__
    "avx2,"
#endif
#ifdef __FMA__
    "fma,"
#endif
#ifdef __F16C__
    "f16c,"
#endif
#ifdef __BMI__
    "bmi1,"
#endif
#ifdef __BMI2__
    "bmi2,"
#endif
#ifdef __LZCNT__
    "lzcnt,"
#endif
#ifdef __MOVBE__
    "movbe,"
#endif
#ifdef __AVX512F__
    "avx512f,"
#endif
#ifdef __AVX512CD__
    "avx512cd,"
#endif
#ifdef __AVX512BW__
    "avx512bw,"
#endif
#ifdef __AVX512DQ__
    "avx512dq,"
#endif
#ifdef __AVX512VL__
    "avx512vl,"
#endif
#ifdef __AVX512VNNI__
    "avx512vnni,"
#endif
#ifdef __AVX512BF16__
    "avx512bf16,"
#endif
#ifdef __AVX512FP16__
    "avx512fp16,"
#endif
    ;

}  // namespace gpsimd

#endif
