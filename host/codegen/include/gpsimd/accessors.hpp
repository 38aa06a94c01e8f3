// The ways to a tensor's elements: DMA between the tensor and TCM, one element at a time, one element after the other.
#ifndef GPSIMD_ACCESSORS_HPP
#define GPSIMD_ACCESSORS_HPP

#include <gpsimd/core.hpp>
#include <gpsimd/element.hpp>
#include <gpsimd/shape.hpp>

namespace gpsimd {

// That `T` is the element type of the tensor.
template <class T>
void expect_element(const TensorData &tensor, const char *call, Location where) {
  const c10::ScalarType type = static_cast<c10::ScalarType>(tensor.type.dtype);
  if (Element<T>::code == type) return;
  const ElementInfo asked = element_info(Element<T>::code), found = element_info(type);
  refuse(where, "`%s<%s>` of `%s`, which is %s: its element type is %s", call, asked.type, tensor.name, found.name,
         found.type);
}

// That the op runs on one core, and an accessor that only then works may be opened.
inline Core &single_core_for(const char *call, const TensorData &tensor, Location where) {
  Core &core = core_for(call, where);
  if (core.is_multicore) {
    refuse(where, "`%s` of `%s` in multicore mode, where tensors are reached through `tcm_accessor` alone: use that, or "
           "build the library for one core (`--single-core` here, `multicore=False` of `custom_op.load`)", call, tensor.name);
  }
  return core;
}

// An accessor that is open, and until when.
class OpenAccess {
 public:
  OpenAccess(TensorData &tensor, Access access, Location where) : tensor_(&tensor), access_(access), where_(where) {
    tensor.open.expect_coherent(access, tensor.name, where);
    tensor.open.add(access, where);
  }
  OpenAccess(const OpenAccess &other) : tensor_(other.tensor_), access_(other.access_), where_(other.where_) {
    if (tensor_ != nullptr) tensor_->open.add(access_, where_);
  }
  OpenAccess &operator=(const OpenAccess &) = delete;
  ~OpenAccess() { close(); }

  void close() {
    if (tensor_ != nullptr) tensor_->open.remove(access_);
    tensor_ = nullptr;
  }
  bool is_open() const { return tensor_ != nullptr; }

 private:
  TensorData *tensor_;  // null once it is closed
  Access access_;
  Location where_;
};

}  // namespace gpsimd

