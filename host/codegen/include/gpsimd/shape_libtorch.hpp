// Calls shape functions that are compiled against libtorch: on tensors of the meta device, which have a type alone.
#ifndef GPSIMD_SHAPE_LIBTORCH_HPP
#define GPSIMD_SHAPE_LIBTORCH_HPP

#include <torch/torch.h>

#include <exception>
#include <vector>

#include <gpsimd_abi.h>

namespace gpsimd {

inline torch::Tensor tensor_of_type(const gpsimd_tensor_type &type) {
  const c10::ScalarType types[] = {torch::kFloat, torch::kBFloat16, torch::kHalf, torch::kInt,
                                   torch::kShort, torch::kChar,     torch::kByte};
  TORCH_CHECK(type.dtype >= GPSIMD_F32 && type.dtype <= GPSIMD_U8, "an operand has the unknown dtype ", type.dtype);
  const std::vector<int64_t> sizes(type.dims, type.dims + type.rank);
  return torch::empty(sizes, torch::dtype(types[type.dtype - GPSIMD_F32]).device(torch::kMeta));
}

inline uint32_t code_of_type(c10::ScalarType type) {
  switch (type) {
    case torch::kFloat:
      return GPSIMD_F32;
    case torch::kBFloat16:
      return GPSIMD_BF16;
    case torch::kHalf:
      return GPSIMD_F16;
    case torch::kInt:
      return GPSIMD_I32;
    case torch::kShort:
      return GPSIMD_I16;
    case torch::kChar:
      return GPSIMD_I8;
    case torch::kByte:
      return GPSIMD_U8;
    default:
      TORCH_CHECK(false, "the shape function gave a tensor of ", type,
                  ", expected kFloat, kBFloat16, kHalf, kInt, kShort, kChar or kByte");
  }
}

inline gpsimd_tensor_type type_of_tensor(const torch::Tensor &tensor) {
  TORCH_CHECK(tensor.defined(), "the shape function gave no tensor");
  TORCH_CHECK(tensor.dim() <= GPSIMD_MAX_RANK, "the shape function gave a tensor of ", tensor.dim(),
              " dimensions, expected at most ", int{GPSIMD_MAX_RANK});
  gpsimd_tensor_type type = {};
  type.dtype = code_of_type(tensor.scalar_type());
  type.rank = static_cast<uint32_t>(tensor.dim());
  for (uint32_t dim = 0; dim < type.rank; ++dim) type.dims[dim] = static_cast<uint64_t>(tensor.size(dim));
  return type;
}

// Whether `call` comes to its end; otherwise `message` says why not.
template <class Call>
bool shape_guarded(char *message, size_t bytes, gpsimd_tensor_type *, uint32_t, const Call &call) {
  try {
    call();
    return true;
  } catch (const c10::Error &error) {
    snprintf(message, bytes, "%s", error.what_without_backtrace());
  } catch (const std::exception &error) {
    snprintf(message, bytes, "%s", error.what());
  } catch (...) {
    snprintf(message, bytes, "the shape function threw something that is no std::exception");
  }
  return false;
}

}  // namespace gpsimd

#endif
