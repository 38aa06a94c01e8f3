// Element types: their C++ types, their codes in the ABI, their names.
#ifndef GPSIMD_ELEMENT_HPP
#define GPSIMD_ELEMENT_HPP

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <gpsimd_abi.h>

// The inline namespaces of these headers keep their symbols apart from libtorch's, which a shape source may be compiled
// against and linked beside.
namespace c10 {
inline namespace gpsimd_emulated {

// The upper half of an f32.
struct BFloat16 {
  uint16_t x;

  BFloat16() = default;

  // Of what an element accessor gives.
  template <class Reference, class = typename Reference::IsElementReference>
  BFloat16(const Reference &element) : BFloat16(element.get()) {}

  // To nearest, ties to even; every NaN becomes the same one, as in ATen.
  BFloat16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
    x = is_nan ? uint16_t{0x7fc0} : static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
  }

  operator float() const {
    const uint32_t bits = static_cast<uint32_t>(x) << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
  }
};

// IEEE 754 binary16.
struct Half {
  uint16_t x;

  Half() = default;

  // Of what an element accessor gives.
  template <class Reference, class = typename Reference::IsElementReference>
  Half(const Reference &element) : Half(element.get()) {}

  // To nearest, ties to even.
  Half(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t sign = (bits >> 16) & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;
    uint32_t half;
    if (magnitude > 0x7f800000u) {
      half = 0x7e00u;
    } else if (magnitude >= 0x477ff000u) {
      half = 0x7c00u;  // rounds past the largest half, 65504
    } else if (magnitude >= 0x38800000u) {
      half = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
    } else {
      // Subnormal: adding 0.5 leaves multiples of 2^-24, the smallest half, in the last bits, rounded by the addition.
      float fraction;
      memcpy(&fraction, &magnitude, sizeof fraction);
      fraction += 0.5f;
      memcpy(&half, &fraction, sizeof half);
      half -= 0x3f000000u;
    }
    x = static_cast<uint16_t>(sign | half);
  }

  operator float() const {
    const uint32_t sign = static_cast<uint32_t>(x & 0x8000u) << 16;
    const uint32_t exponent = (x >> 10) & 0x1fu;
    const uint32_t mantissa = x & 0x3ffu;
    uint32_t bits;
    float value;
    if (exponent == 0) {
      value = static_cast<float>(mantissa) * 5.9604644775390625e-8f;  // 2^-24, exact
      memcpy(&bits, &value, sizeof bits);
    } else if (exponent == 0x1fu) {
      bits = 0x7f800000u | (mantissa << 13);
    } else {
      bits = ((exponent + 112u) << 23) | (mantissa << 13);
    }
    bits |= sign;
    memcpy(&value, &bits, sizeof value);
    return value;
  }
};

enum class ScalarType : uint32_t {
  Float = GPSIMD_F32,
  BFloat16 = GPSIMD_BF16,
  Half = GPSIMD_F16,
  Int = GPSIMD_I32,
  Short = GPSIMD_I16,
  Char = GPSIMD_I8,
  Byte = GPSIMD_U8,
};

}  // namespace gpsimd_emulated
}  // namespace c10

namespace gpsimd {

// Code and C++ name of an element type. Types without one cannot be elements.
template <class T>
struct Element;

template <c10::ScalarType CODE, class NUMBER>
struct ElementOf {
  static constexpr c10::ScalarType code = CODE;
  using Number = NUMBER;  // what the language computes with
};

template <>
struct Element<float> : ElementOf<c10::ScalarType::Float, float> {};
template <>
struct Element<c10::BFloat16> : ElementOf<c10::ScalarType::BFloat16, float> {};
template <>
struct Element<c10::Half> : ElementOf<c10::ScalarType::Half, float> {};
template <>
struct Element<int32_t> : ElementOf<c10::ScalarType::Int, int32_t> {};
template <>
struct Element<int16_t> : ElementOf<c10::ScalarType::Short, int16_t> {};
template <>
struct Element<int8_t> : ElementOf<c10::ScalarType::Char, int8_t> {};
template <>
struct Element<uint8_t> : ElementOf<c10::ScalarType::Byte, uint8_t> {};

struct ElementInfo {
  size_t bytes;
  const char *name;  // in messages, as the emulator names it
  const char *type;  // in C++
};

inline ElementInfo element_info(c10::ScalarType type) {
  switch (type) {
    case c10::ScalarType::Float:
      return {4, "f32", "float"};
    case c10::ScalarType::BFloat16:
      return {2, "bf16", "c10::BFloat16"};
    case c10::ScalarType::Half:
      return {2, "f16", "c10::Half"};
    case c10::ScalarType::Int:
      return {4, "i32", "int32_t"};
    case c10::ScalarType::Short:
      return {2, "i16", "int16_t"};
    case c10::ScalarType::Char:
      return {1, "i8", "int8_t"};
    case c10::ScalarType::Byte:
      return {1, "u8", "uint8_t"};
  }
  return {1, "an unknown dtype", "unknown"};
}

}  // namespace gpsimd

// ATen has them in its three namespaces.
namespace c10 {
constexpr ScalarType kFloat = ScalarType::Float;
constexpr ScalarType kBFloat16 = ScalarType::BFloat16;
constexpr ScalarType kHalf = ScalarType::Half;
constexpr ScalarType kInt = ScalarType::Int;
constexpr ScalarType kShort = ScalarType::Short;
constexpr ScalarType kChar = ScalarType::Char;
constexpr ScalarType kByte = ScalarType::Byte;
}  // namespace c10

namespace torch {
using c10::BFloat16;
using c10::Half;
using c10::ScalarType;

using c10::kBFloat16;
using c10::kByte;
using c10::kChar;
using c10::kFloat;
using c10::kHalf;
using c10::kInt;
using c10::kShort;

constexpr ScalarType kFloat32 = kFloat, kF32 = kFloat;
constexpr ScalarType kFloat16 = kHalf, kF16 = kHalf;
constexpr ScalarType kInt32 = kInt, kI32 = kInt;
constexpr ScalarType kInt16 = kShort, kI16 = kShort;
constexpr ScalarType kInt8 = kChar, kI8 = kChar;
constexpr ScalarType kUInt8 = kByte, kU8 = kByte;
}  // namespace torch

#endif
