// Registers the shape functions of an op library, in the vendor's form:
//
//   NEURON_LIBRARY(my_ops, m) { m.def("relu", &relu_shape, "relu_compute"); }
//
// Shape sources are compiled against these headers (generated packages) or against libtorch (ops written by hand). There may
// be several of them, and several blocks. Either way the library answers the same two C calls.
#ifndef GPSIMD_TORCHNEURON_REGISTER_H
#define GPSIMD_TORCHNEURON_REGISTER_H

#include <torch/torch.h>

#include <stdio.h>
#include <string.h>

#include <type_traits>
#include <utility>

#include <gpsimd_abi.h>

#ifdef GPSIMD_EMULATED
#include <gpsimd/shape_emulated.hpp>
#else
#include <gpsimd/shape_libtorch.hpp>
#endif

#include <gpsimd/shape_operand.hpp>

namespace torchneuron {

// The ops of a block, while they are looked at.
class Library {
 public:
  using Visit = void (*)(void *context, const char *library, const char *op, const char *kernel, const char *operands);

  // Tells `visit` about every op.
  Library(const char *name, Visit visit, void *context) : name_(name), visit_(visit), context_(context) {}

  // Calls the shape function of `op`, with numbers that say nothing: those of this probe.
  Library(const char *op, const gpsimd_tensor_type *operands, uint32_t count, size_t probe, gpsimd_tensor_type *output,
          bool *takes_numbers)
      : op_(op), operands_(operands), count_(count), probe_(probe), output_(output), takes_numbers_(takes_numbers) {}

  // An op: its name, its shape function, the name of its kernel function.
  template <class... Operand>
  void def(const char *op, torch::Tensor (*shape)(Operand...), const char *kernel) {
    static const char codes[] = {gpsimd::ShapeOperand<Operand>::code..., '\0'};
    if (visit_ != nullptr) return visit_(context_, name_, op, kernel, codes);
    if (found_ || strcmp(op, op_) != 0) return;
    found_ = true;
    uint32_t tensors = 0;
    for (const char *code = codes; *code != '\0'; ++code) tensors += *code == gpsimd::TENSOR_CODE;
    *takes_numbers_ = tensors != sizeof...(Operand);
    TORCH_CHECK(count_ == tensors, "the shape function takes ", tensors, " tensors, the op has ", count_);
    call(shape, codes, std::index_sequence_for<Operand...>{});
  }

  bool found() const { return found_; }

 private:
  template <class... Operand, size_t... INDEX>
  void call(torch::Tensor (*shape)(Operand...), const char *codes, std::index_sequence<INDEX...>) {
    // A function may take a reference to a tensor.
    torch::Tensor tensors[sizeof...(Operand) + 1];
    uint32_t next = 0;
    for (size_t i = 0; i < sizeof...(Operand); ++i) {
      if (codes[i] == gpsimd::TENSOR_CODE) tensors[i] = gpsimd::tensor_of_type(operands_[next++]);
    }
    *output_ = gpsimd::type_of_tensor(shape(gpsimd::ShapeOperand<Operand>::of(tensors[INDEX], probe_)...));
  }

  const char *name_ = nullptr;
  Visit visit_ = nullptr;
  void *context_ = nullptr;
  const char *op_ = nullptr;
  const gpsimd_tensor_type *operands_ = nullptr;
  uint32_t count_ = 0;
  size_t probe_ = 0;
  gpsimd_tensor_type *output_ = nullptr;
  bool *takes_numbers_ = nullptr;  // told before the function is called, which may refuse
  bool found_ = false;
};

// A NEURON_LIBRARY block. All of a library are in a list, in the order in which they are linked.
class Block {
 public:
  Block(const char *name, void (*define)(Library &)) : name_(name), define_(define) {
    Block **end = &first();
    while (*end != nullptr) end = &(*end)->next_;
    *end = this;
  }

  // The library's own, whatever other libraries the process has loaded.
  __attribute__((visibility("hidden"))) static Block *&first() {
    static Block *first = nullptr;
    return first;
  }

  const Block *next() const { return next_; }
  const char *name() const { return name_; }
  void define(Library &library) const { define_(library); }

 private:
  const char *name_;
  void (*define_)(Library &);
  Block *next_ = nullptr;
};

// The type of the output of `op` with the numbers of this probe.
inline gpsimd_tensor_type shape_of(const char *op, const gpsimd_tensor_type *operands, uint32_t count, size_t probe,
                                   bool &takes_numbers) {
  gpsimd_tensor_type output = {};
  Library library(op, operands, count, probe, &output, &takes_numbers);
  for (const Block *block = Block::first(); block != nullptr; block = block->next()) block->define(library);
  TORCH_CHECK(library.found(), "no shape function is registered under this name with NEURON_LIBRARY");
  return output;
}

// Answers a call of the emulator's. A shape function may look at shapes alone: one that takes numbers is called with several,
// of which it may refuse some, and has to give the same type.
inline uint32_t call_shape(const char *op, const gpsimd_tensor_type *operands, uint32_t count, gpsimd_tensor_type *outputs,
                           uint32_t output_count, gpsimd_shape_error *error) {
  static thread_local char message[1024];  // of the first refusal
  char another[sizeof message];
  bool takes_numbers = false, has_output = false, differs = false;
  for (size_t probe = 0; probe == 0 || (takes_numbers && probe < gpsimd::PROBES); ++probe) {
    const bool is_first = probe == 0;
    char *const refusal = is_first ? message : another;
    const bool succeeded = gpsimd::shape_guarded(refusal, sizeof message, outputs, output_count, [&] {
      const gpsimd_tensor_type found = shape_of(op, operands, count, probe, takes_numbers);
      // Of several outputs, which a package alone has, it is the tensor that they are packed in.
      if (output_count != 1) return;
      differs = differs || (has_output && memcmp(&found, outputs, sizeof found) != 0);
      *outputs = found;
    });
    has_output = has_output || succeeded;
  }
  if (has_output && !differs) return GPSIMD_STATUS_OK;
  if (differs) {
    snprintf(message, sizeof message,
             "the shape function goes by the value of a number, which the emulator does not tell it: take a size as that of a "
             "tensor, `t.size(0)`");
  }
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

extern "C" {

// Tells `visit` about the ops of every block.
inline __attribute__((used)) void gpsimd_visit_shapes(::torchneuron::Library::Visit visit, void *context) {
  for (const auto *block = ::torchneuron::Block::first(); block != nullptr; block = block->next()) {
    ::torchneuron::Library library(block->name(), visit, context);
    block->define(library);
  }
}

inline __attribute__((used)) uint32_t gpsimd_call_shape(const char *op, const gpsimd_tensor_type *operands, uint32_t count,
                                                        gpsimd_tensor_type *outputs, uint32_t output_count,
                                                        gpsimd_shape_error *error) {
  return ::torchneuron::call_shape(op, operands, count, outputs, output_count, error);
}

}

#define GPSIMD_NEURON_BLOCK(name, library, number)                                                                \
  static void gpsimd_define_##number(::torchneuron::Library &);                                                   \
  static const ::torchneuron::Block gpsimd_block_##number(#name, gpsimd_define_##number);                         \
  static void gpsimd_define_##number(::torchneuron::Library &library)
#define GPSIMD_NEURON_LIBRARY(name, library, number) GPSIMD_NEURON_BLOCK(name, library, number)
#define NEURON_LIBRARY(name, library) GPSIMD_NEURON_LIBRARY(name, library, __COUNTER__)

#endif
