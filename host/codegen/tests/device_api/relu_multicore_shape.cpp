#include <torch/torch.h>
#include "torchneuron/register.h"

torch::Tensor relu_shape(torch::Tensor t_in) {
  TORCH_CHECK(t_in.dim() >= 1, "op `relu`: the operand has ", t_in.dim(), " dimensions, expected at least 1");
  return torch::zeros(t_in.sizes(), torch::kFloat);
}

NEURON_LIBRARY(relu_multicore, m) { m.def("relu", &relu_shape, "relu_cores"); }
