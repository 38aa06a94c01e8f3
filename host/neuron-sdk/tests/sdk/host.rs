//! [`Host`]: a fake host in a folder, with programs that play the package manager, Python and the SDK's builder.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use gpsimd_codegen::{Image, Manifest, Package};
use gpsimd_neuron_sdk::{Environment, Sdk, table};
use serde_json::json;

/// Versions that go together.
pub(crate) const TORCH: [(&str, &str); 4] =
    [("torch", "2.9.1"), ("torch-xla", "2.9.0"), ("torch-neuronx", "2.9.0.2.12"), ("neuronx-cc", "2.23.5")];

/// A host.
pub(crate) struct Host {
    folder: tempfile::TempDir,
    pub(crate) environment: Environment,
    installed: Vec<(&'static str, String)>,
    /// What the Python of [`Host::with_python`] says that there is.
    pub(crate) headers: Option<&'static str>,
    pub(crate) ninja: Option<&'static str>,
}

impl Host {
    /// A Debian without any of the SDK, and without Python.
    pub(crate) fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        let environment = Environment {
            sdk: at("opt/aws/neuron"),
            environments: at("opt"),
            virtual_env: None,
            path: vec![at("bin")],
            devices: at("dev"),
            instance_type: at("product_name"),
            time_limit: Duration::from_secs(20),
        };
        for folder in ["opt/aws", "bin", "dev", "site"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        let mut host = Self {
            folder,
            environment,
            installed: Vec::new(),
            headers: Some("/usr/include/python3.12/Python.h"),
            ninja: Some("/usr/bin/ninja"),
        };
        host.install("bash", "5.2");
        host
    }

    /// All of the SDK, on a trn1.2xlarge.
    pub(crate) fn complete() -> Self {
        let mut host = Self::bare();
        host.write("dev/neuron0", "");
        host.write("product_name", "trn1.2xlarge\n");
        host.install("aws-neuronx-dkms", "2.25.4.0");
        host.install("aws-neuronx-runtime-lib", "2.31.24.0-0b044f4ce");
        host.write("opt/aws/neuron/lib/libnrt.so.1", "");
        host.write("opt/aws/neuron/include/nrt/nrt.h", "");
        host.with_compiler("0.21.0.0");
        host.with_library("0.21.2.0");
        host.with_python("opt/aws_neuronx_venv_pytorch_2_9", &TORCH);
        host
    }

    pub(crate) fn with_compiler(&mut self, version: &str) {
        self.install("aws-neuronx-gpsimd-tools", version);
        self.write("opt/aws/neuron/gpsimd/bin/xt-clang++", "");
    }

    pub(crate) fn with_library(&mut self, version: &str) {
        self.install("aws-neuronx-gpsimd-customop-lib", version);
        self.write("opt/aws/neuron/gpsimd/custom_op/neuron/neuron-utils.hpp", "");
    }

    /// A virtual environment with these packages. Its interpreter answers what it is asked, and runs `build.py` with a
    /// `torch_neuronx` that does what [`Host::when_built`] says.
    pub(crate) fn with_python(&mut self, environment: &str, packages: &[(&str, &str)]) {
        let all: serde_json::Map<_, _> =
            packages.iter().map(|(name, version)| ((*name).to_owned(), json!(version))).collect();
        let has_neuron = all.contains_key("torch-neuronx");
        let answer = json!({
            "python": "3.12.3", "packages": all, "has_neuron": has_neuron,
            "headers": self.headers, "ninja": self.ninja,
        });
        let site = self.path("site");
        let script = format!(
            "#!/bin/sh\nif [ \"$1\" = -c ]; then echo '{answer}'; else PYTHONPATH='{}' exec python3 -S \"$@\"; fi\n",
            site.display()
        );
        self.program(&format!("{environment}/bin/python"), &script);
    }

