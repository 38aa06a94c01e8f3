// In the form of a generated package: x + a y, the bits of `a` in `params`.
#include <neuron/neuron-utils.hpp>
#include <torch/torch.h>

torch::Tensor scaled_add(const torch::Tensor& x, const torch::Tensor& y, const torch::Tensor& params) {
  torch::Tensor z = get_dst_tensor();
  const size_t len = x.numel(), part = (len + get_cpu_count() - 1) / get_cpu_count();
  const size_t first = part * get_cpu_id() < len ? part * get_cpu_id() : len;
  const size_t end = first + part < len ? first + part : len;
  unsigned char* tcm = static_cast<unsigned char*>(torch::neuron::tcm_malloc(16 * 1024));
  float* a = reinterpret_cast<float*>(tcm);
  float* tile_x = reinterpret_cast<float*>(tcm + 64);
  float* tile_y = reinterpret_cast<float*>(tcm + 8192);
  params.tcm_accessor().tensor_to_tcm<int32_t>(reinterpret_cast<int32_t*>(tcm), 0, 1);
  for (size_t start = first; start < end; start += 1024) {
    const size_t count = end - start < 1024 ? end - start : 1024;
    x.tcm_accessor().tensor_to_tcm<float>(tile_x, start, count);
    y.tcm_accessor().tensor_to_tcm<float>(tile_y, start, count);
    for (size_t i = 0; i < count; ++i) tile_x[i] += *a * tile_y[i];
    z.tcm_accessor().tcm_to_tensor<float>(tile_x, start, count);
  }
  torch::neuron::tcm_free(tcm);
  return z;
}
