// What shape functions may take: tensors and numbers. The emulator tells them of shapes alone, so numbers are made up.
#ifndef GPSIMD_SHAPE_OPERAND_HPP
#define GPSIMD_SHAPE_OPERAND_HPP

#include <torch/torch.h>

#include <stdint.h>

#include <type_traits>

namespace gpsimd {

constexpr char TENSOR_CODE = 't';
constexpr char NUMBER_CODE = 'n';

// Times that a function which takes numbers is called, each time with others.
constexpr size_t PROBES = 4;

// A type that a shape function takes, and an argument for it.
template <class T>
struct ShapeOperand {
  static_assert(!std::is_same<T, T>::value,
                "operands are torch::Tensor (or a reference to one), double, float, int64_t, int, bool or torch::Scalar");
};

struct TensorOperand {
  static constexpr char code = TENSOR_CODE;
  static torch::Tensor &of(torch::Tensor &tensor, size_t) { return tensor; }
};
template <>
struct ShapeOperand<torch::Tensor> : TensorOperand {};
template <>
struct ShapeOperand<torch::Tensor &> : TensorOperand {};
template <>
struct ShapeOperand<const torch::Tensor &> : TensorOperand {};

template <class T>
struct RealOperand {
  static constexpr char code = NUMBER_CODE;
  static T of(torch::Tensor &, size_t probe) {
    const double probes[PROBES] = {1, 0.5, 2, 1000};
    return static_cast<T>(probes[probe]);
  }
};
template <>
struct ShapeOperand<double> : RealOperand<double> {};
template <>
struct ShapeOperand<float> : RealOperand<float> {};
template <>
struct ShapeOperand<torch::Scalar> : RealOperand<torch::Scalar> {};
template <>
struct ShapeOperand<const torch::Scalar &> : RealOperand<torch::Scalar> {};

// Never 0, by which a function may divide.
template <class T>
struct IntegerOperand {
  static constexpr char code = NUMBER_CODE;
  static T of(torch::Tensor &, size_t probe) {
    const int probes[PROBES] = {2, 3, 5, 64};
    return static_cast<T>(probes[probe]);
  }
};
template <>
struct ShapeOperand<int> : IntegerOperand<int> {};
template <>
struct ShapeOperand<long> : IntegerOperand<long> {};
template <>
struct ShapeOperand<long long> : IntegerOperand<long long> {};

template <>
struct ShapeOperand<bool> {
  static constexpr char code = NUMBER_CODE;
  static bool of(torch::Tensor &, size_t probe) { return probe % 2 == 0; }
};

}  // namespace gpsimd

#endif
