//! The Xtensa program of an op library: built, placed, measured, and the table of what it takes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use gpsimd_emulator::gpsimd_descriptor::limits::TCM_POOL_BYTES;
use gpsimd_isa::{Failed, IsaLibrary, LOCAL_STACK_BYTES, Measured, Sizes};
use serde::Serialize;

use super::source_paths;
use crate::files;
use crate::process::shown_path;
use crate::sdk_source::SdkSource;
use crate::table::{lines, table};
use crate::workspace::OpCrate;

/// A program and what it takes.
#[derive(Serialize)]
struct Report {
    elf: PathBuf,
    library: String,
    version: String,
    sizes: Sizes,
    /// Bytes of stack that are in a core's local memory.
    stack_limit: u32,
    /// Bytes of a core's TCM pool.
    tcm_limit: usize,
    ops: Vec<Measured>,
    /// Launches that failed, with why.
    failed: Vec<Failed>,
}

/// Builds the program and prints what it takes.
pub(super) fn build_and_measure(library: &OpCrate, out: Option<&Path>, json: bool) -> anyhow::Result<()> {
    let elf = build(library, out)?;
    eprintln!("[2/2] measuring under QEMU");
    let descriptor = IsaLibrary::descriptor_of(&elf)?;
    let measured = gpsimd_isa::measure(&elf, elf.parent().unwrap_or(&elf))?;
    let report = Report {
        sizes: gpsimd_isa::sizes(&elf)?,
        ops: measured.ops,
        failed: measured.failed,
        library: descriptor.name,
        version: descriptor.version,
        stack_limit: LOCAL_STACK_BYTES,
        tcm_limit: TCM_POOL_BYTES,
        elf,
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
        let left_out: Vec<_> = descriptor.ops.iter().map(|op| op.name.as_str()).collect();
        let is_tried = |name: &str| {
            report.ops.iter().any(|op| op.op == name) || report.failed.iter().any(|failed| failed.op == name)
        };
        for name in left_out.iter().filter(|name| !is_tried(name)) {
            println!("{name}: not measured, its shape function takes none of the shapes that are tried");
        }
    }
    // With less than a core has, an op may fail.
    let failed: BTreeSet<_> =
        report.failed.iter().filter(|failed| failed.tcm == TCM_POOL_BYTES).map(|failed| failed.op.as_str()).collect();
    ensure!(failed.is_empty(), "{} of {} ops fail on the isa tier", failed.len(), descriptor.ops.len());
    Ok(())
}

/// Builds the program into `out`, or where artifacts are, and returns its path.
pub(super) fn build(library: &OpCrate, out: Option<&Path>) -> anyhow::Result<PathBuf> {
    eprintln!("[1/2] Xtensa program of {}", library.package());
    let workspace = library.workspace();
    let runner = SdkSource::of(workspace)?.dependency("gpsimd-isa-runner")?;
    let left_out = source_paths::left_out(workspace.root())?;
    let built = gpsimd_isa::build(library.folder(), &workspace.target().join("isa"), &runner, &left_out)?;
    let name = IsaLibrary::descriptor_of(&built)?.name;
    let folder = out.map_or_else(|| workspace.artifacts().join(&name), Path::to_path_buf).join("isa");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let elf = folder.join(format!("{name}.elf"));
    // QEMU runs what may be executed, so the permissions go with it.
    files::copy(&built, &elf)?;
    Ok(elf)
}

fn print(report: &Report) {
    let sizes = &report.sizes;
    println!("op library {} {} as an Xtensa program: {} bytes of code", report.library, report.version, sizes.text);
    let code: Vec<_> = sizes.code.iter().map(|code| format!("{} {}", code.group.name(), code.bytes)).collect();
    println!("code: {}", code.join(", "));
    println!(
        "constants {}, data {}, zeroed {} (pool and stack of the runner; statics of the kernels: {})",
        sizes.rodata, sizes.data, sizes.bss, sizes.statics_of_kernels
    );
    println!();
    println!("per element of the output, one core, instructions of the base ISA with soft float:");
    let header = ["op", "operands", "stack of 8192", "TCM of 16384", "instructions", "kernels", "arithmetic"];
    let mut table = table(&header, 2);
    for op in &report.ops {
        let per_element = |count: u64| format!("{:.1}", count as f64 / op.elements as f64);
        let counts = op.instructions;
        table.add_row([
            op.op.clone(),
            op.operands.join(" "),
            op.stack.to_string(),
            op.tcm.to_string(),
            per_element(counts.total()),
            per_element(counts.kernels + counts.memory),
            per_element(counts.arithmetic),
        ]);
    }
    print!("{}", lines(&table));
    println!();
    for failed in &report.failed {
        println!("{} on {}, with {} bytes of TCM: {}", failed.op, failed.operands.join(", "), failed.tcm, failed.error);
    }
    for op in report.ops.iter().filter(|op| op.stack > report.stack_limit) {
        println!("{}: {} bytes of stack are more than a core has in its local memory", op.op, op.stack);
    }
    let size = fs::metadata(&report.elf).map_or(0, |found| found.len().div_ceil(1024));
    println!("program  {} ({size} KiB)", shown_path(&report.elf));
}
