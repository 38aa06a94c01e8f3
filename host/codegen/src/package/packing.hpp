// ---- Several outputs in one tensor ----

// Where outputs are in the tensor that an op returns, counted in its elements: each from a multiple of 64 bytes on. Its
// dtype is that of the outputs where they have one, otherwise the integer as wide as the narrowest element among them.
struct Packing {
  u32 dtype, element_bytes;
  u64 len;
  u64 starts[MAX_OUTPUTS];
};

GPSIMD_INLINE u32 bytes_of_dtype(u32 dtype) {
#define BYTES(code, name, type) dtype == code ? static_cast<u32>(sizeof(type)) :
  return GPSIMD_DTYPES(BYTES) 0u;
#undef BYTES
}

GPSIMD_INLINE u64 elements_of_type(const u8* m, u32 at) {
  u64 elements = 1;
  for (u32 dim = 0; dim < i32_load(m, at, 4u); ++dim) elements *= i64_load(m, at, 8u + 8u * dim);
  return elements;
}

// Of outputs with the types at `types`.
__attribute__((unused, noinline)) static Packing packing_of(const u8* m, u32 types, u32 count) {
  Packing packing = {};
  packing.dtype = i32_load(m, types, 0u);
  packing.element_bytes = bytes_of_dtype(packing.dtype);
  bool is_one_dtype = true;
  for (u32 i = 1; i < count; ++i) {
    const u32 dtype = i32_load(m, types + i * TYPE_BYTES, 0u), bytes = bytes_of_dtype(dtype);
    is_one_dtype &= dtype == packing.dtype;
    if (bytes < packing.element_bytes) packing.element_bytes = bytes;
  }
  const u32 integers[] = {0u, DTYPE_U8, DTYPE_I16, 0u, DTYPE_I32};
  if (!is_one_dtype) packing.dtype = integers[packing.element_bytes];
  const u64 align = 64u / packing.element_bytes;
  for (u32 i = 0; i < count; ++i) {
    const u32 type = types + i * TYPE_BYTES;
    const u32 width = bytes_of_dtype(i32_load(m, type, 0u)) / packing.element_bytes;
    packing.starts[i] = (packing.len + align - 1u) / align * align;
    packing.len = packing.starts[i] + elements_of_type(m, type) * width;
  }
  return packing;
}