namespace torch {
inline namespace gpsimd_emulated {

// DMA between a tensor and TCM. Offsets and lengths are in elements of the flattened tensor.
template <bool READ_ONLY>
class TensorTcmAccessor {
 public:
  explicit TensorTcmAccessor(gpsimd::TensorData &tensor) : tensor_(&tensor) {}

  template <class T>
  void tensor_to_tcm(T *tcm, size_t offset, size_t len, gpsimd::Location where = gpsimd::Location::here()) const {
    gpsimd::expect_element<T>(*tensor_, "tensor_to_tcm", where);
    gpsimd::core_for("tensor_to_tcm", where).load(*tensor_, offset, len, tcm, where);
  }

  template <class T>
  void tcm_to_tensor(const T *tcm, size_t offset, size_t len, gpsimd::Location where = gpsimd::Location::here()) const {
    static_assert(!READ_ONLY || sizeof(T) == 0, "the tensor is const: tcm_to_tensor needs one that is not");
    gpsimd::expect_element<T>(*tensor_, "tcm_to_tensor", where);
    gpsimd::core_for("tcm_to_tensor", where).store(*tensor_, offset, len, tcm, where);
  }

 private:
  gpsimd::TensorData *tensor_;
};

// An element that can be read and assigned.
template <class T>
class ElementReference {
 public:
  using IsElementReference = void;

  ElementReference(gpsimd::Core &core, gpsimd::TensorData &tensor, uint64_t index, gpsimd::Location where)
      : core_(&core), tensor_(&tensor), index_(index), where_(where) {}
  ElementReference(const ElementReference &) = default;

  T get() const {
    T value;
    core_->read(*tensor_, index_, 1, &value, where_);
    return value;
  }

  operator typename gpsimd::Element<T>::Number() const { return get(); }

  const ElementReference &operator=(T value) const {
    core_->write(*tensor_, index_, 1, &value, where_);
    return *this;
  }
  const ElementReference &operator=(const ElementReference &other) const { return *this = other.get(); }
  const ElementReference &operator+=(T value) const { return *this = static_cast<T>(get() + value); }
  const ElementReference &operator-=(T value) const { return *this = static_cast<T>(get() - value); }
  const ElementReference &operator*=(T value) const { return *this = static_cast<T>(get() * value); }
  const ElementReference &operator/=(T value) const { return *this = static_cast<T>(get() / value); }

 private:
  gpsimd::Core *core_;
  gpsimd::TensorData *tensor_;
  uint64_t index_;
  gpsimd::Location where_;
};

template <class T, size_t N, bool READ_ONLY>
class TensorAccessor;

// What the accessor of the innermost dimension gives.
template <class T, size_t N, bool READ_ONLY>
struct Indexed {
  using Type = TensorAccessor<T, N - 1, READ_ONLY>;
};
template <class T>
struct Indexed<T, 1, true> {
  using Type = T;
};
template <class T>
struct Indexed<T, 1, false> {
  using Type = ElementReference<T>;
};

// One element at a time: `accessor[i][j]`.
template <class T, size_t N, bool READ_ONLY>
class TensorAccessor {
 public:
  TensorAccessor(gpsimd::Core &core, gpsimd::TensorData &tensor, uint64_t row, const gpsimd::OpenAccess &open,
                 gpsimd::Location where)
      : core_(&core), tensor_(&tensor), row_(row), open_(open), where_(where) {}

  typename Indexed<T, N, READ_ONLY>::Type operator[](int64_t index) const {
    const size_t dim = tensor_->type.rank - N;
    if (index < 0 || index >= size(0)) {
      gpsimd::refuse(where_, "index %lld in dimension %zu of `%s`, which has %lld elements there (the accessor of this line)",
                     static_cast<long long>(index), dim, tensor_->name, static_cast<long long>(size(0)));
    }
    const uint64_t row = row_ * tensor_->type.dims[dim] + static_cast<uint64_t>(index);
    return at(row, static_cast<typename Indexed<T, N, READ_ONLY>::Type *>(nullptr));
  }

  int64_t size(int64_t dim, gpsimd::Location where = gpsimd::Location::here()) const {
    return sizes()[dimension("size", dim, where)];
  }
  IntArrayRef sizes() const {
    int64_t sizes[N];
    for (size_t dim = 0; dim < N; ++dim) sizes[dim] = static_cast<int64_t>(tensor_->type.dims[tensor_->type.rank - N + dim]);
    return IntArrayRef(sizes, N);
  }
  int64_t stride(int64_t dim, gpsimd::Location where = gpsimd::Location::here()) const {
    return strides()[dimension("stride", dim, where)];
  }
  IntArrayRef strides() const { return gpsimd::contiguous_strides(sizes()); }

 private:
  size_t dimension(const char *what, int64_t dim, gpsimd::Location where) const {
    if (dim < 0 || dim >= static_cast<int64_t>(N)) {
      gpsimd::refuse(where, "%s of dimension %lld of an accessor of `%s`, which has %zu", what, static_cast<long long>(dim),
                     tensor_->name, N);
    }
    return static_cast<size_t>(dim);
  }

  TensorAccessor<T, N - 1, READ_ONLY> at(uint64_t row, TensorAccessor<T, N - 1, READ_ONLY> *) const {
    return TensorAccessor<T, N - 1, READ_ONLY>(*core_, *tensor_, row, open_, where_);
  }
  ElementReference<T> at(uint64_t row, ElementReference<T> *) const {
    return ElementReference<T>(*core_, *tensor_, row, where_);
  }
  T at(uint64_t row, T *) const { return ElementReference<T>(*core_, *tensor_, row, where_).get(); }

  gpsimd::Core *core_;
  gpsimd::TensorData *tensor_;
  uint64_t row_;
  gpsimd::OpenAccess open_;
  gpsimd::Location where_;
};

// What both kinds of streams have: a place in the tensor, and while open 4 KiB of TCM. Where that is not to be had, after the
// fourth stream or beside buffers of the op's, each element is a DMA of its own, as on the device.
template <class T>
class TensorStream {
 public:
  // A stream is open in one place only.
  TensorStream(TensorStream &&other)
      : core_(other.core_), tensor_(other.tensor_), open_(other.open_), tcm_(other.tcm_), done_(other.done_),
        count_(other.count_), where_(other.where_) {
    other.tcm_ = nullptr;
    other.open_.close();
  }
  TensorStream &operator=(TensorStream &&) = delete;

 protected:
  static constexpr uint64_t CAPACITY = 4096 / sizeof(T);

  TensorStream(gpsimd::TensorData &tensor, gpsimd::Access access, gpsimd::Location where)
      : core_(&gpsimd::single_core_for(gpsimd::name_of(access), tensor, where)), tensor_(&tensor),
        open_(tensor, access, where), tcm_(nullptr), done_(0), count_(0), where_(where) {
    gpsimd::expect_element<T>(tensor, gpsimd::name_of(access), where);
    tcm_ = static_cast<T *>(core_->allocate_if_free(CAPACITY * sizeof(T), where));
  }
  ~TensorStream() = default;

  bool is_open() const { return open_.is_open(); }
  bool is_buffered() const { return tcm_ != nullptr; }

  void expect_open(const char *what, gpsimd::Location where) const {
    if (!is_open()) gpsimd::refuse(where, "%s a stream of `%s` that is closed", what, tensor_->name);
  }

  [[noreturn]] void past_end(const char *what, gpsimd::Location where) const {
    gpsimd::refuse(where, "%s past the end of `%s`: it has %llu elements", what, tensor_->name,
                   static_cast<unsigned long long>(tensor_->len));
  }

  void release() {
    core_->release(tcm_, where_);
    tcm_ = nullptr;
    open_.close();
  }

  gpsimd::Core *core_;
  gpsimd::TensorData *tensor_;
  gpsimd::OpenAccess open_;
  T *tcm_;
  uint64_t done_;   // elements before those in TCM, or before the next
  uint64_t count_;  // elements in TCM: already read, or not yet stored
  gpsimd::Location where_;
};

// The elements of a tensor, first to last.
template <class T>
class TensorReadStreamAccessor : TensorStream<T> {
 public:
  TensorReadStreamAccessor(gpsimd::TensorData &tensor, gpsimd::Location where)
      : TensorStream<T>(tensor, gpsimd::Access::ReadStream, where) {}
  TensorReadStreamAccessor(TensorReadStreamAccessor &&) = default;
  ~TensorReadStreamAccessor() { close(); }

  T read(gpsimd::Location where = gpsimd::Location::here()) {
    this->expect_open("`read` of", where);
    if (!this->is_buffered()) {
      if (this->done_ == this->tensor_->len) this->past_end("`read`", where);
      T value;
      this->core_->read(*this->tensor_, this->done_++, 1, &value, where);
      return value;
    }
    if (this->count_ == loaded_) {
      this->done_ += loaded_;
      this->count_ = 0;
      const uint64_t left = this->tensor_->len - this->done_;
      if (left == 0) this->past_end("`read`", where);
      loaded_ = left < this->CAPACITY ? left : this->CAPACITY;
      this->core_->load(*this->tensor_, this->done_, loaded_, this->tcm_, where);
    }
    return this->tcm_[this->count_++];
  }

  int close() {
    if (this->is_open()) this->release();
    return 0;
  }

 private:
  uint64_t loaded_ = 0;
};

// Writes the elements of a tensor, first to last. They are in the tensor when the stream is closed.
template <class T>
class TensorWriteStreamAccessor : TensorStream<T> {
 public:
  TensorWriteStreamAccessor(gpsimd::TensorData &tensor, gpsimd::Location where)
      : TensorStream<T>(tensor, gpsimd::Access::WriteStream, where) {}
  TensorWriteStreamAccessor(TensorWriteStreamAccessor &&) = default;
  ~TensorWriteStreamAccessor() { close(); }

  void write(T value, gpsimd::Location where = gpsimd::Location::here()) {
    this->expect_open("`write` to", where);
    if (this->done_ + this->count_ == this->tensor_->len) this->past_end("`write`", where);
    if (!this->is_buffered()) return this->core_->write(*this->tensor_, this->done_++, 1, &value, where);
    this->tcm_[this->count_++] = value;
    if (this->count_ == this->CAPACITY) flush();
  }

  int close() {
    if (this->is_open()) {
      flush();
      this->release();
    }
    return 0;
  }

 private:
  void flush() {
    if (this->count_ != 0) this->core_->store(*this->tensor_, this->done_, this->count_, this->tcm_, this->where_);
    this->done_ += this->count_;
    this->count_ = 0;
  }
};

}  // namespace gpsimd_emulated
}  // namespace torch

namespace gpsimd {

template <class T, size_t N, bool READ_ONLY>
torch::TensorAccessor<T, N, READ_ONLY> open_accessor(TensorData &tensor, Location where) {
  static_assert(N >= 1, "an accessor has at least one dimension");
  Core &core = single_core_for("accessor", tensor, where);
  expect_element<T>(tensor, "accessor", where);
  if (tensor.type.rank != N) {
    refuse(where, "`accessor` of %zu dimensions of `%s`, which has %u", N, tensor.name, tensor.type.rank);
  }
  const OpenAccess open(tensor, Access::Elements, where);
  return torch::TensorAccessor<T, N, READ_ONLY>(core, tensor, 0, open, where);
}

}  // namespace gpsimd

#endif
