//! Where packages come from: a folder or an index of one's own, or else PyPI, and PyTorch from its own CPU index where
//! that answers.
//!
//! Whatever the place, the hashes of the lock files hold.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// Names a folder of wheels, or an index, which all packages then come from.
const VARIABLE: &str = "GPSIMD_WHEELS";
/// PyTorch for the CPU. PyPI has only the build for CUDA, five times as large.
const CPU_INDEX: &str = "https://download.pytorch.org/whl/cpu";
/// How long the CPU index may take to answer.
const PATIENCE_S: u32 = 5;
/// Lock files of PyTorch's builds, which are different versions to pip and uv.
pub(super) const CPU_LOCK: &str = "requirements-torch-cpu.txt";
pub(super) const PYPI_LOCK: &str = "requirements-torch.txt";
const MB: u64 = 1_000_000;

/// Where packages come from.
#[derive(Debug, PartialEq)]
pub(super) enum Place {
    Folder(PathBuf),
    Index(String),
    /// `PyPI`, or what the user's settings of pip and uv say in its place.
    Pypi,
}

/// The build of PyTorch that is installed.
#[derive(Debug, PartialEq)]
pub(super) enum Build {
    /// For the CPU; so large.
    Cpu { bytes: u64 },
    /// `PyPI`'s, for this reason.
    Pypi { reason: String },
}

/// Where packages come from, and which PyTorch is there.
#[derive(Debug)]
pub(super) struct Wheels {
    place: Place,
    pytorch: Build,
}

impl Place {
    /// What `GPSIMD_WHEELS` names, or else `PyPI`.
    pub(super) fn of_environment() -> anyhow::Result<Self> {
        Self::named(std::env::var_os(VARIABLE))
    }

    fn named(place: Option<OsString>) -> anyhow::Result<Self> {
        let Some(place) = place else { return Ok(Self::Pypi) };
        if let Some(address) = place.to_str().filter(|text| text.contains("://")) {
            return Ok(Self::Index(address.to_string()));
        }
        let folder = Path::new(&place);
        if !folder.is_dir() {
            bail!(
                "{VARIABLE} is `{}`: expected a folder of wheels, or the address of an index (https://..), found no such \
                 folder; make it, or unset the variable",
                folder.display()
            );
        }
        let folder = folder.canonicalize().with_context(|| format!("cannot read {}", folder.display()))?;
        Ok(Self::Folder(folder))
    }

    /// Options of `pip install` and `uv pip install`.
    pub(super) fn options(&self) -> Vec<OsString> {
        match self {
            Self::Folder(folder) => vec!["--no-index".into(), "--find-links".into(), folder.into()],
            Self::Index(address) => vec!["--index-url".into(), address.into()],
            Self::Pypi => Vec::new(),
        }
    }
}

impl Wheels {
    /// Looks for them. `locks` is the folder with the lock files of PyTorch; `python` asks the indexes.
    pub(super) fn find(python: &str, locks: &Path) -> anyhow::Result<Self> {
        let place = Place::of_environment()?;
        let lock = locks.join(CPU_LOCK);
        let pytorch = match &place {
            Place::Folder(folder) => Build::in_folder(folder)?,
            Place::Index(address) => Build::in_index(python, &lock, address)?,
            Place::Pypi => Build::in_index(python, &lock, CPU_INDEX)?,
        };
        Ok(Self { place, pytorch })
    }

    /// Where packages other than PyTorch come from.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The lock file of PyTorch, and options for `uv pip install`.
    pub(super) fn pytorch(&self) -> (&'static str, Vec<OsString>) {
        match (&self.pytorch, &self.place) {
            (Build::Cpu { .. }, Place::Pypi) => (CPU_LOCK, vec!["--index-url".into(), CPU_INDEX.into()]),
            (Build::Cpu { .. }, place) => (CPU_LOCK, place.options()),
            (Build::Pypi { .. }, place) => (PYPI_LOCK, place.options()),
        }
    }
}

impl Build {
    fn in_folder(folder: &Path) -> anyhow::Result<Self> {
        for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("torch-") && (name.contains("+cpu-") || name.contains("%2Bcpu-")) {
                return Ok(Self::Cpu { bytes: entry.metadata()?.len() });
            }
        }
        Ok(Self::Pypi { reason: "there is no build for the CPU".into() })
    }

    fn in_index(python: &str, lock: &Path, index: &str) -> anyhow::Result<Self> {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            return Ok(Self::Pypi { reason: "for this system it is built for the CPU".into() });
        }
        let content = fs::read_to_string(lock).with_context(|| format!("cannot read {}", lock.display()))?;
        let hashes = content.split("--hash=sha256:").skip(1).filter_map(|rest| rest.split_whitespace().next());
        let asked = Command::new(python)
            .args(["-c", include_str!("cpu_index.py"), index, &PATIENCE_S.to_string()])
            .args(hashes)
            .output()
            .with_context(|| format!("cannot start {python}"))?;
        let answer = String::from_utf8_lossy(&asked.stdout).trim().to_string();
        Ok(match answer.parse() {
            Ok(bytes) if asked.status.success() => Self::Cpu { bytes },
            _ if answer.is_empty() => Self::Pypi { reason: format!("{index} did not answer within {PATIENCE_S} s") },
            _ => Self::Pypi { reason: format!("{index} has none for the CPU that can be used: {answer}") },
        })
    }
}

