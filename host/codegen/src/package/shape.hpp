// ---- Shapes ----

enum { PANIC_STACK_BYTES = 4096 };

// An operand: its name, what it may be in words and as bits by code, and the type parameter that it has, or -1. A size
// has no bits: the dtype of the tensor whose length it is does not matter.
struct Operand {
  const char* name;
  const char* expected;
  u32 dtypes;
  int parameter;
};

static torch::ScalarType dtype_of(u32 of) {
#define DTYPE(code, name, type) of == code ? torch::name :
  return GPSIMD_DTYPES(DTYPE) torch::kFloat;
#undef DTYPE
}

static const char* dtype_name(u32 code) {
  static const char* const names[] = {"?", "f32", "bf16", "f16", "i32", "i16", "i8", "u8"};
  return names[code];
}

// A call of a shape function, and the text of its panic.
struct Call {
  const char* op;
  const torch::Tensor* tensors;
  const Operand* operands;
  u32 count;
  char panic[512];
  u32 panic_bytes;
};

GPSIMD_INLINE void copy_text(char* to, u32 size, const u8* text, u32 len) {
  u32 fits = len < size - 1 ? len : size - 1;
  while (fits < len && fits > 0 && (text[fits] & 0xc0) == 0x80) --fits;  // Not in the middle of a character.
  __builtin_memcpy(to, text, fits);
  to[fits] = 0;
}

GPSIMD_INLINE const char* plural(u64 count) { return count == 1 ? "" : "s"; }

// A tensor of the type that is at `type`.
static torch::Tensor tensor_of_type(const u8* m, u32 type) {
  int64_t sizes[MAX_RANK] = {};
  const u32 rank = i32_load(m, type, 4u);
  for (u32 dim = 0; dim < rank && dim < MAX_RANK; ++dim) {
    sizes[dim] = static_cast<int64_t>(i64_load(m, type, 8u + 8u * dim));
  }
  return torch::empty(torch::IntArrayRef(sizes, rank), dtype_of(i32_load(m, type, 0u)));
}

// The tensor that outputs of the types at `types` are packed in.
static torch::Tensor packed_tensor(const char* op, const u8* m, u32 types, u32 count) {
  for (u32 i = 0; i < count; ++i) {
    TORCH_CHECK(bytes_of_dtype(i32_load(m, types + i * TYPE_BYTES, 0u)) != 0, "op `", op,
                "`: its shape function says of output ", i, " that it has a dtype which no tensor of the library has");
  }
#ifdef GPSIMD_EMULATED
  // The emulator has a tensor for each.
  if (gpsimd::takes_outputs(count)) {
    for (u32 i = 0; i < count; ++i) gpsimd::take_output(i, tensor_of_type(m, types + i * TYPE_BYTES));
  }
#endif
  const Packing packing = packing_of(m, types, count);
  const int64_t len = static_cast<int64_t>(packing.len);
  return torch::empty(torch::IntArrayRef(&len, 1), dtype_of(packing.dtype));
}

