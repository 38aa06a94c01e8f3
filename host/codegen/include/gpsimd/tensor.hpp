// torch::Tensor: a handle; copies lead to the same tensor.
#ifndef GPSIMD_TENSOR_HPP
#define GPSIMD_TENSOR_HPP

#include <gpsimd/accessors.hpp>
#include <gpsimd/core.hpp>
#include <gpsimd/shape.hpp>

namespace torch {
inline namespace gpsimd_emulated {

class Tensor {
 public:
  // No tensor: what an op may return that has written its output through `get_dst_tensor`.
  Tensor() = default;
  explicit Tensor(gpsimd::TensorData *data) : data_(data) {}

  bool defined() const { return data_ != nullptr; }

  int64_t numel() const { return static_cast<int64_t>(data().len); }
  int64_t dim() const { return data().type.rank; }
  ScalarType dtype() const { return scalar_type(); }
  ScalarType scalar_type() const { return static_cast<ScalarType>(data().type.dtype); }
  TensorOptions options() const { return TensorOptions(scalar_type()); }
  size_t element_size() const { return data().element_bytes; }
  size_t nbytes() const { return data().len * data().element_bytes; }
  bool is_contiguous() const { return true; }

  IntArrayRef sizes() const {
    int64_t sizes[GPSIMD_MAX_RANK];
    for (uint32_t dim = 0; dim < data().type.rank; ++dim) sizes[dim] = static_cast<int64_t>(data().type.dims[dim]);
    return IntArrayRef(sizes, data().type.rank);
  }

  // Size of a dimension; negative ones count from the last.
  int64_t size(int64_t dim, gpsimd::Location where = gpsimd::Location::here()) const {
    return sizes()[dimension("size", dim, where)];
  }

  // Elements between neighbours of each dimension: every tensor is contiguous.
  IntArrayRef strides() const { return gpsimd::contiguous_strides(sizes()); }

  int64_t stride(int64_t dim, gpsimd::Location where = gpsimd::Location::here()) const {
    return strides()[dimension("stride", dim, where)];
  }

  TensorTcmAccessor<true> tcm_accessor(gpsimd::Location where = gpsimd::Location::here()) const & {
    return TensorTcmAccessor<true>(data_of("tcm_accessor", where));
  }
  TensorTcmAccessor<false> tcm_accessor(gpsimd::Location where = gpsimd::Location::here()) & {
    return TensorTcmAccessor<false>(data_of("tcm_accessor", where));
  }

  template <class T, size_t N>
  TensorAccessor<T, N, true> accessor(gpsimd::Location where = gpsimd::Location::here()) const & {
    return gpsimd::open_accessor<T, N, true>(data_of("accessor", where), where);
  }
  template <class T, size_t N>
  TensorAccessor<T, N, false> accessor(gpsimd::Location where = gpsimd::Location::here()) & {
    return gpsimd::open_accessor<T, N, false>(data_of("accessor", where), where);
  }

  template <class T>
  TensorReadStreamAccessor<T> read_stream_accessor(gpsimd::Location where = gpsimd::Location::here()) const & {
    return TensorReadStreamAccessor<T>(data_of("read_stream_accessor", where), where);
  }
  template <class T>
  TensorWriteStreamAccessor<T> write_stream_accessor(gpsimd::Location where = gpsimd::Location::here()) & {
    return TensorWriteStreamAccessor<T>(data_of("write_stream_accessor", where), where);
  }

  // What happens when accessors are opened that do not go together.
  CoherencyEnforcer::Policy get_accessor_coherence_policy(gpsimd::Location where = gpsimd::Location::here()) const {
    return data_of("get_accessor_coherence_policy", where).open.policy();
  }
  void set_accessor_coherence_policy(CoherencyEnforcer::Policy policy,
                                     gpsimd::Location where = gpsimd::Location::here()) const {
    data_of("set_accessor_coherence_policy", where).open.set_policy(policy);
  }

  // Every element becomes `value`; a handle that is const leads to a tensor that is not.
  Tensor &fill_(const Scalar &value, gpsimd::Location where = gpsimd::Location::here()) const;
  Tensor &zero_(gpsimd::Location where = gpsimd::Location::here()) const;

  // For the rest of these headers.
  gpsimd::TensorData &data_of(const char *call, gpsimd::Location where) const {
    if (data_ == nullptr) gpsimd::refuse(where, "`%s` of a tensor that was never made", call);
    return *data_;
  }

 private:
  // A dimension, counted from the first.
  size_t dimension(const char *what, int64_t dim, gpsimd::Location where) const {
    const int64_t rank = this->dim();
    if (dim < -rank || dim >= rank) {
      gpsimd::refuse(where, "%s of dimension %lld of `%s`, which has %lld", what, static_cast<long long>(dim), data().name,
                     static_cast<long long>(rank));
    }
    return static_cast<size_t>(dim < 0 ? dim + rank : dim);
  }

  gpsimd::TensorData &data() const { return data_of("sizes and dtype", gpsimd::Location{nullptr, 0}); }

  gpsimd::TensorData *data_ = nullptr;
};

}  // namespace gpsimd_emulated
}  // namespace torch

namespace at {
using namespace ::torch;
}  // namespace at

// The output of the op. Who calls it writes the output through it; what the op returns is then ignored.
inline torch::Tensor get_dst_tensor(gpsimd::Location where = gpsimd::Location::here()) {
  gpsimd::Core &core = gpsimd::core_for("get_dst_tensor", where);
  core.took_output = true;
  return torch::Tensor(core.output);
}

#endif
