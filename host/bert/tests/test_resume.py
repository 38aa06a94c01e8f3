"""Checkpoints: a training that was interrupted and goes on is the training without the interruption."""

import errno
import json
import os
import pathlib
import shutil
import signal

import pytest
import torch
from gpsimd_bert.train import checkpoints, loop
from gpsimd_bert.train.__main__ import main
from safetensors.torch import load_file
from trainer_process import KILL, finish, reviews, start

SMALL = ["--batch-size", 4, "--seq-len", 16, "--lr", "1e-3"]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def data(tmp_path) -> pathlib.Path:
    return reviews(tmp_path / "data")


@pytest.fixture
def train(data, checkpoint, tmp_path):
    """Trains in this process, 6 steps with a checkpoint every 2; returns the status."""

    def run(*changes, ops="stock", steps=6, saved="saved", model=checkpoint) -> int:
        arguments = ["--data", data, "--model", model, "--ops", ops, "--steps", steps, *SMALL]
        arguments += ["--checkpoints", tmp_path / saved, "--checkpoint-every", 2, *changes]
        return main([str(argument) for argument in arguments])

    return run


def steps_of(folder: pathlib.Path) -> list[int]:
    return sorted(int(path.name.split("-")[1]) for path in checkpoints.files(folder))


def weights(folder: pathlib.Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def rows(path: pathlib.Path) -> list[dict]:
    return json.loads(path.read_text())["rows"]


@pytest.mark.parametrize("ops", ["stock", "rust"])
def test_a_run_killed_at_step_20_of_40_goes_on_to_the_same_losses_and_weights(ops, data, checkpoint, tmp_path):
    common = ["--data", data, "--model", checkpoint, "--ops", ops, "--steps", 40, *SMALL, "--metric-every", 1]
    kept = ["--checkpoints", tmp_path / "saved", "--checkpoint-every", 8]

    def outputs(name):
        return ["--json", tmp_path / f"{name}.json", "--model-dir", tmp_path / name]

    assert main([*map(str, common), *map(str, outputs("whole"))]) == 0
    killed = start(*common, *kept, *outputs("killed"), dies=(0, 20, KILL), scratch=str(tmp_path))
    ((status, text, _),) = finish(killed)
    assert status == -KILL
    assert "metric step=19 " in text
    assert "metric step=20 " not in text
    assert steps_of(tmp_path / "saved") == [8, 16]
    assert not (tmp_path / "killed").exists()

    ((status, text, errors),) = finish(start(*common, *kept, *outputs("resumed")))
    assert status == 0, errors
    assert f"{ops} ops: resuming after step 16 of 40" in text
    (whole,), (resumed,) = rows(tmp_path / "whole.json"), rows(tmp_path / "resumed.json")
    assert len(whole["losses"]) == 40
    assert resumed["losses"] == whole["losses"]
    assert resumed["validation_accuracy"] == whole["validation_accuracy"]
    assert (whole["resumed_from_step"], resumed["resumed_from_step"]) == (0, 16)
    assert weights(tmp_path / "resumed") == weights(tmp_path / "whole")


@pytest.mark.parametrize("ops", ["stock", "rust"])
def test_a_run_with_all_options_of_a_step_goes_on_to_the_same_losses_and_weights(train, tmp_path, capsys, ops):
    # In the middle of the warm-up.
    options = ["--accumulate", 2, "--clip", "0.5", "--warmup", 7, "--weight-decay", "0.3"]
    made = []
    for name in ("whole", "resumed"):
        outputs = ["--model-dir", tmp_path / name, "--json", tmp_path / "out.json"]
        assert train(*options, *outputs, ops=ops, steps=8) == 0
        made.append((rows(tmp_path / "out.json")[0]["losses"], weights(tmp_path / name)))
        checkpoints.files(tmp_path / "saved")[0].unlink()
    assert f"{ops} ops: resuming after step 6 of 8" in capsys.readouterr().out
    assert made[0] == made[1]


def test_a_run_with_patience_goes_on_to_the_same_end_and_the_same_best_model(train, tmp_path, capsys, monkeypatch):
    # The best is that of step 4, and the run goes on after step 6, whose validation comes after its checkpoint.
    accuracies, seen = iter([0.5, 0.75, 0.625, 0.75, 0.625, 0.75]), []

    def validate(model, *_, **__):
        seen.append(model.classifier.weight.detach().clone())
        return next(accuracies)

    monkeypatch.setattr(loop, "validate", validate)
    options = ["--validate-every", 2, "--patience", 2, "--checkpoint-every", 3]
    made = []
    for name in ("whole", "resumed"):
        assert train(*options, "--model-dir", tmp_path / name, "--json", tmp_path / "out.json", steps=20) == 0
        (row,) = rows(tmp_path / "out.json")
        made.append((row["losses"], row["validations"], row["validation_accuracy"], weights(tmp_path / name)))
        for path in checkpoints.files(tmp_path / "saved"):
            if int(path.name.split("-")[1]) > 6:
                path.unlink()
    assert "resuming after step 6 of 20" in capsys.readouterr().out
    assert made[0] == made[1]
    losses, validations, accuracy, _ = made[0]
    assert (len(losses), [validation["step"] for validation in validations], accuracy) == (8, [2, 4, 6, 8], 0.75)
    kept = load_file(tmp_path / "resumed" / "model.safetensors")["classifier.weight"]
    assert torch.equal(kept, seen[1]) and not torch.equal(kept, seen[3])


def test_dropout_is_on_in_these_tests(checkpoint):
    """Without it the random generators would not matter, and a state that lacks them would pass."""
    assert json.loads((checkpoint / "config.json").read_text())["hidden_dropout_prob"] > 0


def test_the_newest_two_checkpoints_are_kept_and_the_last_step_has_one(train, tmp_path):
    assert train(steps=7) == 0
    assert steps_of(tmp_path / "saved") == [6, 7]
    assert sorted(os.listdir(tmp_path / "saved")) == [path.name for path in checkpoints.files(tmp_path / "saved")][::-1]


def test_a_run_that_had_ended_only_validates_again(train, tmp_path, capsys):
    train("--json", tmp_path / "first.json")
    capsys.readouterr()
    assert train("--json", tmp_path / "second.json") == 0
    text = capsys.readouterr().out
    assert "resuming after step 6 of 6" in text
    assert "metric step=" not in text
    (first,), (second,) = rows(tmp_path / "first.json"), rows(tmp_path / "second.json")
    assert second["losses"] == first["losses"]
    assert second["validation_accuracy"] == first["validation_accuracy"]
    assert second["throughput_it_s"] == pytest.approx(first["throughput_it_s"])
    assert second["billable_s"] > first["billable_s"] * 0.5


def test_both_runs_of_a_job_have_their_own_checkpoints(train, tmp_path, capsys):
    assert train("--model-dir", tmp_path / "first", ops="both") == 0
    for ops in ("stock", "rust"):
        assert steps_of(tmp_path / "saved" / ops) == [4, 6]
        checkpoints.files(tmp_path / "saved" / ops)[0].unlink()
    assert train("--model-dir", tmp_path / "second", ops="both") == 0
    text = capsys.readouterr().out
    for ops in ("stock", "rust"):
        assert f"{ops} ops: resuming after step 4 of 6" in text
        assert weights(tmp_path / "first" / ops) == weights(tmp_path / "second" / ops)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ops": "rust"}, "--ops: stock there, rust now"),
        ({"steps": 8}, "steps in all (--steps, --epochs): 6 there, 8 now"),
        ({"changes": ["--batch-size", "2"]}, "--batch-size: 4 there, 2 now"),
        ({"changes": ["--seq-len", "24"]}, "--seq-len: 16 there, 24 now"),
        ({"changes": ["--lr", "2e-3"]}, "--lr: 0.001 there, 0.002 now"),
        ({"changes": ["--seed", "7"]}, "--seed: 0 there, 7 now"),
        ({"changes": ["--clip", "1.0"]}, "--clip: None there, 1.0 now"),
        ({"changes": ["--accumulate", "2"]}, "--accumulate: 1 there, 2 now"),
        ({"changes": ["--dropout", "0"]}, "--model (digest of its shapes, weights and dropout): "),
        ({"ops": "both"}, "holds checkpoints of a job with another --ops"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_checkpoint_of_other_options_is_refused_with_what_differs(train, tmp_path, capsys, changes, message):
    assert train() == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "saved").iterdir()}
    capsys.readouterr()
    assert train(*changes.pop("changes", []), **changes) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert "--fresh" in errors
    assert {path.name: path.read_bytes() for path in (tmp_path / "saved").iterdir()} == before