    /// What `custom_op.load` does, in Python: the arguments are variables, `host` is this host's folder.
    pub(crate) fn when_built(&self, python: &str) {
        let body: String = python.lines().flat_map(|line| ["    ", line, "\n"]).collect();
        let module = format!(
            "import pathlib, shutil, sys, time\n\nhost = pathlib.Path('{}')\n\ndef load(name, compute_srcs, shape_srcs, \
             extra_cflags, build_directory, multicore, verbose):\n    source = pathlib.Path(compute_srcs[0])\n{body}",
            self.folder.path().display()
        );
        self.write("site/torch_neuronx/__init__.py", "");
        self.write("site/torch_neuronx/xla_impl/__init__.py", "");
        self.write("site/torch_neuronx/xla_impl/custom_op.py", &module);
    }

    /// A package of the operating system.
    pub(crate) fn install(&mut self, package: &'static str, version: &str) {
        self.installed.push((package, version.to_owned()));
        let mut script = "#!/bin/sh\n".to_owned();
        for (package, version) in &self.installed {
            script += ["echo '", package, " ", version, " installed'\n"].concat().as_str();
        }
        script += "echo 'aws-neuronx-oci-hook  not-installed'\nexit 1\n";
        self.program("bin/dpkg-query", &script);
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// A script. Another process writes it: while one of this process's threads starts a program, that program has all files
    /// open which are being written, and such a file cannot be run.
    pub(crate) fn program(&self, path: &str, script: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "cat > \"$0\" && chmod +x \"$0\""]).arg(path).stdin(Stdio::piped());
        let mut writer = command.spawn().unwrap();
        writer.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(writer.wait().unwrap().success());
    }

    pub(crate) fn sdk(&self) -> Sdk {
        Sdk::locate_in(&self.environment)
    }

    /// The lines of the doctor.
    pub(crate) fn lines(&self) -> String {
        self.shown(&table(self.sdk().findings()))
    }

    /// A text without the name of this host's folder.
    pub(crate) fn shown(&self, text: &str) -> String {
        text.replace(&self.folder.path().display().to_string(), "")
    }

    /// Puts the package of the code generator's small op into a folder.
    pub(crate) fn package(&self) -> (PathBuf, Manifest) {
        let folder = self.path("package");
        let wasm = include_bytes!("../../../codegen/tests/package/small_ops.wasm");
        let package = Package::generate(&Image::read(wasm).unwrap(), wasm).unwrap();
        for (name, content) in package.files() {
            self.write(&format!("package/{name}"), content);
        }
        (folder, package.manifest)
    }
}

/// An `ar` archive.
pub(crate) fn archive(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, data) in members {
        let name = format!("{name}/");
        bytes.extend(format!("{name:16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 644, data.len()).as_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(2), b'\n');
    }
    bytes
}

/// What `custom_op.load` writes to `metadata.json` for the package of the small op, by what third parties saw.
pub(crate) fn metadata() -> serde_json::Value {
    let schema = "small_ops_neuron::scale(Tensor _0, Tensor _1) -> (Tensor _0)";
    json!({ "ops": { "small_ops_neuron": { "scale": { "fn": "scale", "schema": schema } } } })
}

/// The members of the library of the small op: the shape library, eight device libraries, metadata.
pub(crate) fn members(metadata: &serde_json::Value) -> Vec<(&'static str, Vec<u8>)> {
    let cores = ["cpu0.so", "cpu1.so", "cpu2.so", "cpu3.so", "cpu4.so", "cpu5.so", "cpu6.so", "cpu7.so"];
    let mut members = vec![("shape.so", elf(62))];
    members.extend(cores.map(|name| (name, elf(94))));
    members.push(("metadata.json", metadata.to_string().into_bytes()));
    members
}

/// An ELF file without any section: of x86-64 (62), or a 32-bit one of Xtensa (94).
pub(crate) fn elf(machine: u8) -> Vec<u8> {
    let is_64 = machine == 62;
    let mut file = vec![0; if is_64 { 64 } else { 52 }];
    file[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', if is_64 { 2 } else { 1 }, 1, 1]);
    (file[16], file[18], file[20]) = (3, machine, 1);
    file[if is_64 { 52 } else { 40 }] = if is_64 { 64 } else { 52 };
    file
}

/// A path's file name.
pub(crate) fn file_names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
