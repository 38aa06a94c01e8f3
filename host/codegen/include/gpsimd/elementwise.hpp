// Element-wise functions of tensors, without broadcasting. Each exists twice: giving a new tensor, and with `_out`
// writing into one of the same type. Floating-point elements are computed in f32 with the host's mathematics, integers
// in 64 bits, and stored in the type of the tensor.
#ifndef GPSIMD_ELEMENTWISE_HPP
#define GPSIMD_ELEMENTWISE_HPP

#include <math.h>

#include <gpsimd/dispatch.hpp>
#include <gpsimd/factories.hpp>

namespace gpsimd {

// A tensor or a number, element by element.
class Operand {
 public:
  Operand(const torch::Tensor &tensor) : tensor_(&tensor), scalar_(0) {}
  Operand(const c10::Scalar &scalar) : tensor_(nullptr), scalar_(scalar) {}

  const torch::Tensor *tensor() const { return tensor_; }

  // That what is read is not in a write stream still.
  void expect_readable(const char *call, Location where) const {
    if (tensor_ == nullptr) return;
    const TensorData &data = tensor_->data_of(call, where);
    data.open.expect_closed(Access::WriteStream, call, data.name, where);
  }

  // Elements `start` to `start + len` in what they are computed in.
  template <class T, class Computed>
  void read(Core &core, const char *call, uint64_t start, uint64_t len, Computed *elements, Location where) const {
    if (tensor_ == nullptr) {
      for (uint64_t i = 0; i < len; ++i) elements[i] = to_compute(scalar_, Computed{});
      return;
    }
    T stored[64];
    core.read(tensor_->data_of(call, where), start, len, stored, where);
    for (uint64_t i = 0; i < len; ++i) elements[i] = static_cast<Computed>(stored[i]);
  }

 private:
  const torch::Tensor *tensor_;
  c10::Scalar scalar_;
};

// Which element types a function is for.
enum class Domain { All, Floats, Integers };

inline bool is_in(Domain domain, bool is_float) {
  return domain == Domain::All || (domain == Domain::Floats) == is_float;
}

// That `tensor` has the type of `like`: there is no broadcasting and no conversion.
inline void expect_like(const char *call, const torch::Tensor &tensor, const torch::Tensor &like, Location where) {
  if (tensor.sizes() == like.sizes() && tensor.scalar_type() == like.scalar_type()) return;
  const TensorData &a = tensor.data_of(call, where), &b = like.data_of(call, where);
  Message message;
  message.add("`").add(call).add("`: `").add(a.name).add("` is ").add(tensor.scalar_type()).add(tensor.sizes());
  message.add(", but `").add(b.name).add("` is ").add(like.scalar_type()).add(like.sizes());
  refuse(where, "%s", message.text());
}

// Applies a function that has a version for the element type: called with two elements and giving one.
template <class T, class Function>
void apply(const char *call, TensorData &result, const Operand &a, const Operand &b, const Function &function,
           Location where) {
  using Computed = typename Compute<T>::Type;
  Core &core = core_for(call, where);
  Computed x[64], y[64];
  T stored[64];
  for (uint64_t done = 0; done < result.len; done += 64) {
    const uint64_t len = result.len - done < 64 ? result.len - done : 64;
    a.read<T>(core, call, done, len, x, where);
    b.read<T>(core, call, done, len, y, where);
    for (uint64_t i = 0; i < len; ++i) stored[i] = static_cast<T>(function(x[i], y[i]));
    core.write(result, done, len, stored, where);
  }
}

template <bool IS_WANTED>
struct ApplyIf {
  template <class T, class Function>
  static void run(const char *call, TensorData &result, const Operand &a, const Operand &b, const Function &function,
                  Location where) {
    apply<T>(call, result, a, b, function, where);
  }
};
template <>
struct ApplyIf<false> {
  template <class T, class Function>
  static void run(const char *, TensorData &, const Operand &, const Operand &, const Function &, Location) {}
};

// result[i] = function(a[i], b[i])
template <Domain DOMAIN, class Function>
torch::Tensor &map_out(const char *call, torch::Tensor &result, const Operand &a, const Operand &b,
                       const Function &function, Location where) {
  TensorData &data = result.data_of(call, where);
  expect_unstreamed(data, call, where);
  a.expect_readable(call, where);
  b.expect_readable(call, where);
  if (a.tensor() != nullptr && b.tensor() != nullptr) expect_like(call, *b.tensor(), *a.tensor(), where);
  if (a.tensor() != nullptr) expect_like(call, *a.tensor(), result, where);
  if (b.tensor() != nullptr) expect_like(call, *b.tensor(), result, where);
  dispatch(result.scalar_type(), [&](auto element) {
    using T = decltype(element);
    constexpr bool is_float = Compute<T>::is_float;
    if (!is_in(DOMAIN, is_float)) {
      refuse(where, "`%s` of a tensor of %s: it is for %s", call, element_info(result.scalar_type()).name,
             is_float ? "integers" : "floating-point numbers");
    }
    ApplyIf<DOMAIN == Domain::All || (DOMAIN == Domain::Floats) == is_float>::template run<T>(call, data, a, b, function,
                                                                                             where);
  });
  return result;
}

template <Domain DOMAIN, class Function>
torch::Tensor map(const char *call, const Operand &a, const Operand &b, const Function &function, Location where) {
  const torch::Tensor &like = a.tensor() != nullptr ? *a.tensor() : *b.tensor();
  like.data_of(call, where);
  torch::Tensor result = make_tensor(call, like.sizes(), like.scalar_type(), where);
  return map_out<DOMAIN>(call, result, a, b, function, where);
}

inline float absolute(float x) { return fabsf(x); }
inline int64_t absolute(int64_t x) { return x < 0 ? -x : x; }
inline float round_up(float x) { return ceilf(x); }
inline int64_t round_up(int64_t x) { return x; }
inline float round_down(float x) { return floorf(x); }
inline int64_t round_down(int64_t x) { return x; }

}  // namespace gpsimd

