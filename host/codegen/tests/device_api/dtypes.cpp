// Ops of every element type, on all cores.
#include <torch/torch.h>
#include <neuron/neuron-utils.hpp>

// The part of `len` elements that is this core's.
static void share(size_t len, size_t& first, size_t& end) {
  const size_t part = (len + get_cpu_count() - 1) / get_cpu_count();
  first = part * get_cpu_id() < len ? part * get_cpu_id() : len;
  end = first + part < len ? first + part : len;
}

// x[index], of any element type; the index is i32.
template <class T>
static void take_of(const torch::Tensor& x, const torch::Tensor& index, torch::Tensor out) {
  size_t first, end;
  share(index.numel(), first, end);
  int32_t* at = (int32_t*)torch::neuron::tcm_malloc(sizeof(int32_t));
  T* element = (T*)torch::neuron::tcm_malloc(sizeof(T));
  for (size_t i = first; i < end; i++) {
    index.tcm_accessor().tensor_to_tcm<int32_t>(at, i, 1);
    x.tcm_accessor().tensor_to_tcm<T>(element, *at, 1);
    out.tcm_accessor().tcm_to_tensor<T>(element, i, 1);
  }
  torch::neuron::tcm_free(element);
  torch::neuron::tcm_free(at);
}

torch::Tensor take(const torch::Tensor& x, const torch::Tensor& index) {
  torch::Tensor out = get_dst_tensor();
  switch (x.scalar_type()) {
    case torch::kFloat: take_of<float>(x, index, out); break;
    case torch::kBFloat16: take_of<c10::BFloat16>(x, index, out); break;
    case torch::kHalf: take_of<c10::Half>(x, index, out); break;
    case torch::kInt: take_of<int32_t>(x, index, out); break;
    case torch::kShort: take_of<int16_t>(x, index, out); break;
    case torch::kChar: take_of<int8_t>(x, index, out); break;
    case torch::kByte: take_of<uint8_t>(x, index, out); break;
  }
  return out;
}

// x, converted to the element type of `like`.
template <class From, class To>
static void cast_of(const torch::Tensor& x, torch::Tensor out) {
  size_t first, end;
  share(x.numel(), first, end);
  From* from = (From*)torch::neuron::tcm_malloc(64);
  To* to = (To*)torch::neuron::tcm_malloc(64);
  for (size_t i = first; i < end; i++) {
    x.tcm_accessor().tensor_to_tcm<From>(from, i, 1);
    *to = static_cast<To>(*from);
    out.tcm_accessor().tcm_to_tensor<To>(to, i, 1);
  }
  torch::neuron::tcm_free(to);
  torch::neuron::tcm_free(from);
}

template <class From>
static void cast_from(const torch::Tensor& x, torch::Tensor out) {
  switch (out.scalar_type()) {
    case torch::kFloat: return cast_of<From, float>(x, out);
    case torch::kBFloat16: return cast_of<From, c10::BFloat16>(x, out);
    case torch::kHalf: return cast_of<From, c10::Half>(x, out);
    case torch::kInt: return cast_of<From, int32_t>(x, out);
    case torch::kShort: return cast_of<From, int16_t>(x, out);
    case torch::kChar: return cast_of<From, int8_t>(x, out);
    case torch::kByte: return cast_of<From, uint8_t>(x, out);
  }
}

torch::Tensor cast(const torch::Tensor& x, const torch::Tensor& like) {
  torch::Tensor out = get_dst_tensor();
  switch (x.scalar_type()) {
    case torch::kFloat: cast_from<float>(x, out); break;
    case torch::kBFloat16: cast_from<c10::BFloat16>(x, out); break;
    case torch::kHalf: cast_from<c10::Half>(x, out); break;
    case torch::kInt: cast_from<int32_t>(x, out); break;
    case torch::kShort: cast_from<int16_t>(x, out); break;
    case torch::kChar: cast_from<int8_t>(x, out); break;
    case torch::kByte: cast_from<uint8_t>(x, out); break;
  }
  return out;
}
