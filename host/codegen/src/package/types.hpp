// ---- Types of tensors ----

// As the kernels' memory holds them for shape functions: `TensorType` and `ShapeError` of the ABI, with pointers of 32
// bits.
enum { MAX_RANK = 8, TYPE_BYTES = 8 + 8 * MAX_RANK, ERROR_BYTES = 40 };

// A shape function: addresses of the operands' types (tensors, then sizes) and their number, of the outputs' types and
// their number, and of the error.
typedef u32 (*ShapeFunction)(Instance&, u8* __restrict, u32, u32, u32, u32, u32);

// Code of a dtype: 0 where no op of the library has it.
template <class Dtype>
GPSIMD_INLINE u32 dtype_code(const Dtype& dtype) {
#define CODE(code, name, type) dtype == torch::name ? code :
  return GPSIMD_DTYPES(CODE) 0u;
#undef CODE
}

// Writes the type of a tensor, which has at most MAX_RANK dimensions.
GPSIMD_INLINE void write_type(u8* m, u32 at, const torch::Tensor& tensor) {
  const u32 rank = static_cast<u32>(tensor.sizes().size());
  i32_store(m, at, 0u, dtype_code(tensor.dtype()));
  i32_store(m, at, 4u, rank);
  for (u32 dim = 0; dim < rank; ++dim) i64_store(m, at, 8u + 8u * dim, static_cast<u64>(tensor.sizes()[dim]));
}
