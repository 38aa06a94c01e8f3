// Calls shape functions that are compiled against these headers.
#ifndef GPSIMD_SHAPE_EMULATED_HPP
#define GPSIMD_SHAPE_EMULATED_HPP

#include <torch/torch.h>

namespace gpsimd {

inline torch::Tensor tensor_of_type(const gpsimd_tensor_type &type) {
  int64_t sizes[GPSIMD_MAX_RANK];
  for (uint32_t dim = 0; dim < type.rank; ++dim) sizes[dim] = static_cast<int64_t>(type.dims[dim]);
  return make_tensor("operand", c10::IntArrayRef(sizes, type.rank), static_cast<c10::ScalarType>(type.dtype),
                     Location{nullptr, 0});
}

inline gpsimd_tensor_type type_of_tensor(const torch::Tensor &tensor) {
  return tensor.data_of("return", Location{nullptr, 0}).type;
}

// Whether `call` comes to its end; otherwise `message` says why not.
template <class Call>
bool shape_guarded(char *message, size_t, const Call &call) {
  Frame frame;
  frame.message = message;
  return run_in(frame, call);
}

}  // namespace gpsimd

#endif
