//! [`Model`]: a NEFF on a NeuronCore.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gpsimd_neff::{HashCheck, Header, Neff, TensorSpec};

use crate::error::Error;
use crate::neuron_core::{ModelSlot, NeuronCore};
use crate::program::Program;
use crate::runtime::Runtime;
use crate::settings::ModelSettings;

/// A NEFF, loaded on a NeuronCore.
#[derive(Debug)]
pub(crate) struct Model {
    /// For messages.
    pub(crate) name: String,
    /// NeuronCores that it was compiled for. Its calls run on the first.
    pub(crate) cores: u32,
    /// What the program gives.
    pub(crate) inputs: Vec<TensorSpec>,
    /// What the program gets.
    pub(crate) outputs: Vec<TensorSpec>,
    /// How long an execution may take.
    pub(crate) timeout: Option<Duration>,
    place: ModelSlot,
    program: Mutex<Program>,
}

impl Model {
    /// Loads a NEFF on core `vnc`, or where there are fewest models.
    pub(crate) fn load(
        runtime: &Runtime,
        bytes: &[u8],
        vnc: Option<usize>,
        settings: &ModelSettings,
    ) -> Result<Self, Error> {
        let neff = Neff::parse(bytes)?;
        if settings.validate_hash && neff.hash_check() == HashCheck::Mismatch {
            return Err(Error::Hash);
        }
        let cores = cores(neff.header());
        let place = ModelSlot::new(choose(&runtime.cores, vnc, cores)?);
        let graph = neff.emulated_graph()?;
        let library = |library: &gpsimd_neff::GraphLibrary| {
            // The reader has seen that the file is there.
            let content = neff.file(&library.file).unwrap_or_default();
            Ok((library.name.clone(), runtime.libraries.load(&library.file, content)?))
        };
        let libraries = graph.libraries.iter().map(library).collect::<Result<_, Error>>()?;
        let program = Program::new(graph, libraries, &place.core().hbm)?;
        Ok(Self {
            name: neff.header().name().into_owned(),
            cores,
            inputs: graph.inputs.clone(),
            outputs: graph.outputs.clone(),
            timeout: settings.timeout,
            place,
            program: Mutex::new(program),
        })
    }

    /// The core that it is on.
    pub(crate) fn core(&self) -> &NeuronCore {
        self.place.core()
    }

    /// Its program, for who has a turn on its core.
    pub(crate) fn program(&self) -> MutexGuard<'_, Program> {
        self.program.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// NeuronCores that a NEFF takes: as many as were asked for when it was compiled, or as it says it can use.
fn cores(header: &Header) -> u32 {
    if header.requested_tpb_count == 0 { header.num_tpb.max(1) } else { header.requested_tpb_count }
}

fn choose(cores: &[Arc<NeuronCore>], vnc: Option<usize>, wanted: u32) -> Result<&Arc<NeuronCore>, Error> {
    let first = vnc.unwrap_or(0);
    let room = cores.len() - first;
    if wanted as usize > room {
        return Err(Error::NotEnoughCores { wanted, first, visible: cores.len() });
    }
    let candidates = if vnc.is_some() { 1 } else { room - wanted as usize + 1 };
    // The first of those that are least used.
    Ok(cores[first..first + candidates].iter().min_by_key(|core| core.models()).expect("at least one is left"))
}
