// Sizes of a tensor, and the options of a new one.
#ifndef GPSIMD_SHAPE_HPP
#define GPSIMD_SHAPE_HPP

#include <type_traits>

#include <gpsimd/element.hpp>
#include <gpsimd/frame.hpp>

namespace c10 {
inline namespace gpsimd_emulated {

// Sizes, outermost first. Holds them itself: a braced list of any integer types makes one, as on the core, where
// `size_t` has 32 bits and fits an `int64_t`.
class IntArrayRef {
 public:
  IntArrayRef() = default;

  template <class First, class... Others, class = typename std::enable_if<std::is_integral<First>::value>::type>
  IntArrayRef(First first, Others... others) : IntArrayRef() {
    static_assert(sizeof...(others) < GPSIMD_MAX_RANK, "a tensor has at most 8 dimensions");
    const int64_t all[] = {static_cast<int64_t>(first), static_cast<int64_t>(others)...};
    memcpy(sizes_, all, sizeof all);
    size_ = 1 + sizeof...(others);
  }

  IntArrayRef(const int64_t *sizes, size_t size) : IntArrayRef() {
    if (size > GPSIMD_MAX_RANK) gpsimd::refuse(gpsimd::Location{nullptr, 0}, "a tensor has at most 8 dimensions");
    if (size != 0) memcpy(sizes_, sizes, size * sizeof *sizes);
    size_ = size;
  }

  // Of a vector or another container with contiguous `int64_t`.
  template <class Container, class = decltype(static_cast<const int64_t *>(static_cast<const Container *>(nullptr)->data()))>
  IntArrayRef(const Container &sizes) : IntArrayRef(sizes.data(), sizes.size()) {}

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const int64_t *data() const { return sizes_; }
  const int64_t *begin() const { return sizes_; }
  const int64_t *end() const { return sizes_ + size_; }

  int64_t operator[](size_t dim) const {
    if (dim >= size_) gpsimd::refuse(gpsimd::Location{nullptr, 0}, "size of dimension %zu of %zu", dim, size_);
    return sizes_[dim];
  }

  bool equals(const IntArrayRef &other) const {
    return size_ == other.size_ && memcmp(sizes_, other.sizes_, size_ * sizeof *sizes_) == 0;
  }

 private:
  int64_t sizes_[GPSIMD_MAX_RANK] = {};
  size_t size_ = 0;
};

inline bool operator==(const IntArrayRef &a, const IntArrayRef &b) { return a.equals(b); }
inline bool operator!=(const IntArrayRef &a, const IntArrayRef &b) { return !a.equals(b); }

// Of a new tensor. The dtype alone has an effect.
class TensorOptions {
 public:
  TensorOptions() : TensorOptions(ScalarType::Float) {}
  TensorOptions(ScalarType dtype) : dtype_(dtype) {}

  ScalarType dtype() const { return dtype_; }
  TensorOptions dtype(ScalarType dtype) const { return TensorOptions(dtype); }

 private:
  ScalarType dtype_;
};

// A number given where a tensor could be: exact as an integer, if it was one.
class Scalar {
 public:
  Scalar(float value) : Scalar(static_cast<double>(value)) {}
  Scalar(double value) : real_(value), integer_(0), is_integer_(false) {}
  Scalar(int value) : Scalar(static_cast<long long>(value)) {}
  Scalar(unsigned value) : Scalar(static_cast<long long>(value)) {}
  Scalar(long value) : Scalar(static_cast<long long>(value)) {}
  Scalar(unsigned long value) : Scalar(static_cast<long long>(value)) {}
  Scalar(long long value) : real_(static_cast<double>(value)), integer_(value), is_integer_(true) {}

  double real() const { return real_; }
  bool is_integer() const { return is_integer_; }
  // Towards zero; what is beyond 64 bits is the nearest that is not.
  int64_t integer() const {
    if (is_integer_) return integer_;
    if (!(real_ > -9223372036854775808.0)) return real_ != real_ ? 0 : INT64_MIN;
    return real_ < 9223372036854775808.0 ? static_cast<int64_t>(real_) : INT64_MAX;
  }

  // The number as a `T`, which has to be able to hold it.
  template <class T>
  T to(gpsimd::Location where = gpsimd::Location::here()) const {
    return as<T>(std::is_integral<T>{}, where);
  }
  double toDouble() const { return real_; }
  float toFloat() const { return static_cast<float>(real_); }
  int64_t toLong(gpsimd::Location where = gpsimd::Location::here()) const { return to<int64_t>(where); }
  int toInt(gpsimd::Location where = gpsimd::Location::here()) const { return to<int>(where); }
  bool toBool() const { return real_ != 0; }
  bool isIntegral(bool) const { return is_integer_; }
  bool isFloatingPoint() const { return !is_integer_; }

 private:
  template <class T>
  T as(std::false_type, gpsimd::Location) const {
    return static_cast<T>(static_cast<typename std::conditional<std::is_same<T, double>::value, double, float>::type>(real_));
  }
  template <class T>
  T as(std::true_type, gpsimd::Location where) const {
    if (std::is_same<T, bool>::value) return static_cast<T>(toBool());
    const int64_t value = integer();
    const bool fits = is_integer_ || (real_ > -9223372036854775808.0 && real_ < 9223372036854775808.0);
    if (!fits || static_cast<int64_t>(static_cast<T>(value)) != value || (std::is_unsigned<T>::value && value < 0)) {
      gpsimd::refuse(where, "`to` of the number %g, which the %zu bytes of the type asked for do not hold", real_, sizeof(T));
    }
    return static_cast<T>(value);
  }

  double real_;
  int64_t integer_;
  bool is_integer_;
};

}  // namespace gpsimd_emulated
}  // namespace c10

namespace gpsimd {

// Strides of a contiguous tensor of these sizes.
inline c10::IntArrayRef contiguous_strides(const c10::IntArrayRef &sizes) {
  int64_t strides[GPSIMD_MAX_RANK];
  int64_t step = 1;
  for (size_t dim = sizes.size(); dim-- > 0; step *= sizes[dim] > 1 ? sizes[dim] : 1) strides[dim] = step;
  return c10::IntArrayRef(strides, sizes.size());
}

}  // namespace gpsimd

namespace torch {
using c10::IntArrayRef;
using c10::Scalar;
using c10::TensorOptions;

inline TensorOptions dtype(ScalarType dtype) { return TensorOptions(dtype); }
}  // namespace torch

#endif
