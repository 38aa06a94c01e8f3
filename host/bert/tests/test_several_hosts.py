"""Data parallel over several hosts: two torchruns on loopback, and in two network namespaces where there may be any."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest
from gpsimd_bert.train.__main__ import main
from safetensors.torch import load
from trainer_process import KILL, STOP, finish, hosts, reviews, start

STEPS = 20
# Without dropout, which every process draws for itself, a step of 2 processes with 2 reviews each is that of one with
# 4, but for the order in which f32 sums of 4 reviews are added up: a few units of 2^-24 in each gradient. AdamW's
# first steps are of the size of the learning rate whatever the gradient's, so a gradient near 0 may turn such a unit
# into a step: bounded by steps x lr in a weight, and here, over 20 steps at 1e-4, well below 1e-5 in the loss.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> pathlib.Path:
    return reviews(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def common(data, checkpoint) -> list:
    common = ["--data", data, "--model", checkpoint, "--ops", "rust", "--steps", STEPS, "--seq-len", 16]
    return [*common, "--lr", "1e-4", "--metric-every", 1]


@pytest.fixture(scope="module")
def alone(common, tmp_path_factory) -> dict:
    """One process with the global batch, without dropout."""
    return outcome(tmp_path_factory.mktemp("alone"), lambda *to: [start(*common, "--batch-size", 4, *UNDROPPED, *to)])


UNDROPPED = ["--dropout", "0"]


@pytest.fixture(scope="module")
def whole(common, tmp_path_factory) -> dict:
    """Two hosts, not interrupted, with dropout."""
    return outcome(tmp_path_factory.mktemp("whole"), lambda *to: hosts(*common, "--batch-size", 2, *to))


def outcome(folder: pathlib.Path, begin) -> dict:
    """The row of a job's report, its model's weights and what it said; the job must succeed."""
    results = finish(*begin(*outputs(folder)))
    assert [status for status, _, _ in results] == [0] * len(results), results
    return made(folder) | {"said": "".join(text for _, text, _ in results)}


def outputs(folder: pathlib.Path) -> list:
    folder.mkdir(exist_ok=True)
    return ["--json", folder / "report.json", "--model-dir", folder / "model"]


def made(folder: pathlib.Path) -> dict:
    (row,) = json.loads((folder / "report.json").read_text())["rows"]
    return row | {"weights": (folder / "model" / "model.safetensors").read_bytes()}


def difference(one: dict, other: dict) -> float:
    assert len(one["losses"]) == len(other["losses"]) == STEPS
    return max(abs(a - b) for a, b in zip(one["losses"], other["losses"], strict=True))


def test_two_hosts_make_the_steps_of_one_process_with_the_same_reviews_per_step(common, alone, tmp_path):
    two = outcome(tmp_path, lambda *to: hosts(*common, "--batch-size", 2, *UNDROPPED, *to))
    assert difference(alone, two) < TOLERANCE
    assert two["validation_accuracy"] == alone["validation_accuracy"]
    assert two["said"].count("metric accuracy=") == 1


@pytest.mark.parametrize("ops", ["stock", "rust"])
def test_gradients_that_are_added_up_and_clipped_are_those_of_one_process_with_the_same_reviews(
    common, one_thread, tmp_path, ops
):
    common = [*common, *UNDROPPED, "--ops", ops]

    def alone(name, *options):
        assert (
            main([str(argument) for argument in (*common, "--batch-size", 8, *options, *outputs(tmp_path / name))]) == 0
        )
        return made(tmp_path / name)

    # Below the norm of most steps, so that it makes a difference.
    clip = ["--clip", "0.3"]
    two = outcome(tmp_path / "two", lambda *to: hosts(*common, "--batch-size", 2, "--accumulate", 2, *clip, *to))
    one = alone("one", *clip)
    assert difference(one, two) < TOLERANCE
    there = load(two["weights"])
    assert all((weight - there[name]).abs().max() < TOLERANCE for name, weight in load(one["weights"]).items())
    assert difference(one, alone("free")) > 10 * TOLERANCE


def test_the_tolerance_is_below_what_other_reviews_would_change(common, alone, tmp_path):
    """The comparison could fail: with dropout or another seed the losses are apart by far more."""
    other = outcome(tmp_path, lambda *to: [start(*common, "--batch-size", 4, *UNDROPPED, "--seed", 1, *to)])
    assert difference(alone, other) > 100 * TOLERANCE


def test_a_worker_that_is_killed_is_named_and_the_restart_goes_on(common, whole, tmp_path):
    # SageMaker's hosts share no disk, and process 0 writes: the second host has no checkpoint.
    of = tuple({"arguments": ["--checkpoints", tmp_path / f"host{rank}"]} for rank in range(2))
    kept = [*common, "--batch-size", 2, "--checkpoint-every", 4]
    started = time.monotonic()
    results = finish(*hosts(*kept, of=of, dies=(1, 10, KILL), scratch=str(tmp_path)), timeout=180)
    assert time.monotonic() - started < 120
    assert all(status != 0 for status, _, _ in results)
    (line,) = re.findall(r"^error: .*", results[0][2], re.M)
    assert re.match(r"error: process 1 of 2 on \S+ \(pid \d+\) died or does not answer; the job ends here", line)
    assert f"it goes on from the newest checkpoint in {tmp_path / 'host0'}" in line
    assert not (tmp_path / "host1").exists()

    resumed = outcome(tmp_path, lambda *to: hosts(*kept, *to, of=of))
    assert "resuming after step 8 of 20" in resumed["said"]
    assert resumed["losses"] == whole["losses"]
    assert resumed["weights"] == whole["weights"]


@pytest.mark.slow
def test_a_worker_that_hangs_is_named_within_the_timeout(common, tmp_path):
    jobs = hosts(*common, "--batch-size", 2, "--worker-timeout", 20, dies=(1, 10, STOP), scratch=str(tmp_path))
    for text in jobs[0].stdout:
        if "metric step=9 " in text:
            break
    stopped = time.monotonic()
    _, errors = jobs[0].communicate(timeout=150)
    # 20 s in the collective, 6 s of roll call, and torchrun's own end.
    assert time.monotonic() - stopped < 90
    assert jobs[0].returncode != 0
    assert re.search(r"^error: process 1 of 2 on \S+ \(pid (\d+)\) died or does not answer", errors, re.M), errors
    pid = re.search(r"process 1 of 2 on \S+ \(pid (\d+)\)", errors)[1]
    os.kill(int(pid), signal.SIGKILL)
    finish(jobs[1], timeout=120)


def test_a_host_without_its_reviews_is_told_on_both(data, checkpoint, tmp_path):
    rest = ["--model", checkpoint, "--ops", "stock", "--steps", 3, "--seq-len", 16, "--batch-size", 2]
    of = ({"arguments": ["--data", data]}, {"arguments": ["--data", tmp_path / "nowhere"]})
    results = finish(*hosts(*rest, of=of), timeout=180)
    assert all(status != 0 for status, _, _ in results)
    assert re.search(r"^error: --data \S+nowhere: no such file or folder.*process 1 of 2", results[1][2], re.M)
    assert re.search(r"^error: process 1 of 2 on \S+ \(pid \d+\) ended: --data \S+nowhere", results[0][2], re.M)


def test_a_checkpoint_of_other_reviews_on_the_second_host_is_refused(checkpoint, tmp_path):
    # One review to validate with: the second process has none.
    of = [{"arguments": ["--data", reviews(tmp_path / f"data{rank}", test=1)]} for rank in range(2)]
    rest = ["--model", checkpoint, "--ops", "stock", "--seq-len", 16, "--batch-size", 2, "--steps", 3]
    rest += ["--checkpoints", tmp_path / "saved"]
    outcome(tmp_path, lambda *to: hosts(*rest, *to, of=of))
    train = tmp_path / "data1" / "train.csv"
    train.write_text(train.read_text().replace("it is", "it was"))
    results = finish(*hosts(*rest, of=of))
    assert all(status != 0 for status, _, _ in results)
    assert "--data (digest of the tokens)" in results[0][2] + results[1][2]


def test_sigterm_to_one_host_stops_both_with_a_checkpoint(common, tmp_path):
    kept = [*common, "--batch-size", 2, "--checkpoints", tmp_path / "saved"]
    results = finish(*hosts(*kept, dies=(1, 10, signal.SIGTERM), scratch=str(tmp_path)), timeout=180)
    assert "stopped, with a checkpoint after step 11" in results[0][1]
    # torchrun's own status; each worker's is 143.
    assert "exitcode  : 143" in results[0][2]


# A thread that is in the store, almost always, when the process ends.
ANSWERING = """
import sys
import torch, torch.distributed as dist
from gpsimd_bert.train import peers
from gpsimd_bert.train.distributed import Process

