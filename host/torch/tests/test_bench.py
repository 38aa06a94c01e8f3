"""The command that measures ops against PyTorch: its arguments, and its output."""

import json
import os
import subprocess
import sys

import pytest
from gpsimd_torch import bench

ONE = ["--op", "masked_softmax_forward", "--rounds", "1"]


@pytest.mark.parametrize("option", ["--op", "--rounds", "--threads", "--json"])
@pytest.mark.parametrize("empty", ["", " "])
def test_no_option_takes_an_empty_value(option, empty, capsys):
    with pytest.raises(SystemExit) as exit:
        bench.main([option, empty])
    assert exit.value.code == 2
    assert f"argument {option}: expected" in capsys.readouterr().err


def test_a_full_disk_behind_the_table_is_a_failure_that_keeps_the_file(tmp_path):
    command = [sys.executable, "-m", "gpsimd_torch.bench", *ONE, "--json", str(tmp_path / "rows.json")]
    with open("/dev/full", "w") as full:
        finished = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=os.environ, timeout=240)
    assert finished.returncode != 0
    assert b"No space left on device" in finished.stderr
    [row] = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert row["op"] == "masked_softmax_forward" and row["rust_ms"] > 0
