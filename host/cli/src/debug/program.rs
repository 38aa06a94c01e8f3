//! [`Program`]: what runs under the debugger. It launches an op on one thread, and is no command for people.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gpsimd_emulator::{OpLibrary, PrintSink};

use crate::check::Launcher;
use crate::libraries::Libraries;
use crate::replay::{Replay, Setting};
use crate::tier::Tier;

/// Launch the op of a replay file on one thread: what `cargo gpsimd debug` starts a debugger on.
#[derive(clap::Args)]
pub(crate) struct Program {
    /// The op library, for this CPU
    library: PathBuf,
    /// The replay file
    launch: PathBuf,
    /// The core that runs before the others
    #[arg(long, value_name = "NUMBER")]
    core: Option<usize>,
}

impl Program {
    /// The name of the command.
    pub(crate) const NAME: &'static str = "debug-launch";

    /// Runs the launch, and says how it ended.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let replay = Replay::read(&self.launch)?;
        let mut launcher = Launcher::new(Libraries::of(OpLibrary::load(&self.library)?));
        // Nobody who looks around in a debugger is to be stopped.
        launcher.set_time_limit(Some(Duration::ZERO));
        launcher.set_print(PrintSink::Function(Arc::new(|line| eprintln!("{line}"))));
        if let Some(core) = self.core {
            launcher.set_first_core(core);
        }
        let operands = replay.operands(launcher.libraries().native())?;
        for setting in &replay.settings {
            // Whatever tier the library is of: it is the one that is there.
            let setting = Setting { tier: Tier::Native, ..setting.clone() };
            launcher.launch(&replay.op, &operands, &setting)??;
        }
        println!("op `{}` returned", replay.op);
        Ok(())
    }
}
