//! `bring-up` on a host with an SDK that the tests fake, and under emulation: what it finds, tells, keeps and writes.

#[path = "../../../neuron-sdk/tests/sdk/host.rs"]
#[allow(dead_code, reason = "written for the tests of the SDK, which need more of it")]
mod host;

mod emulated;
mod on_a_device;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use host::Host;
use serde_json::Value;

/// What every run builds in the same folder: one at a time.
static BUILDING: Mutex<()> = Mutex::new(());

/// The build folder, which other tests have, too.
fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tests/build")
}

/// Folders in a test that take part in every command.
struct Bench {
    host: Host,
    _alone: MutexGuard<'static, ()>,
}

/// How a run ended.
struct Ended {
    status: i32,
    stdout: String,
    stderr: String,
    report: Value,
    page: String,
}

impl Bench {
    /// A complete host.
    fn new() -> Self {
        Self::on(Host::complete())
    }

    fn on(host: Host) -> Self {
        let alone = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        host.write("site/fake_neuron.py", include_str!("fake_neuron.py"));
        // Of these only the package that is asked for is imported first.
        for name in ["torch", "torch_xla"] {
            host.write(&format!("site/{name}.py"), "import fake_neuron\n");
        }
        host.write("site/torch_neuronx/__init__.py", "import fake_neuron\n");
        host.write("site/torch_neuronx/xla_impl/__init__.py", "");
        host.write("site/torch_neuronx/xla_impl/custom_op.py", "from fake_neuron import load, load_library\n");
        Self { host, _alone: alone }
    }

    /// What goes wrong from now on: `<op> <what>`.
    fn fault(&self, fault: &str) {
        self.host.write("fault", fault);
    }

    fn mend(&self) {
        fs::remove_file(self.host.path("fault")).unwrap();
    }

    /// Calls of ops since the last time.
    fn calls(&self) -> usize {
        let calls = fs::read_to_string(self.host.path("calls")).unwrap_or_default();
        let _ = fs::remove_file(self.host.path("calls"));
        calls.lines().count()
    }

    fn command(&self, library: &Path, arguments: &[&str]) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-gpsimd"));
        command
            .args(["bring-up", "--manifest-path"])
            .arg(library.join("Cargo.toml"))
            .arg("--out")
            .arg(self.host.path("report"))
            .args(arguments)
            .env("NEURON_SDK_ROOT", self.host.path("opt/aws/neuron"))
            .env("VIRTUAL_ENV", self.host.path("opt/aws_neuronx_venv_pytorch_2_9"))
            .env("PATH", format!("{}:{path}", self.host.path("bin").display()))
            .env("CARGO_TARGET_DIR", target())
            // Not what the host's Python would say that it has.
            .env("CXX", "c++")
            .env("USER", "somebody")
            .env_remove("PJRT_DEVICE");
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.run_on(&small_ops(), arguments)
    }

    fn run_on(&self, library: &Path, arguments: &[&str]) -> Ended {
        self.ended(self.command(library, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()))
    }

    fn ended(&self, command: &mut Command) -> Ended {
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| self.host.shown(&String::from_utf8(bytes).unwrap());
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        let report = fs::read(self.host.path("report/report.json")).unwrap_or_default();
        let report = serde_json::from_slice(&report).unwrap_or_else(|error| panic!("{error}: {stderr}"));
        let page = fs::read_to_string(self.host.path("report/report.html")).unwrap();
        Ended { status: output.status.code().unwrap(), stdout, stderr, report, page }
    }
}

impl Ended {
    /// State and summary of a step.
    fn step(&self, name: &str) -> (&str, &str) {
        let step = self.report["steps"].as_array().unwrap().iter().find(|step| step["name"] == name).unwrap();
        (step["state"].as_str().unwrap(), step["summary"].as_str().unwrap())
    }

    /// States of all steps.
    fn states(&self) -> Vec<&str> {
        self.report["steps"].as_array().unwrap().iter().map(|step| step["state"].as_str().unwrap()).collect()
    }

    fn failures(&self, name: &str) -> String {
        let steps = self.report["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["name"] == name).unwrap();
        step["failures"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect::<Vec<_>>().join("\n")
    }

    /// Whether everything but the device was there, which no test can fake, and every later step passed.
    fn is_well(&self) -> bool {
        self.failures("check") == "NeuronCore-v2: missing" && self.states()[1..] == ["passed"; 4]
    }

    /// How many cases of an op ended so.
    fn cases(&self, op: &str, outcome: &str) -> usize {
        let cases = self.report["cases"].as_array().unwrap().iter();
        cases.filter(|case| case["op"] == op && case["outcome"] == outcome).count()
    }
}

fn small_ops() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../codegen/tests/package/small-ops").canonicalize().unwrap()
}
