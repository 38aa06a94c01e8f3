// Every call of the device API, to be compiled alone.
#include <gpsimd/adapter.hpp>
#include <neuron/neuron-utils.hpp>
#include <torch/torch.h>
#include "torchneuron/register.h"

torch::Tensor every_call(const torch::Tensor& a) {
  torch::Tensor x = torch::abs(a);
  torch::pow(x, 2);
  torch::pow(2.0, x);
  torch::pow(x, x);
  torch::add(x, x, 2);
  torch::add(x, 1.5);
  torch::exp_out(x, a);
  torch::Tensor y = get_dst_tensor();
  torch::clamp_out(y, x, 0, 1.0);
  torch::mul_out(y, x, 3);
  torch::bitwise_and(x, 3);
  torch::bitwise_or(x, x);
  torch::bitwise_not(x);
  auto r = a.read_stream_accessor<float>();
  auto w = y.write_stream_accessor<c10::BFloat16>();
  w.write(r.read());
  r.close();
  auto halves = y.accessor<at::Half, 2>();
  halves[1][2] = halves[0][0] + 1.0f;
  halves[0][1] += 3;
  c10::Half half = halves[0][1];
  halves[0][2] = static_cast<at::Half>(halves[0][1]) + half;
  torch::eye(2, 3, torch::kInt);
  torch::full({2, 3}, 1.5, torch::dtype(torch::kHalf));
  torch::ones(a.sizes(), torch::kByte);
  torch::Tensor& filled = x.fill_(3).zero_();
  torch::bitwise_not(filled, x);
  at::Tensor like = at::zeros(a.sizes(), a.options());
  torch::empty({2}, torch::TensorOptions().dtype(at::kFloat));
  torch::empty({2}, torch::dtype(c10::kInt));
  const at::ScalarType names[] = {torch::kFloat32, torch::kFloat16, torch::kInt32, torch::kInt16, at::kInt8, at::kUInt8};
  torch::ones(halves.sizes(), names[halves.stride(0)]);
  const torch::Scalar number = 2.5;
  TORCH_CHECK(number.to<float>() > number.to<int>() && number.to<c10::Half>() > 2 && number.toDouble() > 2);
  like.set_accessor_coherence_policy(torch::CoherencyEnforcer::Policy::INCOHERENT_QUIET);
  TORCH_CHECK(like.get_accessor_coherence_policy() != at::CoherencyEnforcer::COHERENT);
  torch::neuron::tcm_free(at::neuron::tcm_malloc(a.nbytes() + like.stride(-1)));
  TORCH_CHECK(a.dim() == 2, "dims ", a.dim(), a.sizes(), a.dtype());
  TORCH_CHECK(get_cpu_id() < get_cpu_count());
  return y;
}

torch::Tensor every_call_shape(const torch::Tensor&, torch::Tensor b) {
  return torch::empty({b.size(0), 3}, b.dtype());
}

torch::Tensor numbers_shape(torch::Tensor& a, double, float, int64_t, int, bool, torch::Scalar, const torch::Scalar&) {
  return torch::empty(a.strides(), a.options());
}

NEURON_LIBRARY(every, m) { m.def("every_call", &every_call_shape, "every_call"); }
NEURON_LIBRARY(every, ops) { ops.def("numbers", numbers_shape, "numbers"); }

static torch::Tensor call(const torch::Tensor* t) { return every_call(t[0]); }

extern "C" uint32_t run_every_call(const gpsimd_device* device) {
  static const char* const names[] = {"a", "y"};
  return gpsimd::run(gpsimd::AdaptedOp{"every_call", names, true, 0, call}, device);
}
