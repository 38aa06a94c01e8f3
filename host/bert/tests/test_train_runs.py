"""The runs of a job: how two take turns, what ends one early, what is found out before it begins, what it reports."""

import json
import math
import os
import pathlib
import re
import shutil
import time
from types import SimpleNamespace

import pytest
import torch
from gpsimd_bert.train import distributed, loop, machine
from gpsimd_bert.train.__main__ import main
from gpsimd_bert.train.checkpoints import files
from gpsimd_bert.train.review_sets import CsvReviews
from safetensors.torch import load_file
from trainer_process import reviews
from transformers import AutoModelForSequenceClassification

SMALL = ["--batch-size", "4", "--seq-len", "16"]


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    """A data folder with 40 and 12 reviews."""
    return reviews(tmp_path / "data")


# Two runs at a time


def test_two_runs_take_turns_in_parts_and_each_is_timed_in_its_own(folder, checkpoint, tmp_path, monkeypatch):
    turns = []
    part = loop.Training.part

    def slow(self, bar):
        first = len(self._row.losses)
        part(self, bar)
        turns.append((self._row.ops, first, len(self._row.losses)))
        # What the stock run takes longer is no time of the other.
        if self._row.ops == "stock":
            time.sleep(2.0)

    monkeypatch.setattr(loop.Training, "part", slow)
    out = tmp_path / "out.json"
    arguments = ["--data", folder, "--model", checkpoint, "--steps", 25, "--json", out, *SMALL]
    started = time.perf_counter()
    assert main(list(map(str, arguments))) == 0
    took = time.perf_counter() - started
    assert turns == [
        *[("stock", 0, 10), ("rust", 0, 10)],
        *[("rust", 10, 20), ("stock", 10, 20)],
        *[("stock", 20, 25), ("rust", 20, 25)],
    ]
    stock, rust = json.loads(out.read_text())["rows"]
    assert rust["billable_s"] < took - 6.0
    assert stock["billable_s"] > 6.0


@pytest.mark.parametrize("ops", ["stock", "rust"])
def test_a_run_that_takes_turns_is_that_which_is_alone(folder, checkpoint, tmp_path, ops):
    losses = []
    for together in ("both", ops):
        out = tmp_path / f"{together}.json"
        arguments = ["--data", folder, "--model", checkpoint, "--steps", 25, "--ops", together, "--json", out, *SMALL]
        assert main([*map(str, arguments), "--dropout", "0.1"]) == 0
        rows = {row["ops"]: row for row in json.loads(out.read_text())["rows"]}
        losses.append(rows[ops]["losses"])
    assert losses[0] == losses[1]


# What ends a run early, or before it begins


def overflowing(monkeypatch, step: int, ops: str = "stock"):
    """Makes the loss of `step` of the run with `ops` something that is not a number."""
    made = loop.Training._step

    def poisoned(self, now, bar):
        if now == step and self._row.ops == ops:
            with torch.no_grad():
                self._optimizer.param_groups[0]["params"][-1].fill_(math.inf)
        made(self, now, bar)

    monkeypatch.setattr(loop.Training, "_step", poisoned)


@pytest.mark.parametrize("ops", ["stock", "rust"])
def test_a_loss_that_is_not_a_number_ends_training_with_the_last_good_checkpoint(
    folder, checkpoint, tmp_path, monkeypatch, capsys, ops
):
    overflowing(monkeypatch, 7, ops)
    out, saved, kept = tmp_path / "out.json", tmp_path / "saved", tmp_path / "kept"
    arguments = ["--data", folder, "--model", checkpoint, "--steps", 12, "--ops", ops, "--json", out, *SMALL]
    arguments += ["--model-dir", saved, "--checkpoints", kept, "--checkpoint-every", 3]
    assert main(list(map(str, arguments))) == 1
    text = capsys.readouterr()
    assert re.search(
        rf"error: {ops} ops: the loss of step [78] is (nan|inf); the last good checkpoint is that after "
        rf"step 6 in {kept}",
        text.err,
    )
    assert re.search(rf"{ops}: the loss of step [78] is (nan|inf).*, not validated", text.out)
    assert [int(path.name.split("-")[1]) for path in files(kept)] == [6, 3]
    assert not saved.exists()
    (row,) = json.loads(out.read_text())["rows"]
    assert row["not_a_number_at_step"] in (7, 8) and row["stopped"] and row["losses"][-1] is None
    monkeypatch.undo()
    assert main(list(map(str, arguments))) == 0
    assert "resuming after step 6 of 12" in capsys.readouterr().out


