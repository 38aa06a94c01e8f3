// New tensors, and tensors of one value.
#ifndef GPSIMD_FACTORIES_HPP
#define GPSIMD_FACTORIES_HPP

#include <gpsimd/dispatch.hpp>
#include <gpsimd/tensor.hpp>

namespace gpsimd {

// A tensor that the op makes. A shape function's has no elements to reach, and none of its memory is set.
inline torch::Tensor make_tensor(const char *name, const c10::IntArrayRef &sizes, c10::ScalarType type, Location where) {
  Frame *frame = current_frame();
  if (frame == nullptr) refuse(where, "`%s` outside of an op", name);
  uint64_t len = 1;
  for (int64_t size : sizes) {
    if (size < 0) refuse(where, "`%s` with a size of %lld", name, static_cast<long long>(size));
    if (__builtin_mul_overflow(len, static_cast<uint64_t>(size), &len)) refuse(where, "`%s` is too large", name);
  }
  const size_t element_bytes = element_info(type).bytes;
  uint64_t bytes;
  if (__builtin_mul_overflow(len, static_cast<uint64_t>(element_bytes), &bytes) || bytes > PTRDIFF_MAX) {
    refuse(where, "`%s` is too large", name);
  }
  void *place = frame->arena.allocate(sizeof(TensorData));
  void *memory = frame->core == nullptr ? nullptr : frame->arena.allocate(bytes);
  if (place == nullptr || (memory == nullptr && frame->core != nullptr)) refuse(where, "no memory for `%s`", name);
  TensorData *data = static_cast<TensorData *>(place);
  data->type = gpsimd_tensor_type{static_cast<uint32_t>(type), static_cast<uint32_t>(sizes.size()), {}};
  for (size_t dim = 0; dim < sizes.size(); ++dim) data->type.dims[dim] = static_cast<uint64_t>(sizes[dim]);
  data->len = len;
  data->name = name;
  data->index = -1;
  data->memory = static_cast<char *>(memory);
  data->element_bytes = element_bytes;
  data->open = OpenAccesses{};
  return torch::Tensor(data);
}

// Sets every element of a tensor.
inline void fill(TensorData &tensor, const c10::Scalar &value, Location where) {
  Core &core = core_for("fill_", where);
  expect_unstreamed(tensor, "fill_", where);
  dispatch(static_cast<c10::ScalarType>(tensor.type.dtype), [&](auto element) {
    using T = decltype(element);
    T chunk[64];
    for (T &place : chunk) place = from_scalar<T>(value);
    for (uint64_t done = 0; done < tensor.len; done += 64) {
      core.write(tensor, done, tensor.len - done < 64 ? tensor.len - done : 64, chunk, where);
    }
  });
}

inline torch::Tensor make_filled(const char *name, const c10::IntArrayRef &sizes, c10::ScalarType type,
                                 const c10::Scalar &value, Location where) {
  const torch::Tensor tensor = make_tensor(name, sizes, type, where);
  if (current_frame()->core != nullptr) fill(tensor.data_of(name, where), value, where);
  return tensor;
}

}  // namespace gpsimd

namespace torch {
inline namespace gpsimd_emulated {

inline Tensor empty(const IntArrayRef &sizes, const TensorOptions &options,
                    gpsimd::Location where = gpsimd::Location::here()) {
  const Tensor tensor = gpsimd::make_tensor("torch::empty", sizes, options.dtype(), where);
  const gpsimd::TensorData &data = tensor.data_of("torch::empty", where);
  // As nobody wrote it, it differs between the two runs of a checked launch, like TCM.
  const gpsimd::Core *core = gpsimd::current_frame()->core;
  const uint64_t bytes = core == nullptr ? 0 : data.len * data.element_bytes;
  for (uint64_t i = 0; i < bytes; ++i) data.memory[i] = static_cast<char>(core->fresh[i % sizeof core->fresh]);
  return tensor;
}

inline Tensor full(const IntArrayRef &sizes, const Scalar &value, const TensorOptions &options,
                   gpsimd::Location where = gpsimd::Location::here()) {
  return gpsimd::make_filled("torch::full", sizes, options.dtype(), value, where);
}

inline Tensor zeros(const IntArrayRef &sizes, const TensorOptions &options,
                    gpsimd::Location where = gpsimd::Location::here()) {
  return gpsimd::make_filled("torch::zeros", sizes, options.dtype(), 0, where);
}

inline Tensor ones(const IntArrayRef &sizes, const TensorOptions &options,
                   gpsimd::Location where = gpsimd::Location::here()) {
  return gpsimd::make_filled("torch::ones", sizes, options.dtype(), 1, where);
}

// n rows of m, ones on the diagonal.
inline Tensor eye(int64_t n, int64_t m, const TensorOptions &options,
                  gpsimd::Location where = gpsimd::Location::here()) {
  const Tensor tensor = gpsimd::make_filled("torch::eye", {n, m}, options.dtype(), 0, where);
  gpsimd::Core *core = gpsimd::current_frame()->core;
  if (core == nullptr) return tensor;
  gpsimd::dispatch(options.dtype(), [&](auto element) {
    element = gpsimd::from_scalar<decltype(element)>(1);
    for (int64_t i = 0; i < n && i < m; ++i) {
      core->write(tensor.data_of("torch::eye", where), static_cast<uint64_t>(i * m + i), 1, &element, where);
    }
  });
  return tensor;
}

inline Tensor &Tensor::fill_(const Scalar &value, gpsimd::Location where) const {
  gpsimd::fill(data_of("fill_", where), value, where);
  return const_cast<Tensor &>(*this);
}

inline Tensor &Tensor::zero_(gpsimd::Location where) const { return fill_(0, where); }

}  // namespace gpsimd_emulated
}  // namespace torch

#endif
