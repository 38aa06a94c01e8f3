// Ops that take numbers, and tensors by every reference.
#include <torch/torch.h>
#include <neuron/neuron-utils.hpp>

// a x + b, on all cores when built for them.
torch::Tensor affine_compute(const torch::Tensor& x, double a, const torch::Scalar& b) {
  torch::Tensor y = get_dst_tensor();
  const size_t part = (x.numel() + get_cpu_count() - 1) / get_cpu_count();
  const size_t first = part * get_cpu_id();
  const size_t end = first + part < (size_t)x.numel() ? first + part : (size_t)x.numel();
  if (first >= end) return y;
  float* tcm = (float*)torch::neuron::tcm_malloc(part * sizeof(float));
  x.tcm_accessor().tensor_to_tcm<float>(tcm, first, end - first);
  for (size_t i = 0; i < end - first; i++) tcm[i] = a * tcm[i] + b.to<float>();
  y.tcm_accessor().tcm_to_tensor<float>(tcm, first, end - first);
  torch::neuron::tcm_free(tcm);
  return y;
}

// Numbers first, between and last; tensors by value and by reference.
torch::Tensor mixed_compute(int64_t k, torch::Tensor& x, float a, torch::Tensor y, bool negate, int n, torch::Scalar s) {
  const float result[] = {float(k), x.accessor<float, 1>()[0], a, y.accessor<float, 1>()[0], negate ? -1.0f : 1.0f,
                          float(n), s.toFloat()};
  torch::Tensor out = torch::empty({7}, torch::kFloat);
  auto to = out.accessor<float, 1>();
  for (int i = 0; i < 7; i++) to[i] = result[i];
  return out;
}

// An operand that is taken by reference is an operand still.
torch::Tensor overwrite_compute(torch::Tensor& x, double value) { return x.fill_(value); }

torch::Tensor sized_compute(const torch::Tensor& x, int64_t) { return x; }
