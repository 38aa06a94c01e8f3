#![allow(unused)]

use gpsimd::{Core, print};

fn prints(core: &Core, row: &[f32]) {
    print!(core, "a slice {}\n", row);
    print!(core, "an option {}\n", row.first());
    print!(core, "nothing of that name {sum}\n");
    print!(row, "no core\n");
}

fn main() {}