def test_a_checkpoint_of_another_model_or_other_reviews_is_refused(train, data, checkpoint, tmp_path, capsys):
    assert train() == 0
    other = tmp_path / "other"
    shutil.copytree(checkpoint, other)
    from transformers import BertForSequenceClassification

    model = BertForSequenceClassification.from_pretrained(other)
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight[5] += 1
    model.save_pretrained(other)
    assert train(model=other) == 2
    assert "--model (digest" in capsys.readouterr().err
    text = (data / "train.csv").read_text()
    (data / "train.csv").write_text(text.replace("it is good", "it is fine"))
    assert train() == 2
    errors = capsys.readouterr().err
    assert "--data (digest of the tokens)" in errors
    assert "--model" not in errors


def test_one_choice_of_ops_does_not_go_on_in_a_folder_of_both(train, capsys):
    assert train(ops="both") == 0
    assert train(ops="rust") == 2
    assert "holds checkpoints of a job with another --ops" in capsys.readouterr().err


def test_fresh_starts_over_and_replaces_what_was_there(train, tmp_path, capsys):
    assert train() == 0
    capsys.readouterr()
    assert train("--fresh", "true", "--seed", 7, steps=3) == 0
    assert "resuming" not in capsys.readouterr().out
    assert steps_of(tmp_path / "saved") == [2, 3]
    assert train("--seed", 7, steps=3) == 0
    assert "resuming after step 3 of 3" in capsys.readouterr().out


