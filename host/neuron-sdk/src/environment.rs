//! [`Environment`]: the places of a host that the SDK is looked for in.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a host keeps what belongs to the SDK. What [`Sdk::locate_in`](super::Sdk::locate_in) finds depends on nothing
/// else, so that a test can make a host up.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Folder of the SDK.
    pub sdk: PathBuf,
    /// Folder that holds the virtual environments of a Deep Learning AMI.
    pub environments: PathBuf,
    /// The virtual environment that is active.
    pub virtual_env: Option<PathBuf>,
    /// Folders with programs: `python3`, `dpkg-query`, `rpm`.
    pub path: Vec<PathBuf>,
    /// Folder of device nodes.
    pub devices: PathBuf,
    /// File with the instance type. That EC2 puts it there, as the name of the product, is our assumption.
    pub instance_type: PathBuf,
    /// How long a program may take to answer.
    pub time_limit: Duration,
}

impl Environment {
    /// This host: `$NEURON_SDK_ROOT` or `/opt/aws/neuron`, `/opt`, `$VIRTUAL_ENV`, `$PATH`.
    pub fn of_this_host() -> Self {
        let folder = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            sdk: folder("NEURON_SDK_ROOT").unwrap_or_else(|| "/opt/aws/neuron".into()),
            environments: "/opt".into(),
            virtual_env: folder("VIRTUAL_ENV"),
            path: std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default(),
            devices: "/dev".into(),
            instance_type: "/sys/devices/virtual/dmi/id/product_name".into(),
            time_limit: Duration::from_secs(20),
        }
    }

    /// The first program of that name on the path.
    pub(super) fn program(&self, name: &str) -> Option<PathBuf> {
        self.path.iter().map(|folder| folder.join(name)).find(|file| file.is_file())
    }

    /// Python interpreters in the order in which they are asked for `torch_neuronx`: the active environment, those of the
    /// Deep Learning AMI (`/opt/aws_neuron*_venv_pytorch*`, the newest name first), `python3`.
    pub(super) fn interpreters(&self) -> Vec<PathBuf> {
        let of = |folder: &Path| folder.join("bin/python");
        let mut of_image: Vec<PathBuf> = std::fs::read_dir(&self.environments)
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let name = entry.file_name().into_string().ok()?;
                (name.starts_with("aws_neuron") && name.contains("_venv_pytorch")).then(|| of(&entry.path()))
            })
            .collect();
        of_image.sort_by(|a, b| b.cmp(a));
        let active = self.virtual_env.as_deref().map(of);
        let all = active.into_iter().chain(of_image).chain(self.program("python3"));
        all.filter(|interpreter| interpreter.is_file()).collect()
    }
}
