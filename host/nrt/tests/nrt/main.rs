//! libnrt through the safe interface, against a fake that notes every call (`fake.c`): what is called, in which order, on
//! handles that are alive, and how each failure reads.

mod fake;
mod lifetimes;
mod loading;
mod models;
mod statuses;
mod tensors;
mod threads;
