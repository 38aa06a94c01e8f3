// ---- The device, as the kernels see it: the vendor's API ----

// The tensors of a launch: operands, scalars packed into one, and last the output.
struct Launch {
  const torch::Tensor* const* operands;
  u32 operand_count;
  torch::Tensor output;
};

GPSIMD_INLINE const torch::Tensor& tensor_of(const Instance& w, u32 tensor) {
  const Launch& launch = *static_cast<const Launch*>(w.host);
  return tensor < launch.operand_count ? *launch.operands[tensor] : launch.output;
}

// Ends the launch with a message of the kernel.
[[noreturn]] __attribute__((unused, noinline, cold)) static void fail_with(u32 code, const u8* text, u32 len) {
  char message[128];
  u32 i = 0;
  for (; i < len && i + 1 < sizeof message; ++i) message[i] = static_cast<char>(text[i]);
  while (i < len && i > 0 && (text[i] & 0xc0) == 0x80) --i;  // Not in the middle of a character.
  message[i] = 0;
#ifdef GPSIMD_EMULATED
  // A device call that failed has ended the launch itself; what is left of that kind is the pool in the image.
  gpsimd::stop(code == GPSIMD_FAILURE_DEVICE ? static_cast<u32>(GPSIMD_FAILURE_REFUSED) : code, message, gpsimd::Location::here());
#else
  static_cast<void>(code);
  gpsimd_trap(message);
#endif
}

GPSIMD_INLINE void check_range(const torch::Tensor& tensor, u64 start, u64 len) {
#ifdef GPSIMD_EMULATED
  static_cast<void>(tensor), static_cast<void>(start), static_cast<void>(len);  // The accessor says it better.
#else
  const u64 elements = static_cast<u64>(tensor.numel());
  if (start > elements || len > elements - start) gpsimd_trap("a DMA outside of a tensor");
#endif
}

GPSIMD_INLINE u32 import_gpsimd_core_id(Instance&, u8*) { return get_cpu_id(); }
GPSIMD_INLINE u32 import_gpsimd_core_count(Instance&, u8*) { return get_cpu_count(); }
GPSIMD_INLINE u32 import_gpsimd_tensor_count(Instance& w, u8*) {
  return static_cast<const Launch*>(w.host)->operand_count + 1;
}
GPSIMD_INLINE u32 import_gpsimd_tensor_dtype(Instance& w, u8*, u32 tensor) {
  const auto dtype = tensor_of(w, tensor).dtype();
  return dtype == torch::kFloat ? 1u : dtype == torch::kBFloat16 ? 2u : 0u;
}
GPSIMD_INLINE u32 import_gpsimd_tensor_rank(Instance& w, u8*, u32 tensor) {
  return static_cast<u32>(tensor_of(w, tensor).sizes().size());
}
GPSIMD_INLINE u64 import_gpsimd_tensor_dim(Instance& w, u8*, u32 tensor, u32 dim) {
  return static_cast<u64>(tensor_of(w, tensor).sizes()[dim]);
}
GPSIMD_INLINE u64 import_gpsimd_tensor_len(Instance& w, u8*, u32 tensor) {
  const u64 elements = static_cast<u64>(tensor_of(w, tensor).numel());
  // Kernels count in 32 bits there.
  if (elements > 0xffffffffu) gpsimd_trap("a tensor has more than 4294967295 elements: split it");
  return elements;
}

__attribute__((unused, noinline)) static u32 import_gpsimd_load(Instance& w, u8* m, u32 tensor, u64 start, u64 len,
                                                                u32 tcm) {
  const torch::Tensor& from = tensor_of(w, tensor);
  check_range(from, start, len);
  const size_t at = static_cast<size_t>(start), count = static_cast<size_t>(len);
  if (from.dtype() == torch::kFloat) {
    from.tcm_accessor().tensor_to_tcm<float>(reinterpret_cast<float*>(m + tcm), at, count);
  } else {
    from.tcm_accessor().tensor_to_tcm<c10::BFloat16>(reinterpret_cast<c10::BFloat16*>(m + tcm), at, count);
  }
  return 0;
}

__attribute__((unused, noinline)) static u32 import_gpsimd_store(Instance& w, u8* m, u32 tensor, u64 start, u64 len,
                                                                 u32 tcm) {
  Launch& launch = *static_cast<Launch*>(w.host);
  if (tensor != launch.operand_count) gpsimd_trap("a store to an operand");
  check_range(launch.output, start, len);
  const size_t at = static_cast<size_t>(start), count = static_cast<size_t>(len);
  if (launch.output.dtype() == torch::kFloat) {
    launch.output.tcm_accessor().tcm_to_tensor<float>(reinterpret_cast<float*>(m + tcm), at, count);
  } else {
    launch.output.tcm_accessor().tcm_to_tensor<c10::BFloat16>(reinterpret_cast<c10::BFloat16*>(m + tcm), at, count);
  }
  return 0;
}

GPSIMD_INLINE void import_gpsimd_fail(Instance&, u8* m, u32 code, u32 text, u32 len) { fail_with(code, m + text, len); }

#ifdef GPSIMD_EMULATED
GPSIMD_INLINE const gpsimd_device& emulated_device() {
  return *gpsimd::core_for("print", gpsimd::Location::here()).device;
}
GPSIMD_INLINE void import_gpsimd_print_text(Instance&, u8* m, u32 text, u32 len) {
  const gpsimd_device& device = emulated_device();
  device.print_text(device.context, gpsimd_text{reinterpret_cast<const char*>(m + text), len});
}
GPSIMD_INLINE void import_gpsimd_print_float(Instance&, u8*, f64 value) {
  emulated_device().print_float(emulated_device().context, value);
}
GPSIMD_INLINE void import_gpsimd_print_signed(Instance&, u8*, u64 value) {
  emulated_device().print_signed(emulated_device().context, static_cast<i64>(value));
}
GPSIMD_INLINE void import_gpsimd_print_unsigned(Instance&, u8*, u64 value) {
  emulated_device().print_unsigned(emulated_device().context, value);
}
#else
// The device shows what core 0 prints.
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
#endif