// Calls a shape function with the types of the operands and makes a tensor of the type that it gives.
static torch::Tensor infer(const char* op, const torch::Tensor* tensors, const Operand* operands, u32 count,
                           u32 output_count, ShapeFunction shape) {
  const u32 types = MEMORY_BYTES + PANIC_STACK_BYTES, outputs = types + count * TYPE_BYTES;
  const u32 error = outputs + output_count * TYPE_BYTES;
  alignas(8) u8 m[MEMORY_BYTES + PANIC_STACK_BYTES + (MAX_OPERANDS + MAX_OUTPUTS) * TYPE_BYTES + ERROR_BYTES] = {};
  Call call = {op, tensors, operands, count, {}, 0};
  Instance w = {};
  w.host = &call;
  w.memory = m;
  w.memory_bytes = error + ERROR_BYTES;
  instantiate(w, m);

  // Of each type parameter.
  u32 resolved[MAX_OPERANDS + 1] = {};
  for (u32 i = 0; i < count; ++i) {
    const auto dtype = tensors[i].scalar_type();
    const u32 code = dtype_code(dtype);
    const bool is_size = operands[i].dtypes == 0;
    TORCH_CHECK(!is_size || tensors[i].sizes().size() == 1, "op `", op, "`: size `", operands[i].name,
                "` is the length of a tensor with ", tensors[i].sizes().size(), " dimensions, expected 1");
    TORCH_CHECK(is_size || (code != 0 && (operands[i].dtypes >> code & 1) != 0), "op `", op, "`: operand `",
                operands[i].name, "` is ", dtype, ", expected ", operands[i].expected);
    if (operands[i].parameter >= 0) {
      u32& expected = resolved[operands[i].parameter];
      if (expected == 0) expected = code;
      TORCH_CHECK(code == expected, "op `", op, "`: operand `", operands[i].name, "` is ", dtype, ", expected ",
                  dtype_name(expected));
    }
    TORCH_CHECK(tensors[i].sizes().size() <= MAX_RANK, "op `", op, "`: operand `", operands[i].name, "` has ",
                tensors[i].sizes().size(), " dimensions, expected at most ", static_cast<int>(MAX_RANK));
    write_type(m, types + i * TYPE_BYTES, tensors[i]);
  }
  if (shape(w, m, types, count, outputs, output_count, error) == 0) {
    return output_count == 1 ? tensor_of_type(m, outputs) : packed_tensor(op, m, outputs, output_count);
  }
  const u32 code = i32_load(m, error, 0u), dim = i32_load(m, error, 8u);
  const u64 expected = i64_load(m, error, 16u), found = i64_load(m, error, 24u);
  const u32 at = i32_load(m, error, 4u);
  const char* const name = at < count ? operands[at].name : "?";
  TORCH_CHECK(code != 1, "op `", op, "`: operand `", name, "` has ", found, " dimension", plural(found), ", expected ",
              expected);
  TORCH_CHECK(code != 3, "op `", op, "`: operand `", name, "` has ", found, " dimension", plural(found),
              ", expected at least ", expected);
  TORCH_CHECK(code != 2, "op `", op, "`: operand `", name, "` has ", found, " element", plural(found), " in dimension ",
              dim, ", expected ", expected);
  TORCH_CHECK(code != 4, "op `", op, "`: operand `", name, "` has ", found, " element", plural(found), " in dimension ",
              dim, ", expected 1 or ", expected);
  char message[256];
  copy_text(message, sizeof message, m + i32_load(m, error, 32u), i32_load(m, error, 36u));
  TORCH_CHECK(false, "op `", op, "`: ", message);
  return torch::Tensor();
}

GPSIMD_INLINE u32 import_gpsimd_start_panic(Instance& w, u8*) { return start_panic(w, MEMORY_BYTES, PANIC_STACK_BYTES); }

__attribute__((unused, noinline, cold)) static void import_gpsimd_fail_text(Instance& w, u8* m, u32 text, u32 len) {
  Call& call = *static_cast<Call*>(w.host);
  copy_text(call.panic + call.panic_bytes, static_cast<u32>(sizeof call.panic) - call.panic_bytes, m + text, len);
  call.panic_bytes += static_cast<u32>(__builtin_strlen(call.panic + call.panic_bytes));
}

[[noreturn]] __attribute__((unused, noinline, cold)) static void import_gpsimd_fail(Instance& w, u8* m, u32, u32 file,
                                                                                    u32 file_bytes, u32 line,
                                                                                    u32 column) {
  const Call& call = *static_cast<Call*>(w.host);
  char message[2048];
  u32 bytes = 0;
  // What is longer is cut.
  const auto add = [&](const char* format, auto... parts) {
    bytes += static_cast<u32>(snprintf(message + bytes, sizeof message - bytes, format, parts...));
    if (bytes > sizeof message - 1) bytes = sizeof message - 1;
  };
  add("op `%s`: its shape function panicked for ", call.op);
  for (u32 i = 0; i < call.count; ++i) {
    const torch::Tensor& tensor = call.tensors[i];
    add("%s`%s` ", i == 0 ? "" : ", ", call.operands[i].name);
    if (call.operands[i].dtypes == 0) {
      add("%lld", static_cast<long long>(tensor.numel()));
      continue;
    }
    add("%s[", dtype_name(dtype_code(tensor.scalar_type())));
    for (size_t dim = 0; dim < tensor.sizes().size(); ++dim) {
      add("%s%lld", dim == 0 ? "" : ", ", static_cast<long long>(tensor.sizes()[dim]));
    }
    add("%s", "]");
  }
  add(", at %.*s:%u:%u: %s", static_cast<int>(file_bytes), reinterpret_cast<const char*>(m + file), line, column, call.panic);
  gpsimd_trap(message);
}