def test_weights_that_are_no_numbers_are_not_a_checkpoint(folder, checkpoint, tmp_path, monkeypatch, capsys):
    made = loop.Training._step

    def poisoned(self, now, bar):
        # After the loss of step 3, which is good: as an update overflows.
        if now == 3:
            self._optimizer.register_step_post_hook(
                lambda optimizer, *_: optimizer.param_groups[0]["params"][0].data.fill_(math.nan)
            )
        made(self, now, bar)

    monkeypatch.setattr(loop.Training, "_step", poisoned)
    saved, kept = tmp_path / "saved", tmp_path / "kept"
    arguments = ["--data", folder, "--model", checkpoint, "--steps", 3, "--ops", "stock", *SMALL, "--model-dir", saved]
    assert main([*map(str, arguments), "--checkpoints", str(kept), "--checkpoint-every", "2"]) == 1
    assert (
        f"a weight is not a number after step 3; the last good checkpoint is that after step 2 in {kept}"
        in capsys.readouterr().err
    )
    assert not saved.exists()
    assert main(list(map(str, arguments))) == 1
    assert "without --checkpoints there is none to go on from" in capsys.readouterr().err


def test_the_other_run_is_kept_when_one_fails(folder, checkpoint, tmp_path, monkeypatch, capsys):
    overflowing(monkeypatch, 2, "rust")
    saved, out = tmp_path / "saved", tmp_path / "out.json"
    arguments = ["--data", folder, "--model", checkpoint, "--steps", 30, "--model-dir", saved, "--json", out, *SMALL]
    assert main(list(map(str, arguments))) == 1
    assert "error: rust ops: the loss of step" in capsys.readouterr().err
    assert (saved / "stock" / "model.safetensors").exists() and not (saved / "rust").exists()
    stock, rust = json.loads(out.read_text())["rows"]
    assert (len(stock["losses"]), stock["failed"], stock["not_a_number_at_step"]) == (10, None, None)
    assert rust["failed"].startswith("the loss of step")


@pytest.mark.parametrize("flag", ["--model-dir", "--checkpoints", "--json"])
def test_every_output_is_tried_before_anything_is_read(checkpoint, capsys, flag):
    try:
        status = main(
            ["--data", "nowhere", "--model", str(checkpoint), flag, "/proc/x/y" if flag != "--json" else "/proc/x.json"]
        )
    except SystemExit as exit:
        status = exit.code
    assert status == 2
    errors = capsys.readouterr().err
    assert re.search(rf"{flag}: the folder '?/proc\S* cannot be written", errors)


def test_a_folder_that_could_be_written_is_left_as_it_was(folder, checkpoint, tmp_path):
    saved = tmp_path / "a" / "b"
    assert main(["--data", str(folder / "none.csv"), "--model", str(checkpoint), "--model-dir", str(saved)]) == 2
    assert not (tmp_path / "a").exists()


def with_config(checkpoint, folder, **changes) -> str:
    shutil.copytree(checkpoint, folder)
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


def test_a_model_with_another_activation_is_refused_before_training_with_the_rust_ops(
    folder, checkpoint, tmp_path, capsys
):
    model = with_config(checkpoint, tmp_path / "relu", hidden_act="relu")
    data = ["--data", str(folder), *SMALL, "--steps", "1"]
    for ops in ("rust", "both"):
        assert main(["--model", model, "--ops", ops, *data]) == 2
        assert "expected hidden_act 'gelu' (the exact, erf form), found 'relu'" in capsys.readouterr().err
    assert main(["--model", model, "--ops", "stock", *data]) == 0


def test_a_tokenizer_that_is_not_the_models_is_refused_before_training(folder, checkpoint, tmp_path, capsys):
    data = ["--data", str(folder), *SMALL, "--steps", "1", "--ops", "stock"]
    assert main(["--model", with_config(checkpoint, tmp_path / "fewer", vocab_size=100), *data]) == 2
    assert "the tokenizer has tokens up to 30,521, the model embeddings for 100" in capsys.readouterr().err
    without = pathlib.Path(with_config(checkpoint, tmp_path / "none"))
    for path in without.iterdir():
        if path.name not in ("config.json", "model.safetensors"):
            path.unlink()
    assert main(["--model", str(without), *data]) == 2
    assert "the tokenizer knows no words, only [CLS], [MASK], [PAD], [SEP], [UNK]" in capsys.readouterr().err
    (without / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "我", "你"]))
    assert main(["--model", str(without), *data]) == 2
    assert re.search(r"does not know \d\d% of the tokens of the training reviews", capsys.readouterr().err)


