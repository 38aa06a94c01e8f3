// Registers the shape functions of an op library, in the vendor's form:
//
//   NEURON_LIBRARY(my_ops, m) { m.def("relu", &relu_shape, "relu_compute"); }
//
// Shape sources are compiled against these headers (generated packages) or against libtorch (ops written by hand). Both
// ways the library answers the same three C calls; nothing is registered before one of them asks.
#ifndef GPSIMD_TORCHNEURON_REGISTER_H
#define GPSIMD_TORCHNEURON_REGISTER_H

#include <torch/torch.h>

#include <stdio.h>
#include <string.h>

#include <utility>

#include <gpsimd_abi.h>

#ifdef GPSIMD_EMULATED
#include <gpsimd/shape_emulated.hpp>
#else
#include <gpsimd/shape_libtorch.hpp>
#endif

namespace torchneuron {

// The ops of a library, while they are looked at.
class Library {
 public:
  using Visit = void (*)(void *context, const char *op, const char *kernel, uint32_t tensors);

  // Tells `visit` about every op.
  Library(Visit visit, void *context) : visit_(visit), context_(context) {}

  // Calls the shape function of `op`.
  Library(const char *op, const gpsimd_tensor_type *operands, uint32_t count, gpsimd_tensor_type *output)
      : op_(op), operands_(operands), count_(count), output_(output) {}

  // An op: its name, its shape function, the name of its kernel function.
  template <class... Operand>
  void def(const char *op, torch::Tensor (*shape)(Operand...), const char *kernel) {
    static_assert(AreTensors<Operand...>::value,
                  "operands must be torch::Tensor or const torch::Tensor &: pass scalars in a tensor");
    const uint32_t tensors = sizeof...(Operand);
    if (visit_ != nullptr) return visit_(context_, op, kernel, tensors);
    if (found_ || strcmp(op, op_) != 0) return;
    found_ = true;
    TORCH_CHECK(count_ == tensors, "the shape function takes ", tensors, " tensors, the op has ", count_);
    call(shape, std::index_sequence_for<Operand...>{});
  }

  bool found() const { return found_; }

 private:
  template <class... Operand>
  struct AreTensors {
    static constexpr bool value = true;
  };
  template <class Operand, class... Others>
  struct AreTensors<Operand, Others...> {
    static constexpr bool value = gpsimd::IsTensor<Operand>::value && AreTensors<Others...>::value;
  };

  template <class... Operand, size_t... INDEX>
  void call(torch::Tensor (*shape)(Operand...), std::index_sequence<INDEX...>) {
    // A function may take a reference to a tensor that it does not change.
    torch::Tensor operands[sizeof...(Operand) + 1] = {gpsimd::tensor_of_type(operands_[INDEX])...};
    static_cast<void>(operands);
    *output_ = gpsimd::type_of_tensor(shape(operands[INDEX]...));
  }

  Visit visit_ = nullptr;
  void *context_ = nullptr;
  const char *op_ = nullptr;
  const gpsimd_tensor_type *operands_ = nullptr;
  uint32_t count_ = 0;
  gpsimd_tensor_type *output_ = nullptr;
  bool found_ = false;
};

// Answers a call of the emulator's.
inline uint32_t call_shape(void (*define)(Library &), const char *op, const gpsimd_tensor_type *operands,
                           uint32_t count, gpsimd_tensor_type *output, gpsimd_shape_error *error) {
  static thread_local char message[1024];
  const bool succeeded = gpsimd::shape_guarded(message, sizeof message, [&] {
    Library library(op, operands, count, output);
    define(library);
    TORCH_CHECK(library.found(), "no shape function is registered under this name with NEURON_LIBRARY");
  });
  if (succeeded) return GPSIMD_STATUS_OK;
  // The emulator puts this before every message itself.
  char prefix[128];
  snprintf(prefix, sizeof prefix, "op `%s`: ", op);
  const size_t skip = strncmp(message, prefix, strlen(prefix)) == 0 ? strlen(prefix) : 0;
  error->code = GPSIMD_SHAPE_ERROR_MESSAGE;
  error->message.data = message + skip;
  error->message.len = strlen(message + skip);
  return GPSIMD_STATUS_FAILED;
}

}  // namespace torchneuron

#define NEURON_LIBRARY(name, library)                                                                         \
  static void gpsimd_define_##name(::torchneuron::Library &);                                                 \
  extern "C" {                                                                                                \
  const char *gpsimd_library_name();                                                                          \
  void gpsimd_visit_shapes(::torchneuron::Library::Visit visit, void *context);                               \
  uint32_t gpsimd_call_shape(const char *op, const gpsimd_tensor_type *operands, uint32_t count,              \
                             gpsimd_tensor_type *output, gpsimd_shape_error *error);                          \
  const char *gpsimd_library_name() { return #name; }                                                         \
  void gpsimd_visit_shapes(::torchneuron::Library::Visit visit, void *context) {                              \
    ::torchneuron::Library all(visit, context);                                                               \
    gpsimd_define_##name(all);                                                                                \
  }                                                                                                           \
  uint32_t gpsimd_call_shape(const char *op, const gpsimd_tensor_type *operands, uint32_t count,              \
                             gpsimd_tensor_type *output, gpsimd_shape_error *error) {                         \
    return ::torchneuron::call_shape(gpsimd_define_##name, op, operands, count, output, error);               \
  }                                                                                                           \
  }                                                                                                           \
  static void gpsimd_define_##name(::torchneuron::Library &library)

#endif
