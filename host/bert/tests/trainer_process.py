"""Trainers in processes of their own, for tests that stop them: alone, or on several hosts made up here."""

import csv
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pytest

# The trainer, with a death at a given step of a given process: it ends, or stops without ending, by a signal.
DYING = """
import os, sys
from gpsimd_bert.train import metrics
from gpsimd_bert.train.__main__ import main

rank, step, number = (int(text) for text in os.environ.get("DIES", "-1 0 0").split())
line = metrics.step_line

def step_line(now, *rest):
    if now == step and int(os.environ.get("RANK", "0")) == rank:
        os.kill(os.getpid(), number)
    return line(now, *rest)

metrics.step_line = step_line
sys.exit(main())
"""


def reviews(folder: pathlib.Path, train: int = 40, test: int = 12) -> pathlib.Path:
    """A data folder with train.csv and test.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("train.csv", train), ("test.csv", test)):
        write_csv(folder / name, count)
    return folder


def write_csv(path: pathlib.Path, count: int):
    """Reviews, half of them good, of growing length."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        for row in range(count):
            text = f"it is {'good' if row % 2 else 'bad'}, number {row} " + "very " * row
            writer.writerow([row % 2 + 1, "a title", text])


def start(*arguments, dies: tuple[int, int, int] | None = None, within=(), torchrun=(), **environment):
    """A trainer; `dies`: rank, step, signal; `within`: a command to run it with; `torchrun`: its options."""
    launcher = ["-m", "torch.distributed.run", *map(str, torchrun)] if torchrun else []
    program = ["-m", "gpsimd_bert.train"]
    if dies is not None:
        script = pathlib.Path(environment.pop("scratch")) / "dying.py"
        script.write_text(DYING)
        program = [str(script)]
        environment["DIES"] = " ".join(str(int(value)) for value in dies)
    # A worker's memory is small here; two threads each would only wait for one another.
    environment = {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"} | environment
    return subprocess.Popen(
        [*within, sys.executable, *launcher, *program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def finish(*processes: subprocess.Popen, timeout: float = 240) -> list[tuple[int, str, str]]:
    """Status, output and errors of each."""
    deadline, results = time.monotonic() + timeout, []
    for process in processes:
        try:
            output, errors = process.communicate(timeout=max(1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            for other in processes:
                other.kill()
            output, errors = process.communicate()
            pytest.fail(f"not done after {timeout} s: {output[-2000:]}{errors[-2000:]}")
        results.append((process.returncode, output, errors))
    return results


def hosts(*arguments, address="127.0.0.1", each=1, within=((), ()), of=({}, {}), **options) -> list[subprocess.Popen]:
    """A job on two hosts with `each` processes: a torchrun for each, in the namespaces `within`, on one machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = ["--nnodes", 2, "--nproc-per-node", each, "--master-addr", address, "--master-port", port]
    return [
        start(
            *arguments,
            *of[rank].get("arguments", ()),
            torchrun=[*common, "--node-rank", rank],
            within=within[rank],
            **options,
        )
        for rank in range(2)
    ]


KILL, STOP = signal.SIGKILL, signal.SIGSTOP
