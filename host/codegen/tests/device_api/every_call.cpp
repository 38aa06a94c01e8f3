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
  x.fill_(3);
  TORCH_CHECK(a.dim() == 2, "dims ", a.dim(), a.sizes(), a.dtype());
  TORCH_CHECK(get_cpu_id() < get_cpu_count());
  return y;
}

torch::Tensor every_call_shape(const torch::Tensor&, torch::Tensor b) {
  return torch::empty({b.size(0), 3}, b.dtype());
}

NEURON_LIBRARY(every, m) { m.def("every_call", &every_call_shape, "every_call"); }

static torch::Tensor call(const torch::Tensor* t) { return every_call(t[0]); }

extern "C" uint32_t run_every_call(const gpsimd_device* device) {
  static const char* const names[] = {"a", "y"};
  return gpsimd::run(gpsimd::AdaptedOp{"every_call", names, true, 0, call}, device);
}
