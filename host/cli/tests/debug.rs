//! `debug`: the debugger stops in the kernel, and a recorded launch is all there, in the folder and on its page.
//!
//! What needs gdb or Chromium says so and passes where that is not installed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use cargo_gpsimd::replay::Replay;
use gpsimd_emulator::{Engine, OpLibrary, Scalar, Tensor};
use safetensors::SafeTensors;
use serde_json::Value;
use tempfile::TempDir;

const SOURCE: &str = r#"#![no_std]
use gpsimd::prelude::*;

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

fn one_for_each_row(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.with_shape(&[x.dim(0)])
}

/// y = exp(x) / factor, by hand.
#[custom_op(shape = like_x)]
pub fn scaled_exp<T: Float>(core: &Core, x: Input<T>, factor: f32, mut y: Output<T>) -> OpResult {
    for range in core.share(x.len(), LANES).chunks(LANES) {
        let x = core.tcm().load(&x, range.clone())?;
        let mut y = core.tcm().stage(&mut y, range)?;
        for (y, x) in y.iter_mut().zip(&*x) {
            let e = math::exp(x.to_f32());
            *y = T::from_f32(e / factor);
        }
        y.store()?;
    }
    Ok(())
}

/// The logarithm of x, which core 5 refuses to take.
#[custom_op(shape = like_x)]
pub fn refuses(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    for range in core.share(x.len(), LANES).chunks(LANES) {
        let x = core.tcm().load(&x, range.clone())?;
        if core.id() == 5 {
            return Err(OpError::Refused("core 5 has had enough"));
        }
        let mut y = core.tcm().stage(&mut y, range)?;
        for (y, x) in y.iter_mut().zip(&*x) {
            *y = math::log(*x);
        }
        y.store()?;
    }
    Ok(())
}

/// A sum of halves that is rounded to the type after every addition.
#[custom_op(shape = one_for_each_row)]
pub fn careless_sum<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    let len = x.len() / y.len();
    for row in core.share(y.len(), 1).chunks(1) {
        let x = core.tcm().load(&x, row.start * len..row.end * len)?;
        let mut y = core.tcm().stage(&mut y, row)?;
        let mut sum = T::from_f32(0.0);
        for x in &*x {
            sum = T::from_f32(sum.to_f32() + x.to_f32());
        }
        y[0] = sum;
        y.store()?;
    }
    Ok(())
}

op_library! { name: "debugged", ops: [scaled_exp, refuses, careless_sum] }
"#;

/// The library in a folder of its own, made once.
static LIBRARY: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let gpsimd = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kernels/gpsimd").canonicalize().unwrap();
    let manifest = format!(
        "[package]\nname = \"debugged\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"cdylib\", \
         \"rlib\"]\n[dependencies]\ngpsimd = {{ path = {:?} }}\n[workspace]\n",
        gpsimd.display().to_string()
    );
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    fs::write(folder.path().join("src/lib.rs"), SOURCE).unwrap();
    folder
});

/// The build folder, which other tests have, too: what the library is built of is there from run to run.
fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tests/build")
}

/// The number of the first line of the source that has this text.
fn line_of(text: &str) -> usize {
    SOURCE.lines().position(|line| line.contains(text)).unwrap() + 1
}

