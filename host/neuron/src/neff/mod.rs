//! NEFF files: what the Neuron compiler makes and the Neuron Runtime loads.

mod graph;

pub use graph::{Call, Graph, GraphLibrary, TensorSpec};