// A function of one tensor, and its `_out`.
#define GPSIMD_UNARY(name, domain, expression)                                                                      \
  inline Tensor &name##_out(Tensor &result, const Tensor &self, gpsimd::Location where = gpsimd::Location::here()) { \
    return gpsimd::map_out<gpsimd::Domain::domain>(                                                                 \
        "torch::" #name, result, self, Scalar(0), [](auto x, auto) { return expression; }, where);                  \
  }                                                                                                                 \
  inline Tensor name(const Tensor &self, gpsimd::Location where = gpsimd::Location::here()) {                       \
    return gpsimd::map<gpsimd::Domain::domain>(                                                                     \
        "torch::" #name, self, Scalar(0), [](auto x, auto) { return expression; }, where);                          \
  }

// A function of two operands, one of which may be a number, and its `_out`.
#define GPSIMD_BINARY(name, domain, First, Second, expression)                                              \
  inline Tensor &name##_out(Tensor &result, const First &self, const Second &other,                         \
                            gpsimd::Location where = gpsimd::Location::here()) {                            \
    return gpsimd::map_out<gpsimd::Domain::domain>(                                                         \
        "torch::" #name, result, self, other, [](auto x, auto y) { return expression; }, where);            \
  }                                                                                                         \
  inline Tensor name(const First &self, const Second &other,                                                \
                     gpsimd::Location where = gpsimd::Location::here()) {                                   \
    return gpsimd::map<gpsimd::Domain::domain>(                                                             \
        "torch::" #name, self, other, [](auto x, auto y) { return expression; }, where);                    \
  }

// self + alpha * other and the like.
#define GPSIMD_SCALED(name, Second, expression)                                                             \
  inline Tensor &name##_out(Tensor &result, const Tensor &self, const Second &other, const Scalar &alpha = 1, \
                            gpsimd::Location where = gpsimd::Location::here()) {                            \
    return gpsimd::map_out<gpsimd::Domain::All>(                                                            \
        "torch::" #name, result, self, other,                                                               \
        [&](auto x, auto y) {                                                                               \
          const auto scaled = gpsimd::to_compute(alpha, y) * y;                                             \
          return expression;                                                                                \
        },                                                                                                  \
        where);                                                                                             \
  }                                                                                                         \
  inline Tensor name(const Tensor &self, const Second &other, const Scalar &alpha = 1,                      \
                     gpsimd::Location where = gpsimd::Location::here()) {                                   \
    self.data_of("torch::" #name, where);                                                                   \
    Tensor result = gpsimd::make_tensor("torch::" #name, self.sizes(), self.scalar_type(), where);          \
    return name##_out(result, self, other, alpha, where);                                                   \
  }

namespace torch {
inline namespace gpsimd_emulated {

GPSIMD_UNARY(abs, All, gpsimd::absolute(x))
GPSIMD_UNARY(ceil, All, gpsimd::round_up(x))
GPSIMD_UNARY(floor, All, gpsimd::round_down(x))
GPSIMD_UNARY(sin, Floats, sinf(x))
GPSIMD_UNARY(cos, Floats, cosf(x))
GPSIMD_UNARY(tan, Floats, tanf(x))
GPSIMD_UNARY(log, Floats, logf(x))
GPSIMD_UNARY(log2, Floats, log2f(x))
GPSIMD_UNARY(log10, Floats, log10f(x))
GPSIMD_UNARY(exp, Floats, expf(x))
GPSIMD_UNARY(bitwise_not, Integers, ~x)

// The vendor documents this form as well: the result is written to `result`, and returned.
inline Tensor bitwise_not(Tensor &result, const Tensor &self, gpsimd::Location where = gpsimd::Location::here()) {
  return bitwise_not_out(result, self, where);
}

GPSIMD_BINARY(pow, Floats, Tensor, Tensor, powf(x, y))
GPSIMD_BINARY(pow, Floats, Tensor, Scalar, powf(x, y))
GPSIMD_BINARY(pow, Floats, Scalar, Tensor, powf(x, y))
GPSIMD_BINARY(mul, All, Tensor, Tensor, x * y)
GPSIMD_BINARY(mul, All, Tensor, Scalar, x * y)
GPSIMD_BINARY(div, Floats, Tensor, Tensor, x / y)
GPSIMD_BINARY(div, Floats, Tensor, Scalar, x / y)
GPSIMD_BINARY(bitwise_and, Integers, Tensor, Tensor, x & y)
GPSIMD_BINARY(bitwise_and, Integers, Tensor, Scalar, x & y)
GPSIMD_BINARY(bitwise_and, Integers, Scalar, Tensor, x & y)
GPSIMD_BINARY(bitwise_or, Integers, Tensor, Tensor, x | y)
GPSIMD_BINARY(bitwise_or, Integers, Tensor, Scalar, x | y)
GPSIMD_BINARY(bitwise_or, Integers, Scalar, Tensor, x | y)

GPSIMD_SCALED(add, Tensor, x + scaled)
GPSIMD_SCALED(add, Scalar, x + scaled)
GPSIMD_SCALED(sub, Tensor, x - scaled)
GPSIMD_SCALED(sub, Scalar, x - scaled)

// Elements below `min` become `min`, those above `max` become `max`; NaN stays.
inline Tensor &clamp_out(Tensor &result, const Tensor &self, const Scalar &min, const Scalar &max,
                         gpsimd::Location where = gpsimd::Location::here()) {
  return gpsimd::map_out<gpsimd::Domain::All>(
      "torch::clamp", result, self, min,
      [&](auto x, auto low) {
        const auto high = gpsimd::to_compute(max, x);
        const auto raised = x < low ? low : x;
        return raised > high ? high : raised;
      },
      where);
}

inline Tensor clamp(const Tensor &self, const Scalar &min, const Scalar &max,
                    gpsimd::Location where = gpsimd::Location::here()) {
  self.data_of("torch::clamp", where);
  Tensor result = gpsimd::make_tensor("torch::clamp", self.sizes(), self.scalar_type(), where);
  return clamp_out(result, self, min, max, where);
}

}  // namespace gpsimd_emulated
}  // namespace torch

#undef GPSIMD_UNARY
#undef GPSIMD_BINARY
#undef GPSIMD_SCALED

#endif
