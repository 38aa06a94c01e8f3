#include <torch/torch.h>
#include "torchneuron/register.h"

torch::Tensor misuse_shape(torch::Tensor x, torch::Tensor) { return torch::empty(x.sizes(), x.dtype()); }

NEURON_LIBRARY(misuse, m) {
  m.def("one_core", &misuse_shape, "misuse_one_core");
  m.def("cores", &misuse_shape, "misuse_cores");
}
