//! The generator proved on WebAssembly of others: the specification's test suite, random modules against an
//! interpreter, and bytes that are not modules.

mod bytes;
mod differential;
mod layout;
mod library;
mod reference;
mod script;
mod smith;
mod spec;
mod value;
