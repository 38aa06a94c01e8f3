//! [`Case`]: operands of an op and what its outputs should be.

use std::path::Path;

use anyhow::Context;
use gpsimd_emulator::{Engine, Op, OpLibrary, Tensor};
use sha2::{Digest, Sha256};

use super::golden::Golden;
use super::{drawn, golden};
use crate::operands::Operands;

/// Operands of an op, from a golden file or drawn.
pub(super) struct Case {
    /// The op, on the native tier.
    pub(super) op: Op,
    /// Name of the golden file, or what is particular about the operands.
    pub(super) name: String,
    /// What it is launched on.
    pub(super) operands: Operands,
    /// What a golden file says of the outputs.
    pub(super) golden: Option<Golden>,
}

/// Why there are no cases of an op.
pub(super) struct NoCases {
    pub(super) op: String,
    pub(super) why: String,
}

/// The cases of a library: every golden file of its ops in `golden`, a folder of folders by op; for other ops, operands that
/// are drawn. In such an order that every op has had its first before one has its second.
pub(super) fn all(
    library: &OpLibrary,
    golden: Option<&Path>,
    is_chosen: impl Fn(&str) -> bool,
    seed: u64,
) -> anyhow::Result<(Vec<Case>, Vec<NoCases>)> {
    let (mut by_op, mut without) = (Vec::new(), Vec::new());
    for op in library.ops().filter(|op| is_chosen(op.name()) && !is_second_phase(library, op)) {
        let files = golden.map(|folder| folder.join(op.name())).filter(|folder| folder.is_dir());
        let cases = match files {
            Some(folder) => golden::read_all(&folder, &op)?,
            None => drawn::small(&op, seed)?,
        };
        if cases.is_empty() {
            let why =
                "no operands were found that its shape function takes, and there are no golden files of it".into();
            without.push(NoCases { op: op.name().into(), why });
        }
        by_op.push(cases);
    }
    let mut ordered: Vec<_> = by_op.into_iter().flat_map(|cases| cases.into_iter().enumerate()).collect();
    ordered.sort_by_key(|(index, _)| *index);
    Ok((ordered.into_iter().map(|(_, case)| case).collect(), without))
}

/// Whether the op takes what another one writes in its first phase, which no operands that are drawn are.
pub(super) fn is_second_phase(library: &OpLibrary, op: &Op) -> bool {
    library.ops().any(|other| other.descriptor().then.as_ref().is_some_and(|then| then.op == op.name()))
}

impl Case {
    /// Names and types of the tensors, values of scalars and sizes.
    pub(super) fn shown(&self) -> String {
        self.operands.describe(self.op.descriptor())
    }

    /// What the native tier computes, checked.
    pub(super) fn expected(&self) -> anyhow::Result<Vec<Tensor>> {
        let engine = Engine::builder().build()?;
        engine
            .call_all(&self.op, &self.operands.views(), &self.operands.scalars)
            .context("the native tier, which the device is compared with, fails")
    }

    /// The digest of all that its results depend on beside the code.
    pub(super) fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("{} {} {:?}", self.op.name(), self.shown(), self.operands.scalars));
        self.operands.tensors.iter().for_each(|tensor| hash.update(tensor.bytes()));
        format!("{:x}", hash.finalize())
    }
}
