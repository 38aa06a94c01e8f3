"""The machine that a job ran on, and whether it had it to itself: without that, a throughput says little."""

import importlib.metadata
import os
import platform
import socket
import time
from pathlib import Path

import torch

from .distributed import Process

# Linux: what the CPUs have done since they were started, and what they are.
STAT = Path("/proc/stat")
CPUINFO = Path("/proc/cpuinfo")
PACKAGES = ("torch", "transformers", "gpsimd_torch", "gpsimd_bert")
# Of what all CPUs can do, the share of others that is reported.
BUSY_SHARE = 0.1


class Machine:
    """Measures from here to `stop` how much of the CPUs other programs used; made by all processes of a job."""

    def __init__(self, process: Process):
        """Begins to measure."""
        self._process = process
        self._load_before = os.getloadavg()[0]
        self._before = _Use()
        self._others: float | None = None

    def stop(self):
        """Ends the measurement; in all processes."""
        use = _Use().since(self._before)
        host = socket.gethostname()
        own = sum(seconds for where, seconds in self._process.gather((host, use.own_s)) if where == host)
        if use.all_s is not None and use.wall_s > 0:
            self._others = max(0.0, use.all_s - own) / (use.wall_s * (os.cpu_count() or 1))

    def facts(self, emulation: str | None) -> dict:
        """For the report; `emulation` is the mode of the Rust ops."""
        return {
            "cpu": _cpu(),
            "cpus": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY"),
            "load_before": self._load_before,
            "load_after": os.getloadavg()[0],
            "share_of_others": self._others,
            "emulation": emulation,
            "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        }


def lines(facts: dict) -> list[str]:
    """The facts for people, with a warning if others used the machine as well."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    emulation = "" if facts["emulation"] is None else f", {facts['emulation']} emulation"
    lines = [
        f"on {facts['cpu']}, {facts['threads']} threads of {facts['cpus']} CPUs, load {facts['load_before']:.1f} "
        f"before and {facts['load_after']:.1f} after{emulation}; {versions}"
    ]
    others = facts["share_of_others"]
    if others is not None and others > BUSY_SHARE:
        lines.append(
            f"warning: the machine was busy, other programs used {others:.0%} of its CPUs; measure again when it is "
            "idle, seconds and throughput of this table are not those of the training alone"
        )
    return lines


class _Use:
    """Seconds up to now: of the clock, of this process on all CPUs, of all processes on all CPUs."""

    def __init__(self):
        times = os.times()
        self.wall_s = time.monotonic()
        self.own_s = times.user + times.system + times.children_user + times.children_system
        self.all_s = _busy_seconds()

    def since(self, before: "_Use") -> "_Use":
        """The difference."""
        self.wall_s -= before.wall_s
        self.own_s -= before.own_s
        self.all_s = None if self.all_s is None or before.all_s is None else self.all_s - before.all_s
        return self


def _busy_seconds() -> float | None:
    """What all CPUs of the machine have worked: user, nice, system, irq, softirq; None if that is not known."""
    try:
        fields = [int(field) for field in STAT.read_text().splitlines()[0].split()[1:]]
        return sum(fields[at] for at in (0, 1, 2, 5, 6)) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def _cpu() -> str:
    try:
        names = [line for line in CPUINFO.read_text().splitlines() if line.startswith("model name")]
        return names[0].partition(":")[2].strip()
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