peers.POLL_S = 0.0
store = dist.TCPStore("127.0.0.1", 0, is_master=True)
process = Process(torch.device("cpu"), peers=peers.Peers(store, 0, 1))
process.end() if sys.argv[1] == "end" else process.fail("a reason")
"""


@pytest.mark.parametrize("how", ["end", "fail"])
def test_a_process_that_leaves_while_it_answers_a_roll_call_ends_in_order(how):
    ended = subprocess.run([sys.executable, "-c", ANSWERING, how], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_host_that_never_comes_is_an_error(common, tmp_path):
    environment = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
    job = start(*common, "--worker-timeout", 5, **environment, MASTER_PORT="0")
    ((status, _, errors),) = finish(job, timeout=120)
    assert status == 1
    assert re.search(r"^error: the 2 processes of the job did not find each other at 127.0.0.1:0 within 5 s", errors)
    assert "Traceback" not in errors


@pytest.fixture
def namespaces():
    """Two network namespaces joined by a cable, as commands to run something in them."""
    names = [f"gpsimd{os.getpid()}{side}" for side in "ab"]

    def ip(*arguments):
        return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)

    try:
        for name in names:
            ip("netns", "add", name)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"network namespaces cannot be made here: {getattr(error, 'stderr', '') or error}".strip())
    try:
        ip("link", "add", "gpsimd0", "netns", names[0], "type", "veth", "peer", "name", "gpsimd1", "netns", names[1])
        for side, name in enumerate(names):
            ip("-n", name, "addr", "add", f"10.77.0.{side + 1}/24", "dev", f"gpsimd{side}")
            ip("-n", name, "link", "set", f"gpsimd{side}", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield tuple(["ip", "netns", "exec", name] for name in names)
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def test_two_network_namespaces_train_like_two_processes_on_loopback(common, whole, namespaces, tmp_path):
    two = outcome(tmp_path, lambda *to: hosts(*common, "--batch-size", 2, *to, within=namespaces, address="10.77.0.1"))
    assert two["losses"] == whole["losses"]
    assert two["weights"] == whole["weights"]
