//! Builds C++ ops, generated or written by hand, into a library that the emulator loads.