fn debug(arguments: &[&str]) -> (bool, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_cargo-gpsimd"))
        .args(["gpsimd", "debug"])
        .args(arguments)
        .current_dir(LIBRARY.path())
        .env("CARGO_TARGET_DIR", target())
        .output()
        .unwrap();
    (status.success(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

/// The file of the launch that a debugger is to run, with which the command for gdb ends.
fn launch_of(arguments: &[&str]) -> PathBuf {
    let (is_ok, output) = debug(&[arguments, &["--debugger", "none"]].concat());
    assert!(is_ok, "{output}");
    let command = output.lines().find(|line| line.starts_with("gdb ")).unwrap();
    PathBuf::from(command.rsplit(' ').next().unwrap())
}

/// Whether a tool is there; if not, says what is skipped for it.
fn has(tool: &str) -> bool {
    let has = Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
    if !has {
        eprintln!("skipped: needs {tool}, which is not installed");
    }
    has
}

#[test]
fn gdb_stops_in_the_kernel_of_the_core_that_is_asked_for_and_steps() {
    if !has("gdb") {
        return;
    }
    let stop = format!("src/lib.rs:{}", line_of("let e = math::exp"));
    let mut arguments = vec!["scaled_exp", "--shape", "x=300", "--scalar", "factor=2", "--core", "2", "--break", &stop];
    arguments.extend(["--debugger", "gdb", "--", "-batch"]);
    // At the kernel, then at the line, and at the one after: `next` stops after each function that is inlined into a line.
    let advance = format!("advance {}", line_of("from_f32(e / factor)"));
    for command in [
        "print core.device.table.pointer.core_id",
        "print x.hbm.len",
        "print factor",
        "bt",
        "continue",
        "print *x",
        "next",
        &advance,
        "print e",
    ] {
        arguments.extend(["-ex", command]);
    }
    let (is_ok, output) = debug(&arguments);
    assert!(is_ok, "{output}");
    let start = line_of("for range in core.share(x.len(), LANES)");
    assert!(output.contains("debugged::scaled_exp<f32> (core="), "{output}");
    assert!(output.contains(&format!("at src/lib.rs:{start}")), "{output}");
    assert!(output.contains("$1 = 2\n"), "{output}");
    assert!(output.contains("$2 = 300\n") && output.contains("$3 = 2\n"), "{output}");
    assert!(output.contains("gpsimd_emulator::engine"), "the backtrace goes on past the core's own stack: {output}");
    let next = format!("{}\t            *y = T::from_f32(e / factor);", line_of("from_f32(e / factor)"));
    assert!(output.contains(&next), "{output}");
    let printed = |number: usize| {
        let line = output.lines().find_map(|line| line.strip_prefix(&format!("${number} = "))).unwrap_or(&output);
        line.parse::<f32>().unwrap()
    };
    assert!((printed(4).exp() / printed(5) - 1.0).abs() < 1e-6, "e is the exponential of x: {output}");
}

#[test]
fn gdb_stops_in_the_emitted_cpp_on_the_package_tier() {
    if !has("gdb") {
        return;
    }
    let mut arguments =
        vec!["scaled_exp", "--shape", "x=300", "--tier", "package", "--debugger", "gdb", "--", "-batch"];
    arguments.extend(["-ex", "bt 1", "-ex", "info locals", "-ex", "next", "-ex", "info source"]);
    let (is_ok, output) = debug(&arguments);
    assert!(is_ok, "{output}");
    assert!(output.contains("debugged_scaled_exp") && output.contains("at debugged.cpp:"), "{output}");
    assert!(output.contains("Source language is c++"), "{output}");
    assert!(output.contains("n6 = "), "{output}");
}

#[test]
fn what_the_debugger_runs_has_the_bits_of_the_library_that_ships() {
    let (is_ok, output) = debug(&["scaled_exp", "--shape", "x=300", "--debugger", "none"]);
    assert!(is_ok, "{output}");
    let (is_ok, of_package) = debug(&["scaled_exp", "--shape", "x=300", "--debugger", "none", "--tier", "package"]);
    assert!(is_ok, "{of_package}");
    let dump = tempfile::tempdir().unwrap();
    let folder = dump.path().to_str().unwrap();
    assert!(debug(&["scaled_exp", "--shape", "x=300", "--scalar", "factor=3", "--dump", folder]).0);
    let file = fs::read(dump.path().join("outputs.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&file).unwrap().tensor("y").unwrap().data().to_vec();
    let operand = {
        let all = dumped(dump.path());
        let (mut x, mut at) = (vec![0; 1200], 0);
        for (core, steps) in all["cores"].as_array().unwrap().iter().enumerate() {
            let file = fs::read(dump.path().join(format!("core{core}.safetensors"))).unwrap();
            let data = SafeTensors::deserialize(&file).unwrap();
            for step in
                steps["steps"].as_array().unwrap().iter().filter(|step| step["kind"] == "load" && step["tensor"] == 0)
            {
                let bytes = data.tensor(step["data"].as_str().unwrap()).unwrap().data().to_vec();
                let start = 4 * step["start"].as_u64().unwrap() as usize;
                x[start..start + bytes.len()].copy_from_slice(&bytes);
                at += bytes.len();
            }
        }
        assert_eq!(at, 1200, "every element is loaded once");
        Tensor::from_vec(x.chunks(4).map(|x| f32::from_le_bytes(x.try_into().unwrap())).collect(), &[300]).unwrap()
    };
    for text in [output, of_package] {
        // The command for gdb ends with the library and the launch.
        let words: Vec<_> = text.lines().find(|line| line.starts_with("gdb ")).unwrap().split(' ').collect();
        let library = OpLibrary::load(words[words.len() - 2]).unwrap();
        let op = library.op("scaled_exp").unwrap();
        let y = Engine::builder().build().unwrap().call(&op, &[operand.view()], &[Scalar::F32(3.0)]).unwrap();
        assert_eq!(y.bytes(), expected);
    }
}

#[test]
fn sessions_of_one_op_have_launches_of_their_own() {
    let launch = |factor: &str| launch_of(&["scaled_exp", "--shape", "x=3", "--scalar", &format!("factor={factor}")]);
    let (one, other) = (launch("1.5"), launch("2.5"));
    for (file, factor) in [(&one, 1.5), (&other, 2.5)] {
        assert_eq!(Replay::read(file).unwrap().scalars["factor"], Scalar::F32(factor));
    }
    assert_eq!(launch("1.5"), one);
}

#[test]
fn the_commands_of_both_debuggers_and_of_an_editor_are_written() {
    let (is_ok, output) = debug(&["refuses", "--shape", "x=300", "--core", "3", "--debugger", "none"]);
    assert!(is_ok, "{output}");
    let commands: Vec<_> =
        output.lines().filter(|line| line.starts_with("gdb ") || line.starts_with("lldb ")).collect();
    let [gdb, lldb] = commands[..] else { panic!("{output}") };
    assert!(
        gdb.contains("-ex 'break _ZN8debugged7refuses17h")
            && gdb.contains(" -ex continue --args ")
            && gdb.ends_with(" --core 3"),
        "{gdb}"
    );
    assert!(lldb.contains("-o 'breakpoint set --name _ZN8debugged7refuses17h"), "{lldb}");
    assert!(lldb.contains("' -o run -- "), "{lldb}");

    let file = LIBRARY.path().join(".vscode/launch.json");
    let names = || {
        let file: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let names =
            file["configurations"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, r#"{"configurations": [{"name": "mine"}]}"#).unwrap();
    for _ in 0..2 {
        let (is_ok, output) = debug(&["refuses", "--shape", "x=300", "--vscode"]);
        assert!(is_ok, "{output}");
        assert_eq!(names(), ["mine", "gpsimd: refuses (native)", "gpsimd: refuses (native), gdb"]);
    }
    fs::write(&file, "{ // a comment\n}").unwrap();
    let (is_ok, output) = debug(&["refuses", "--shape", "x=300", "--vscode"]);
    assert!(!is_ok && output.contains("is not plain JSON") && output.contains("preRunCommands"), "{output}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "{ // a comment\n}");
}

/// `index.json` of a folder.
fn dumped(folder: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join("index.json")).unwrap()).unwrap()
}

#[test]
fn a_launch_in_a_folder_has_every_step_with_its_line_and_its_elements() {
    let dump = tempfile::tempdir().unwrap();
    let folder = dump.path().to_str().unwrap();
    let (is_ok, output) = debug(&["scaled_exp", "--shape", "x=2x20", "--dtype", "bf16", "--dump", folder]);
    assert!(is_ok, "{output}");
    assert!(
        output.contains("op `scaled_exp` on x bf16[2, 20], factor 1.0: native, checked, 8 cores\nit returned"),
        "{output}"
    );
    let index = dumped(dump.path());
    assert_eq!(index["error"], Value::Null);
    assert!(index["times"].as_str().unwrap().starts_with("DMAs and computation"), "{}", index["times"]);
    let line = |text| line_of(text).to_string();
    let (load, stage) = (line("core.tcm().load(&x, range.clone())"), line("core.tcm().stage(&mut y, range)"));
    let (share, store) = (line("core.share(x.len(), LANES)"), line("y.store()?"));
    let core = &index["cores"][1];
    let steps: Vec<_> = core["steps"].as_array().unwrap().iter().filter(|step| step["tensor"] != 1).collect();
    let words = |step: &&Value| {
        let line = step["line"].as_str().unwrap().split(':').nth(1).unwrap();
        format!("{} {} {} at {line}", step["kind"].as_str().unwrap(), step["start"], step["elements"])
    };
    let words: Vec<_> = steps.iter().map(words).collect();
    assert!(words.contains(&format!("load 16 16 at {load}")), "{words:?} {share}");
    assert!(words.contains(&format!("alloc null null at {stage}")), "{words:?}");
    assert!(words.contains(&format!("store 16 16 at {store}")), "{words:?}");
    let times: Vec<_> =
        steps.iter().map(|step| (step["begin_ns"].as_u64().unwrap(), step["end_ns"].as_u64().unwrap())).collect();
    assert!(times.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{times:?}");

    let of = |kind: &str| times[steps.iter().position(|step| step["kind"] == kind).unwrap()];
    assert!(of("store").0 > of("load").1, "what is computed between the DMAs takes time, too: {times:?}");

    let elements = |file: &str, name: &str| {
        let file = fs::read(dump.path().join(file)).unwrap();
        let tensors = SafeTensors::deserialize(&file).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        (tensor.dtype(), tensor.shape().to_vec(), tensor.data().to_vec())
    };
    let store = steps.iter().find(|step| step["kind"] == "store").unwrap();
    let stored = elements(core["file"].as_str().unwrap(), store["data"].as_str().unwrap());
    let output = elements("outputs.safetensors", "y");
    assert_eq!((stored.0, stored.1, &stored.2[..]), (safetensors::Dtype::BF16, vec![16], &output.2[32..64]));
    assert_eq!(output.1, [2, 20]);
}

#[test]
fn operands_may_be_empty_and_sizes_may_not_be_beyond_the_limit() {
    let index_ops = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kernels/index-ops/Cargo.toml");
    let dump = tempfile::tempdir().unwrap();
    let folder = dump.path().to_str().unwrap();
    let (is_ok, output) = debug(&["scaled_exp", "--shape", "x=0x5", "--dump", folder]);
    assert!(is_ok && output.contains("it returned"), "{output}");
    let arguments = ["topk", "--shape", "x=3x8", "--dump", folder, "--manifest-path", index_ops.to_str().unwrap()];
    let (is_ok, output) = debug(&[&arguments[..], &["--scalar", "k=99999999999999"]].concat());
    assert!(!is_ok, "{output}");
    let told = "op `topk`: size `k` is 99999999999999, the vendor's limit is 4294967295";
    assert!(output.contains(told), "{output}");
}

#[test]
fn a_launch_that_fails_is_there_as_far_as_it_came() {
    let dump = tempfile::tempdir().unwrap();
    let folder = dump.path().to_str().unwrap();
    let (is_ok, output) = debug(&["refuses", "--shape", "x=300", "--dump", folder]);
    assert!(!is_ok && output.contains("error: op `refuses` failed\n"), "{output}");
    assert!(output.contains("it failed, and is recorded as far as it came"), "{output}");
    let index = dumped(dump.path());
    assert!(index["error"].as_str().unwrap().contains("core 5 has had enough"), "{}", index["error"]);
    let count = |core: usize, kind: &str| {
        let steps = index["cores"][core]["steps"].as_array().unwrap();
        steps.iter().filter(|step| step["kind"] == kind).count()
    };
    assert_eq!((count(4, "store"), count(5, "load"), count(5, "store")), (2, 1, 0));
    assert!(!dump.path().join("outputs.safetensors").exists());
}

#[test]
fn rounding_within_a_kernel_is_told_from_one_rounding_at_its_end() {
    let (is_ok, output) = debug(&["scaled_exp", "--shape", "x=500", "--dtype", "bf16", "--f32"]);
    assert!(is_ok && output.contains("every element is the f32 result rounded once"), "{output}");
    let (is_ok, output) = debug(&["careless_sum", "--shape", "x=20x400", "--dtype", "f16", "--f32"]);
    assert!(is_ok && output.contains("farthest") && !output.contains("rounded once"), "{output}");
    let (is_ok, output) = debug(&["careless_sum", "--shape", "x=20x400", "--f32"]);
    assert!(!is_ok && output.contains("give --dtype bf16"), "{output}");
}

#[test]
fn a_replay_file_has_operands_settings_and_what_was_found() {
    // What a debugger runs is a replay file.
    let file = fs::read(launch_of(&["refuses", "--shape", "x=300"])).unwrap();
    let mut metadata = SafeTensors::read_metadata(&file).unwrap().1.metadata().clone().unwrap();
    let json = metadata["gpsimd"].replace("\"cores\":8", "\"cores\":5");
    let json = json.replace("\"finding\":\"\"", "\"finding\":\"element 7 <differs>\"");
    metadata.insert("gpsimd".into(), json);
    let folder = tempfile::tempdir().unwrap();
    let (replay, dump) = (folder.path().join("found.safetensors"), folder.path().join("dump"));
    let tensors = SafeTensors::deserialize(&file).unwrap();
    fs::write(&replay, safetensors::serialize(tensors.tensors(), Some(metadata)).unwrap()).unwrap();
    let (replay, dump_to) = (replay.to_str().unwrap(), dump.to_str().unwrap());
    let (is_ok, output) = debug(&["--replay", replay, "--dump", dump_to]);
    // There is no core 5 to refuse.
    assert!(is_ok && output.contains("on x f32[300]: native, checked, 5 cores\nit returned"), "{output}");
    let index = dumped(&dump);
    assert_eq!((index["cores"].as_array().unwrap().len(), &index["finding"]), (5, &"element 7 <differs>".into()));
    if let Some(dom) = in_browser(&dump, "") {
        assert!(text_of(&dom, "finding").contains("element 7 &lt;differs&gt;"), "{}", text_of(&dom, "finding"));
    }
    let (is_ok, output) = debug(&["scaled_exp", "--replay", replay, "--dump", dump_to]);
    assert!(!is_ok && output.contains("the replay file is of op `refuses`"), "{output}");
}

#[test]
fn the_operands_may_be_the_tensors_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("operands.safetensors");
    let save = |name: &str| {
        let x: Vec<_> = [0.0_f32, 1.0, -1.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![3, 1], &x).unwrap();
        fs::write(&file, safetensors::serialize([(name, view)], None).unwrap()).unwrap();
    };
    let dump = folder.path().join("dump");
    let arguments =
        ["scaled_exp", "--operands", file.to_str().unwrap(), "--scalar", "factor=2", "--dump", dump.to_str().unwrap()];
    save("x");
    let (is_ok, output) = debug(&arguments);
    assert!(is_ok && output.contains("on x f32[3, 1], factor 2.0"), "{output}");
    let outputs = fs::read(dump.join("outputs.safetensors")).unwrap();
    let y = SafeTensors::deserialize(&outputs).unwrap().tensor("y").unwrap().data().to_vec();
    assert_eq!(y[..4], 0.5_f32.to_le_bytes());
    save("z");
    let (is_ok, output) = debug(&arguments);
    assert!(!is_ok && output.contains("op `scaled_exp` has no tensor `z`"), "{output}");
}

/// The page of a folder in a browser after `script` has run in it; none without a browser.
fn in_browser(folder: &Path, script: &str) -> Option<String> {
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
    let runs = |name: &&&str| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    let Some(browser) = names.iter().find(runs) else {
        eprintln!("skipped: needs Chromium, found none of {}", names.join(", "));
        return None;
    };
    let page = fs::read_to_string(folder.join("launch.html")).unwrap();
    let (page, end) = page.rsplit_once("</body>").unwrap();
    let file = folder.join("scripted.html");
    fs::write(&file, format!("{page}<script>{script}</script></body>{end}")).unwrap();
    let Output { status, stdout, stderr } = Command::new(browser)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .args(["--enable-logging=stderr", "--virtual-time-budget=2000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{complaints}");
    let of_page: Vec<_> = complaints.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(of_page.is_empty(), "{of_page:?}");
    Some(String::from_utf8_lossy(&stdout).into_owned())
}

/// What is between tags, of the element with this id and those in it.
fn text_of(dom: &str, id: &str) -> String {
    let from = dom.find(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("{id}: {dom}"));
    let rest = &dom[from..];
    let rest = &rest[rest.find('>').unwrap() + 1..];
    let end = ["</section>", "</header>"].iter().filter_map(|tag| rest.find(tag)).min().unwrap();
    let parts = rest[..end].split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text));
    parts.collect::<Vec<_>>().join("")
}

#[test]
fn the_page_says_who_wrote_an_element_and_shows_what_a_dma_moved() {
    let dump = tempfile::tempdir().unwrap();
    let folder = dump.path().to_str().unwrap();
    assert!(debug(&["scaled_exp", "--shape", "x=3x100", "--dump", folder]).0);
    let Some(dom) = in_browser(dump.path(), "location.hash = '#output=y&element=1,50'") else { return };
    let index = dumped(dump.path());
    let in_it = |step: &&Value| step["kind"] == "store" && (135..=150).contains(&step["start"].as_u64().unwrap());
    let (core, step) = (0..8)
        .find_map(|core| {
            let steps = index["cores"][core]["steps"].as_array().unwrap();
            Some((core, steps.iter().position(|step| in_it(&step))?))
        })
        .unwrap();
    let answer = text_of(&dom, "answer");
    let place = format!("src/lib.rs:{}", line_of("y.store()?"));
    assert!(answer.starts_with("element 150 of y, at [1, 50], was written by"), "{answer}");
    assert!(answer.contains(&format!("core {core}, step {step} at {place}")), "{answer}");
    assert!(text_of(&dom, "map").contains("each of the 300 elements was written once"));

    // The first DMA by the keyboard, then one core down and one to the right.
    let press =
        |key: &str| format!("byId('timeline').dispatchEvent(new KeyboardEvent('keydown', {{ key: '{key}' }}));");
    let script = ["ArrowRight", "ArrowDown", "End", "+"].map(press).concat();
    let dom = in_browser(dump.path(), &script).unwrap();
    let shown = text_of(&dom, "step");
    assert!(shown.starts_with("core 1, step ") && shown.contains(": store of elements "), "{shown}");
    assert!(dom.contains("<rect class=\"selected\""));
}

#[test]
fn the_page_marks_what_is_odd_and_what_was_not_written() {
    let dump = tempfile::tempdir().unwrap();
    let folder = dump.path().to_str().unwrap();
    // Logarithms of the negative half of normal numbers.
    assert!(!debug(&["refuses", "--shape", "x=300", "--dump", folder]).0);
    let script = "byId('filter-mark').value = 'with NaN'; drawDmas(); location.hash = '#output=y&element=299'";
    let Some(dom) = in_browser(dump.path(), script) else { return };
    assert!(text_of(&dom, "error").contains("core 5 has had enough"), "{}", text_of(&dom, "error"));
    let dmas = text_of(&dom, "dmas");
    assert!(dmas.contains(" NaN") && !dmas.contains("load"), "{dmas}");
    let map = text_of(&dom, "map");
    assert!(map.contains("elements were not written"), "{map}");
    let mut of_core = BTreeMap::new();
    for core in 0..8 {
        let index = dumped(dump.path());
        let steps = index["cores"][core]["steps"].as_array().unwrap().clone();
        let stored = steps.iter().filter(|step| step["kind"] == "store").map(|step| step["elements"].as_u64().unwrap());
        of_core.insert(core, stored.sum::<u64>());
    }
    for (core, stored) in of_core.iter().filter(|(_, stored)| **stored > 0) {
        assert!(map.contains(&format!("core {core}: {stored} ")), "{map}");
    }
}
