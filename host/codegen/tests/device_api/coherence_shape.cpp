#include <torch/torch.h>
#include "torchneuron/register.h"

torch::Tensor together_shape(torch::Tensor x, torch::Tensor) { return torch::empty(x.sizes(), x.options()); }
torch::Tensor after_shape(torch::Tensor x) { return torch::empty(x.sizes(), x.options()); }

NEURON_LIBRARY(coherence, m) { m.def("together", &together_shape, "together"); }
NEURON_LIBRARY(coherence, m) { m.def("one_after_the_other", &after_shape, "one_after_the_other"); }
