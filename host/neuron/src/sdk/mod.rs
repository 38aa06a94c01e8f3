//! The Neuron SDK: where it is, what of it is missing, and how it builds an op package.
