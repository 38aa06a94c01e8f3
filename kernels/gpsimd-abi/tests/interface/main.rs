//! The interface against its version, and against its C header.

mod c_header;
mod c_types;
mod interface;
mod version;
