//! An emulated `libnrt.so.1`: the documented C interface of the Neuron Runtime over the GPSIMD emulator.