@pytest.mark.parametrize("flag", ["--model", "--data"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./mdoel", "no such file or folder"),
        ("mdoel/", "no such file or folder"),
        ("models/mdoel", "no 'mdoel' in the folder 'models'"),
        ("mdoels", "no such file or folder, but there is 'models'; something of that name on a hub is found by"),
        ("~/mdoel", "no such file or folder"),
        ("a/b/c", "no such file or folder"),
    ],
)
def test_a_mistyped_folder_asks_no_hub(checkpoint, tmp_path, monkeypatch, capsys, flag, name, message):
    import datasets
    from gpsimd_bert.train import model

    def asked(*_, **__):
        raise AssertionError("the hub was asked")

    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets, "load_dataset", asked)
    model_flags = [] if flag == "--model" else ["--model", str(checkpoint)]
    if flag == "--model":
        monkeypatch.setattr(model.AutoConfig, "from_pretrained", asked)
    if flag == "--model":
        message = message.replace("file or folder", "folder")
    assert main([flag, name, *model_flags, *SMALL]) == 2
    assert f"{flag} {name}: {message}" in capsys.readouterr().err


# The machine


def test_the_report_says_what_machine_it_is_of(folder, checkpoint, tmp_path, capsys):
    out = tmp_path / "out.json"
    arguments = ["--data", folder, "--model", checkpoint, "--ops", "rust", "--steps", 2, "--json", out, *SMALL]
    assert main(list(map(str, arguments))) == 0
    document = json.loads(out.read_text())
    machine = document["machine"]
    assert machine["emulation"] == "fast"
    assert machine["threads"] == torch.get_num_threads()
    assert machine["cpus"] == os.cpu_count()
    assert torch.__version__.startswith(machine["versions"]["torch"])
    assert machine["load_before"] >= 0
    assert f"{machine['threads']} threads of {machine['cpus']} CPUs" in capsys.readouterr().out
    assert document["rows"][0]["training_cost_usd"] is None, "a local run has no instance"


def test_a_busy_machine_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "STAT", tmp_path / "stat")
    ticks = os.sysconf("SC_CLK_TCK")

    def share(busy_s: float) -> tuple[float, list[str]]:
        (tmp_path / "stat").write_text("cpu  0 0 0 0 0 0 0 0 0 0\n")
        measured = machine.Machine(distributed.Process(torch.device("cpu")))
        measured._before.wall_s -= 100.0
        (tmp_path / "stat").write_text(f"cpu  {round(busy_s * ticks)} 0 0 999999 0 0 0 0 0 0\n")
        measured.stop()
        facts = measured.facts(emulation=None)
        return facts["share_of_others"], machine.lines(facts)

    all_s = 100.0 * os.cpu_count()
    found, lines = share(0.4 * all_s)
    assert found == pytest.approx(0.4, abs=0.02)
    assert "warning: the machine was busy, other programs used 40% of its CPUs" in lines[1]
    assert len(share(0.01 * all_s)[1]) == 1


def trained(folder, checkpoint, tmp_path, name, *arguments, ops="stock"):
    """The row of a run, and the folder of its model."""
    out, saved = tmp_path / f"{name}.json", tmp_path / name
    small = ["--model", str(checkpoint), "--data", str(folder), "--batch-size", "4", "--seq-len", "16"]
    assert main([*small, "--ops", ops, "--json", str(out), "--model-dir", str(saved), *arguments]) == 0
    return json.loads(out.read_text())["rows"][0], saved


@pytest.mark.parametrize("ops", ["stock", "rust"])
def test_two_batches_a_step_are_one_of_twice_the_size(folder, checkpoint, tmp_path, ops):
    common = ("--steps", "4", "--dropout", "0", "--clip", "0.5", "--warmup", "2")
    twice, _ = trained(folder, checkpoint, tmp_path, "a", "--accumulate", "2", *common, ops=ops)
    large, _ = trained(folder, checkpoint, tmp_path, "b", "--batch-size", "8", *common, ops=ops)
    assert twice["losses"] == pytest.approx(large["losses"], abs=2e-6)
    plain, _ = trained(folder, checkpoint, tmp_path, "c", "--batch-size", "8", *common[:4], *common[6:], ops=ops)
    assert plain["losses"] != pytest.approx(large["losses"], abs=1e-5), "clipping makes a difference"


