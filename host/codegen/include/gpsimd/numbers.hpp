// The numbers that an op takes besides tensors. A launch holds them as elements of one more operand: the
// bits of f32.
#ifndef GPSIMD_NUMBERS_HPP
#define GPSIMD_NUMBERS_HPP

#include <torch/torch.h>

#include <type_traits>

namespace gpsimd {

template <class T>
T number_as(float value, const char *, std::false_type) {
  return static_cast<T>(value);
}

template <class T>
T number_as(float value, const char *name, std::true_type) {
  const float limit = sizeof(T) == 8 ? 9223372036854775808.0f : 2147483648.0f;
  if (!(value >= -limit && value < limit) || value != truncf(value)) {
    refuse(Location{nullptr, 0}, "`%s` is %g: the op takes an integer of %zu bits there", name, static_cast<double>(value),
           8 * sizeof(T));
  }
  return static_cast<T>(value);
}

// Number `index` of `numbers` as the op takes it.
template <class T>
T number(const torch::Tensor &numbers, uint64_t index, const char *name) {
  const Location where{nullptr, 0};
  int32_t bits;
  core_for(name, where).read(numbers.data_of(name, where), index, 1, &bits, where);
  float value;
  memcpy(&value, &bits, sizeof value);
  return number_as<T>(value, name, std::integral_constant<bool, std::is_integral<T>::value && !std::is_same<T, bool>::value>{});
}

}  // namespace gpsimd

#endif
