//! libnrt, the Neuron Runtime, opened at run time.