@pytest.mark.parametrize("count", [1, 3])
def test_processes_average_their_gradients_once_a_step(checkpoint, count):
    """Here one process, which is a group by itself."""
    averaged = []

    def average(_, bucket):
        averaged.append(bucket.index())
        done = torch.futures.Future()
        done.set_result(bucket.buffer())
        return done

    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        process = distributed.Process(torch.device("cpu"), world=2)
        model = process.distribute(AutoModelForSequenceClassification.from_pretrained(checkpoint))
        model.register_comm_hook(None, average)
        batch = {"input_ids": torch.arange(8).reshape(1, 8), "labels": torch.tensor([1])}
        options = SimpleNamespace(accumulate=count, bf16=False)
        training = SimpleNamespace(_options=options, _process=process, _model=model, _batches=iter([batch] * count))
        loop.Training._gradients(training)
    finally:
        torch.distributed.destroy_process_group()
    assert averaged and len(set(averaged)) == len(averaged)


@pytest.mark.parametrize("ops", ["stock", "rust"])
def test_in_bf16_losses_are_near_those_in_f32_and_weights_are_f32(folder, checkpoint, tmp_path, ops):
    common = ("--steps", "6", "--dropout", "0", "--lr", "1e-3")
    kept = ("--bf16", "--checkpoints", str(tmp_path / "kept"))
    half, saved = trained(folder, checkpoint, tmp_path, "a", *common, *kept, ops=ops)
    whole, _ = trained(folder, checkpoint, tmp_path, "b", *common, ops=ops)
    # A product in bf16 is rounded by 2^-9: other losses, but not by much.
    assert half["losses"] != whole["losses"] and half["losses"] == pytest.approx(whole["losses"], abs=0.02)
    state = torch.load(files(tmp_path / "kept")[0], weights_only=True)["state"]
    moments = {f"{at} {key}": value for at, of in state["optimizer"]["state"].items() for key, value in of.items()}
    for weights in (load_file(saved / "model.safetensors"), state["model"], moments):
        floats = [value for value in weights.values() if isinstance(value, torch.Tensor) and value.is_floating_point()]
        assert {value.dtype for value in floats} == {torch.float32}
        assert any((value != value.bfloat16()).any() for value in floats), "values of f32, not of bf16"


def test_training_ends_early_and_keeps_the_best_model(folder, checkpoint, tmp_path, monkeypatch, capsys):
    accuracies = iter([0.5, 0.75, 0.75, 0.25])
    weights = []

    def validate(model, *_, **__):
        weights.append(model.classifier.weight.detach().clone())
        return next(accuracies)

    monkeypatch.setattr(loop, "validate", validate)
    early = ("--validate-every", "2", "--patience", "2")
    row, saved = trained(folder, checkpoint, tmp_path, "a", "--steps", "12", *early)
    assert row["ended_early"] and len(row["losses"]) == 8
    assert [validation["step"] for validation in row["validations"]] == [2, 4, 6, 8]
    assert row["validation_accuracy"] == 0.75
    kept = AutoModelForSequenceClassification.from_pretrained(saved).classifier.weight
    assert torch.equal(kept, weights[1]) and not torch.equal(kept, weights[3])
    assert "whose model is kept" in capsys.readouterr().out


def test_the_model_remembers_that_it_reads_titles(folder, checkpoint, tmp_path):
    _, saved = trained(folder, checkpoint, tmp_path, "a", "--steps", "1", "--text", "title+content")
    assert json.loads((saved / "config.json").read_text())["review_text"] == "title+content"
    titles = CsvReviews(folder / "train.csv", text="title+content").contents([0])
    assert titles[0].startswith("a title\n")
    assert CsvReviews(folder / "train.csv").contents([0]) == [titles[0].removeprefix("a title\n")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--warmup", "1.5"], "expected a whole number of steps, or a part of all steps from 0 to below 1"),
        (["--warmup", "9", "--steps", "8"], "expected at most the 8 of --steps, found 9"),
        (["--clip", "0"], "argument --clip"),
        (["--accumulate", "0"], "argument --accumulate"),
        (["--patience", "2", "--steps", "8"], "expected --validate-every beside it, or --epochs"),
        (["--text", "title+content"], "the synthetic reviews have no titles"),
        (["--text", "title"], "invalid choice"),
    ],
)
def test_a_wrong_value_is_refused_with_what_was_expected(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
