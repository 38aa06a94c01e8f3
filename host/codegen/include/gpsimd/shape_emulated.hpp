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

// Whether somebody asks for `count` outputs one by one, and one of them.
inline bool takes_outputs(uint32_t count) { return current_frame()->output_count == count; }
inline void take_output(uint32_t index, const torch::Tensor &output) {
  current_frame()->outputs[index] = type_of_tensor(output);
}

// Whether `call` comes to its end; otherwise `message` says why not.
template <class Call>
bool shape_guarded(char *message, size_t, gpsimd_tensor_type *outputs, uint32_t output_count, const Call &call) {
  Frame frame;
  frame.message = message;
  frame.outputs = outputs;
  frame.output_count = output_count;
  return run_in(frame, call);
}

}  // namespace gpsimd

#endif
