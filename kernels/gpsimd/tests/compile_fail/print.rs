#![allow(unused)]

use gpsimd::{Core, print};

fn prints(core: &Core, x: f32) {
    print!(core, "with options {:.3}\n", x);
    print!(core, "with named options {x:?}\n");
    print!(core, "too few {} {}\n", x);
    print!(core, "too many {}\n", x, x, 1);
    print!(core, "none but one {x}\n", x);
    print!(core, "left open {x");
    print!(core, "closed }");
    print!("core is missing {x}\n");
    print!(core);
    print!(core, x);
}

fn main() {}
