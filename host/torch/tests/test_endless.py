"""Kernels that do not end: Ctrl-C and the time limit end their launches, and later launches are good ones."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import gpsimd_torch
import pytest
import torch
from gpsimd_torch import KernelError

# Much longer than it takes to stop a launch, on a busy machine.
SOON = 30

X = torch.arange(3001.0)


@pytest.fixture(scope="session")
def endless_ops(endless_library):
    """The ops of `tests/faults/endless-ops`."""
    gpsimd_torch.load_library(endless_library)
    return torch.ops.endless_ops


@pytest.fixture(autouse=True)
def limit():
    yield
    gpsimd_torch.set_time_limit(60)


def interrupt_soon() -> None:
    """Ctrl-C, when the launch that comes next runs."""

    def press() -> None:
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press).start()


@pytest.mark.parametrize("mode", ["auto", "checked", "fast"])
@pytest.mark.parametrize("op", ["loops", "loads_for_ever"])
def test_control_c_ends_a_launch(endless_ops, mode, op):
    with gpsimd_torch.emulation(mode):
        for _ in range(2):
            started = time.monotonic()
            interrupt_soon()
            with pytest.raises(KeyboardInterrupt):
                getattr(endless_ops, op)(X)
            assert time.monotonic() - started < SOON
        # On all of the threads; no signal is left over.
        for _ in range(5):
            assert torch.equal(endless_ops.recurses(torch.full((3001,), 3.0)), torch.full((3001,), 3.0))


def test_another_handler_of_the_signal_decides_what_is_raised(endless_ops):
    class Stop(Exception):
        pass

    def handler(_signal, _frame):
        raise Stop

    before = signal.signal(signal.SIGINT, handler)
    try:
        interrupt_soon()
        with pytest.raises(Stop):
            endless_ops.loops(X)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_program_that_is_interrupted_ends_as_any_other(endless_library):
    program = (
        f"import gpsimd_torch, torch; gpsimd_torch.load_library({str(Path(endless_library))!r}); print(1, flush=True); "
        f"torch.ops.endless_ops.loops(torch.ones(3001))"
    )
    with subprocess.Popen([sys.executable, "-c", program], text=True, stdout=-1, stderr=-1) as process:
        assert process.stdout.readline() == "1\n"
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=SOON)
    assert process.returncode == -signal.SIGINT
    assert errors.rstrip().endswith("KeyboardInterrupt")


def test_a_checked_launch_past_the_time_limit_is_an_error(endless_ops):
    gpsimd_torch.set_time_limit(0.25)
    started = time.monotonic()
    with gpsimd_torch.emulation("checked"), pytest.raises(KernelError, match=r"op `loops`, core 3.*0\.25"):
        endless_ops.loops(X)
    assert time.monotonic() - started < SOON


@pytest.mark.parametrize("limit", [-1, float("nan"), float("inf")])
def test_a_time_limit_is_a_number_of_seconds(limit):
    with pytest.raises(ValueError, match="expected a number of seconds"):
        gpsimd_torch.set_time_limit(limit)