/// What will be downloaded, for whoever waits.
impl fmt::Display for Wheels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pytorch {
            Build::Cpu { bytes } => write!(f, "PyTorch for the CPU ({} MB)", bytes / MB)?,
            Build::Pypi { .. } => {
                write!(f, "PyTorch (900 MB where it is built for CUDA, whose libraries are left out)")?;
            }
        }
        match (&self.pytorch, &self.place) {
            (Build::Cpu { .. }, Place::Pypi) => write!(f, " from {CPU_INDEX}, other packages (420 MB) from PyPI"),
            (Build::Pypi { reason }, Place::Pypi) => write!(f, " and other packages (420 MB) from PyPI; {reason}"),
            (_, Place::Folder(folder)) => write!(f, " and other packages (420 MB) from {}", folder.display()),
            (_, Place::Index(address)) => write!(f, " and other packages (420 MB) from {address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    const DIGEST: &str = "3de2adb9b4443dc9210ef1f1b16da3647ace53553166d6360bbbd7edd6f16e4d";

    /// An index that answers every request with its page, and one for a wheel with the wheel's size.
    fn index(digest: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let python = cargo_gpsimd::python::system_python().unwrap();
        let tag = "import sys; print('cp{}{}'.format(*sys.version_info))";
        let tag = Command::new(python).args(["-c", tag]).output().unwrap().stdout;
        let tag = String::from_utf8(tag).unwrap().trim().to_string();
        let wheel = format!("torch-2.9.1%2Bcpu-{tag}-{tag}-manylinux_2_28_x86_64.whl");
        let page = format!(
            "<a href=\"/whl/other-{tag}-{tag}-win_amd64.whl#sha256={digest}\">other</a>\n\
             <a href=\"/whl/{wheel}#sha256={digest}\" data-core-metadata=\"sha256=0\">{wheel}</a>"
        );
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let request = lines.next().unwrap();
                lines.take_while(|line| !line.is_empty()).for_each(drop);
                let body = if request.starts_with("HEAD /whl/torch") { "" } else { page.as_str() };
                let length = if body.is_empty() { 184_378_187 } else { body.len() };
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
                    .unwrap();
            }
        });
        address
    }

    fn ask(index: &str) -> Build {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("lock.txt");
        fs::write(&lock, format!("torch==2.9.1+cpu \\\n    --hash=sha256:00 \\\n    --hash=sha256:{DIGEST}\n"))
            .unwrap();
        Build::in_index(&cargo_gpsimd::python::system_python().unwrap(), &lock, index).unwrap()
    }

    #[test]
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn a_wheel_of_the_cpu_index_that_is_locked_is_taken() {
        assert_eq!(ask(&index(DIGEST)), Build::Cpu { bytes: 184_378_187 });
    }

    #[test]
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn a_wheel_of_the_cpu_index_that_is_not_locked_is_not() {
        let Build::Pypi { reason } = ask(&index("1234")) else { panic!("taken") };
        assert!(reason.contains("it has no wheel for Python 3."), "{reason}");
    }

    #[test]
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn an_index_that_does_not_answer_is_said() {
        // Bound, and nobody accepts.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let Build::Pypi { reason } = ask(&format!("http://{}", listener.local_addr().unwrap())) else {
            panic!("taken")
        };
        assert!(reason.contains("timed out") || reason.contains("did not answer within 5 s"), "{reason}");
        drop(listener);
    }

    #[test]
    fn a_folder_or_an_index_of_ones_own_is_all_that_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        let place = Place::named(Some(folder.path().into())).unwrap();
        assert_eq!(place.options(), ["--no-index".into(), "--find-links".into(), path.into_os_string()]);
        let index = Place::named(Some("https://wheels.example/simple".into())).unwrap();
        assert_eq!(index.options(), ["--index-url", "https://wheels.example/simple"]);
        assert_eq!(Place::named(None).unwrap(), Place::Pypi);
    }

    #[test]
    fn of_a_folder_the_build_for_the_cpu_is_taken_where_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("torch-2.9.1-cp311-cp311-manylinux_2_28_x86_64.whl"), "cuda").unwrap();
        let find = || {
            let place = Place::named(Some(folder.path().into())).unwrap();
            Wheels { place, pytorch: Build::in_folder(folder.path()).unwrap() }.pytorch().0
        };
        assert_eq!(find(), PYPI_LOCK);
        fs::write(folder.path().join("torch-2.9.1+cpu-cp311-cp311-manylinux_2_28_x86_64.whl"), "cpu").unwrap();
        assert_eq!(find(), CPU_LOCK);
    }

    #[test]
    fn where_nothing_is_named_pytorch_alone_comes_from_its_index() {
        let wheels = Wheels { place: Place::Pypi, pytorch: Build::Cpu { bytes: 184_378_187 } };
        assert_eq!(wheels.pytorch(), (CPU_LOCK, vec!["--index-url".into(), CPU_INDEX.into()]));
        assert!(wheels.place().options().is_empty());
        assert_eq!(
            wheels.to_string(),
            "PyTorch for the CPU (184 MB) from https://download.pytorch.org/whl/cpu, other packages (420 MB) from PyPI"
        );
    }

    #[test]
    fn a_place_that_is_not_there_is_refused_by_name() {
        for place in ["", "no/such/folder"] {
            let error = Place::named(Some(place.into())).unwrap_err().to_string();
            assert!(error.starts_with(&format!("GPSIMD_WHEELS is `{place}`: expected a folder of wheels")), "{error}");
        }
    }
}