def test_fresh_without_checkpoints_is_refused(capsys):
    with pytest.raises(SystemExit) as exit:
        main(["--fresh"])
    assert exit.value.code == 2
    assert "--fresh: expected --checkpoints beside it" in capsys.readouterr().err


@pytest.mark.parametrize("damage", [lambda data: data[:-100], lambda data: data[:5000] + b"\0\1" + data[5002:]])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(train, tmp_path, capsys, damage):
    assert train("--model-dir", tmp_path / "first") == 0
    newest, before = checkpoints.files(tmp_path / "saved")
    newest.write_bytes(damage(newest.read_bytes()))
    capsys.readouterr()
    assert train("--model-dir", tmp_path / "second") == 0
    text = capsys.readouterr().out
    assert f"{newest} is damaged and not used" in text
    assert "resuming after step 4 of 6" in text
    assert weights(tmp_path / "first") == weights(tmp_path / "second")
    assert steps_of(tmp_path / "saved") == [4, 6]
    assert before.exists()


@pytest.mark.parametrize("folder", ["/proc/nowhere", "data/train.csv/below"])
def test_a_folder_that_cannot_hold_checkpoints_is_told_before_the_first_step(
    train, tmp_path, monkeypatch, capsys, folder
):
    monkeypatch.chdir(tmp_path)
    assert train(saved=folder) == 2
    captured = capsys.readouterr()
    assert f"{folder} cannot be written" in captured.err and "--checkpoints" in captured.err
    assert "metric step=" not in captured.out


