"""The command that measures ops against PyTorch: its arguments, and its output."""

import json
import os
import subprocess
import sys

import gpsimd_torch
import pytest
import torch
from gpsimd_torch import bench
from gpsimd_torch.bench import step
from gpsimd_torch.bench.command import EVERY

ONE = ["--op", "masked_softmax_backward", "--rounds", "1"]


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
    assert row["op"] == "masked_softmax_backward" and row["rust_ms"] > 0


def test_checked_mode_is_a_contender_of_its_own(capsys):
    assert bench.main(["--op", "gather", "--rounds", "1", "--checked"]) == 0
    table = capsys.readouterr().out
    assert "checked ms" in table and "over fast" in table


def test_a_step_that_is_not_known_is_refused_with_those_that_are(capsys):
    with pytest.raises(SystemExit) as exit:
        step.main(["--case", "minilm-16x128"])
    assert exit.value.code == 2
    assert "argument --case: expected minilm-16x128-f32-train" in capsys.readouterr().err


@pytest.mark.parametrize("train", [True, False])
def test_a_step_is_measured_with_every_contender(monkeypatch, capsys, tmp_path, train):
    tiny = {
        "vocab_size": 50,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 24,
    }
    case = step.Shape("tiny", 2, 8, bf16=False, train=train)
    monkeypatch.setitem(step.MODELS, "tiny", tiny)
    monkeypatch.setattr(step, "CASES", [case])
    file = tmp_path / "rows.json"
    assert step.main(["--rounds", "1", "--no-compiled", "--json", str(file)]) == 0
    [row] = json.loads(file.read_text())["rows"]
    assert row["case"] == str(case) and row["over_eager"] == row["eager_ms"] / row["rust_ms"]
    assert str(case) in capsys.readouterr().out


# The two that take gigabytes or seconds are measured in the same way.
@pytest.mark.parametrize(("name", "make"), [case for case in EVERY if case[0] not in ("cross_entropy", "adamw_step")])
def test_every_case_computes_what_pytorch_does(name, make):
    case = make()
    with gpsimd_torch.emulation("fast"), torch.no_grad():
        ours, theirs = case.rust(), case.eager()
    case.limit()
    if name in ("dropout", "multinomial"):  # other random numbers
        return
    pairs = zip(ours, theirs, strict=True) if isinstance(ours, tuple) else [(ours, theirs)]
    for a, b in pairs:
        # A place in 224 pixels is rounded to 2^-17 of one or so, and pixels beside each other differ by up to 8.
        rtol, atol = 1e-4, {"cumsum": 2e-3, "grid_sample": 1e-4}.get(name, 1e-5)
        if a.dtype == torch.bfloat16:
            # PyTorch rounds u = x + bias, and scaled and masked scores, to bf16, by up to 2^-8 of u; we go on in f32.
            # GELU makes of that at most 0.27 / 2^8 where it is negative, the bound of |u GELU'(u)| there, and 1.2 / 2^8
            # of the result elsewhere.
            rtol, atol = 2**-6, 2**-9
        torch.testing.assert_close(a, b, rtol=rtol, atol=atol)
