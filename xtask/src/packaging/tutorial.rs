//! What the book's tutorial tells its reader to do, in the order in which it does.

use std::fs;

use anyhow::{Context, ensure};

use crate::workspace;

const PAGE: &str = "docs/src/tutorial/first-op.md";

/// The tutorial, from the first command after the installation on.
pub(super) struct Tutorial {
    /// Words of every command.
    pub(super) commands: Vec<Vec<String>>,
    /// What the reader puts into `train.py`.
    pub(super) program: String,
}

impl Tutorial {
    /// Reads the page.
    pub(super) fn read() -> anyhow::Result<Self> {
        let page = fs::read_to_string(workspace::root().join(PAGE)).with_context(|| format!("cannot read {PAGE}"))?;
        let (_, page) =
            page.split_once("## Make a crate\n").with_context(|| format!("{PAGE}: no `## Make a crate`"))?;
        let blocks = |language: &str| {
            let opening = format!("```{language}\n");
            let blocks: Vec<_> = page.split(&opening).skip(1).filter_map(|rest| rest.split("```").next()).collect();
            blocks.join("")
        };
        let commands = blocks("sh");
        let commands: Vec<Vec<String>> =
            commands.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect();
        let program = blocks("python");
        ensure!(commands.len() > 4 && !program.is_empty(), "{PAGE}: no commands or no program");
        Ok(Self { commands, program })
    }
}

#[test]
fn the_tutorial_makes_builds_and_tries_an_op() {
    let Tutorial { commands, program } = Tutorial::read().expect("the tutorial");
    let commands: Vec<_> =
        commands.iter().map(|words| words.iter().take(3).cloned().collect::<Vec<_>>().join(" ")).collect();
    let expected = [
        "cargo gpsimd new",
        "cd my-ops",
        "cargo gpsimd test",
        "cargo gpsimd check",
        "cargo gpsimd build",
        "python example.py",
        "python train.py",
        "cargo gpsimd profile",
    ];
    assert_eq!(commands, expected);
    assert!(program.contains("gpsimd_torch.load_library"), "{program}");
}
