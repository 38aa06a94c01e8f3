//! Gives the library the name by which programs ask for the Neuron Runtime.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        // There is no Neuron Runtime for anything else; the crate builds there, so that a workspace does.
        return;
    }
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libnrt.so.1");
    // Its threads run its code: it must not go away under them when a program closes it.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
