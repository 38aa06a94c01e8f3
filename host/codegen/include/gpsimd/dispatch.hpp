// From an element type known when the op runs to one known when it is compiled.
#ifndef GPSIMD_DISPATCH_HPP
#define GPSIMD_DISPATCH_HPP

#include <gpsimd/element.hpp>
#include <gpsimd/shape.hpp>

namespace gpsimd {

// Calls `use` with an element of the C++ type of `type`.
template <class Use>
void dispatch(c10::ScalarType type, const Use &use) {
  switch (type) {
    case c10::ScalarType::Float:
      return use(float{});
    case c10::ScalarType::BFloat16:
      return use(c10::BFloat16{});
    case c10::ScalarType::Half:
      return use(c10::Half{});
    case c10::ScalarType::Int:
      return use(int32_t{});
    case c10::ScalarType::Short:
      return use(int16_t{});
    case c10::ScalarType::Char:
      return use(int8_t{});
    case c10::ScalarType::Byte:
      return use(uint8_t{});
  }
}

// What elements are computed in: floating-point numbers in f32, integers in 64 bits.
template <class T>
struct Compute {
  using Type = int64_t;
  static constexpr bool is_float = false;
};
struct ComputeFloat {
  using Type = float;
  static constexpr bool is_float = true;
};
template <>
struct Compute<float> : ComputeFloat {};
template <>
struct Compute<c10::BFloat16> : ComputeFloat {};
template <>
struct Compute<c10::Half> : ComputeFloat {};

inline float to_compute(const c10::Scalar &value, float) { return static_cast<float>(value.real()); }
inline int64_t to_compute(const c10::Scalar &value, int64_t) { return value.integer(); }

template <class T>
T from_scalar(const c10::Scalar &value) {
  return static_cast<T>(to_compute(value, typename Compute<T>::Type{}));
}

}  // namespace gpsimd

#endif
