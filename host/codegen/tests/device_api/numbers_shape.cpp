#include <torch/torch.h>
#include "torchneuron/register.h"

torch::Tensor affine_shape(const torch::Tensor& x, double a, const torch::Scalar&) {
  TORCH_CHECK(a < 100, "a is ", a);
  return torch::empty(x.sizes(), torch::kFloat);
}

torch::Tensor mixed_shape(int64_t, torch::Tensor&, float, torch::Tensor, bool, int, torch::Scalar) {
  return torch::empty({7}, torch::kFloat);
}

torch::Tensor overwrite_shape(torch::Tensor& x, double) { return torch::empty(x.sizes(), torch::kFloat); }

torch::Tensor sized_shape(torch::Tensor, int64_t size) { return torch::empty({size}, torch::kFloat); }

NEURON_LIBRARY(numbers, m) {
  m.def("affine", &affine_shape, "affine_compute");
  m.def("mixed", &mixed_shape, "mixed_compute");
  m.def("overwrite", &overwrite_shape, "overwrite_compute");
  m.def("sized", &sized_shape, "sized_compute");
}
