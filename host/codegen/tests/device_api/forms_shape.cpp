#include <stdint.h>
#include <stdlib.h>
#include <torch/torch.h>
#include "torchneuron/register.h"

torch::Tensor spellings_shape(const torch::Tensor& x) { return torch::zeros({8}, x.options().dtype(torch::kFloat)); }

torch::Tensor recurrence_shape(const torch::Tensor& state, const torch::Tensor& x, const torch::Tensor& decay) {
  int64_t B = x.size(0), T = x.size(1), H = decay.size(0);
  torch::Tensor t_out = torch::zeros({B, T + 1, H}, torch::kFloat);
  return t_out;
}

torch::Tensor same_shape(torch::Tensor x) { return torch::zeros(x.sizes(), torch::kFloat); }

torch::Tensor cores_shape(torch::Tensor) { return torch::zeros({2}, torch::kFloat); }

NEURON_LIBRARY(forms, m) {
  m.def("spellings", &spellings_shape, "spellings");
  m.def("recurrence", &recurrence_shape, "recurrence");
  m.def("running_maximum", &same_shape, "running_maximum");
  m.def("many_streams", &same_shape, "many_streams");
  m.def("full_tcm", &same_shape, "full_tcm");
  m.def("cores", &cores_shape, "cores");
}