def test_a_folder_belongs_to_one_trainer_at_a_time(train, tmp_path, capsys):
    from gpsimd_bert.train.distributed import Process

    other = checkpoints.Checkpoints(tmp_path / "saved", Process(torch.device("cpu")))
    assert other.newest({}) is None
    assert train() == 2
    assert f"{tmp_path / 'saved'}: another trainer writes into it" in capsys.readouterr().err
    other.close()
    assert train() == 0


def test_only_damaged_checkpoints_are_an_error(train, tmp_path, capsys):
    assert train() == 0
    for path in checkpoints.files(tmp_path / "saved"):
        path.write_bytes(b"")
    assert train() == 2
    assert "its 2 checkpoint(s) are damaged" in capsys.readouterr().err


def test_a_full_disk_ends_the_run_and_leaves_the_checkpoints_before_and_the_model(train, tmp_path, capsys, monkeypatch):
    sync, calls = os.fsync, iter(range(100))

    def full(descriptor):
        # A checkpoint syncs its file and its folder.
        if next(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    assert train("--model-dir", tmp_path / "model") == 1
    errors = capsys.readouterr().err
    assert f"cannot write a checkpoint after step 4 into {tmp_path / 'saved'}: No space left on device" in errors
    assert (tmp_path / "model" / "model.safetensors").exists()
    assert os.listdir(tmp_path / "saved") == [path.name for path in checkpoints.files(tmp_path / "saved")]
    monkeypatch.undo()
    assert train() == 0
    assert "resuming after step 2 of 6" in capsys.readouterr().out


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_finishes_the_step_and_writes_a_checkpoint(train, tmp_path, capsys, monkeypatch, number, status):
    from gpsimd_bert.train import metrics

    line = metrics.step_line

    def interrupting(step, *rest):
        if step == 3:
            os.kill(os.getpid(), number)
        return line(step, *rest)

    assert train("--model-dir", tmp_path / "whole", saved="other") == 0
    monkeypatch.setattr(metrics, "step_line", interrupting)
    # The signal comes after the decision on step 3; the next step is the one at hand.
    assert train("--metric-every", 1, "--checkpoint-every", 100) == status
    text = capsys.readouterr().out
    assert f"stopped, with a checkpoint after step 4 in {tmp_path / 'saved'}" in text
    assert "stopped after 4 of 6 steps, not validated" in text
    assert steps_of(tmp_path / "saved") == [4]
    assert train("--model-dir", tmp_path / "resumed") == 0
    assert weights(tmp_path / "resumed") == weights(tmp_path / "whole")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_before_the_first_step_ends_with_its_status(data, checkpoint, tmp_path, number, status):
    """Also one that comes while a library is imported which takes any exception for a missing module."""
    (tmp_path / "transformers.py").write_text(
        f"import os\ntry:\n    os.kill(os.getpid(), {int(number)})\nexcept BaseException:\n    pass\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    ((found, _, errors),) = finish(start("--data", data, "--model", checkpoint, *SMALL, PYTHONPATH=path))
    assert (found, errors) == (status, "stopped before the first step\n")


@pytest.mark.slow
@pytest.mark.xla
def test_on_xla_a_resumed_run_is_the_same_too(data, checkpoint, tmp_path):
    common = ["--data", data, "--model", checkpoint, "--ops", "stock", "--steps", 4, *SMALL, "--device", "xla"]
    common += ["--checkpoints", tmp_path / "saved", "--checkpoint-every", 2]

    def run(name):
        outputs = ["--json", tmp_path / f"{name}.json", "--model-dir", tmp_path / name]
        ((status, text, errors),) = finish(start(*common, *outputs), timeout=400)
        assert status == 0, errors
        return text

    run("whole")
    checkpoints.files(tmp_path / "saved")[0].unlink()
    assert "resuming after step 2 of 4" in run("resumed")
    (whole,), (resumed,) = rows(tmp_path / "whole.json"), rows(tmp_path / "resumed.json")
    assert resumed["losses"] == whole["losses"]
    assert weights(tmp_path / "resumed") == weights(tmp_path / "whole")
