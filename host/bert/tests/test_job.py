"""The trainer as a training job: the container's environment, hyperparameters, metric lines, the model folder."""

import json
import os
import pathlib
import re
import subprocess
import sys
import textwrap

import pytest
import torch
from gpsimd_bert.train import container, metrics
from gpsimd_bert.train.__main__ import main
from gpsimd_bert.train.errors import TrainerError
from gpsimd_bert.train.options import parse
from gpsimd_bert.train.review_sets import Concatenated, CsvReviews
from gpsimd_bert.train.sources import open_source
from trainer_process import finish, reviews, start, write_csv
from transformers import AutoModelForSequenceClassification, AutoTokenizer

SMALL = ["--batch-size", 4, "--seq-len", 16]


@pytest.fixture
def job(tmp_path, monkeypatch) -> pathlib.Path:
    """A container's folders and variables; returns the root of the folders."""
    root = tmp_path / "ml"
    write_csv(root / "train" / "part-0.csv", 30)
    write_csv(root / "train" / "more" / "part-1.csv", 10)
    write_csv(root / "test" / "test.csv", 12)
    (root / "checkpoints").mkdir()
    for name, folder in (("CHANNEL_TRAIN", "train"), ("CHANNEL_TEST", "test"), ("MODEL_DIR", "model")):
        monkeypatch.setenv(f"SM_{name}", str(root / folder))
    monkeypatch.setenv("SM_OUTPUT_DATA_DIR", str(root / "output" / "data"))
    monkeypatch.setattr(container, "CHECKPOINTS", root / "checkpoints")
    return root


def run(*arguments) -> int:
    return main([str(argument) for argument in arguments])


def environment_lines(text: str) -> dict[str, list[str]]:
    """What the trainer says it took from the environment: flag to value and variable."""
    block = text.split("which flags override:\n")[1]
    lines = [re.split(r" {2,}", line.strip()) for line in block.splitlines() if line.startswith("  --")]
    return {line[0]: line[1:] for line in lines}


# Environment and flags


def test_a_job_takes_everything_from_the_container_and_says_so(job, checkpoint, capsys):
    assert run("--model", checkpoint, "--steps", 3, *SMALL) == 0
    text = capsys.readouterr().out
    assert environment_lines(text) == {
        "--data": [f"{job}/train, validated on {job}/test", "SM_CHANNEL_TRAIN, SM_CHANNEL_TEST"],
        "--model-dir": [f"{job}/model", "SM_MODEL_DIR"],
        "--ops": ["rust", "SM_MODEL_DIR: a training job trains once"],
        "--checkpoints": [f"{job}/checkpoints", "the container's folder for checkpoints"],
        "--json": [f"{job}/output/data/training.json", "SM_OUTPUT_DATA_DIR"],
    }
    assert f"channels {job}/train (2 CSV files) and {job}/test/test.csv: 40 reviews to train on, 12 to" in text
    assert AutoModelForSequenceClassification.from_pretrained(job / "model").config.id2label[1] == "positive"
    report = json.loads((job / "output" / "data" / "training.json").read_text())
    assert [row["ops"] for row in report["rows"]] == ["rust"]
    assert report["settings"]["channels"] == {"train": f"{job}/train", "validation": f"{job}/test"}
    assert [path.suffix for path in (job / "checkpoints").iterdir()] == [".pt"]


def test_flags_win_over_the_container_and_that_is_said(job, checkpoint, tmp_path, capsys):
    data = reviews(tmp_path / "data", train=20)
    flags = ["--data", data, "--model-dir", tmp_path / "mine", "--ops", "stock", "--json", tmp_path / "mine.json"]
    flags += ["--checkpoints", tmp_path / "kept"]
    assert run("--model", checkpoint, "--steps", 2, *SMALL, *flags) == 0
    text = capsys.readouterr().out
    assert environment_lines(text)["--data"] == [str(data), "the flag, not SM_CHANNEL_TRAIN, SM_CHANNEL_TEST"]
    assert environment_lines(text)["--model-dir"] == [str(tmp_path / "mine"), "the flag, not SM_MODEL_DIR"]
    assert "20 reviews to train on" in text
    assert (tmp_path / "mine" / "model.safetensors").exists()
    assert (tmp_path / "mine.json").exists()
    assert list((tmp_path / "kept").iterdir())
    assert not (job / "model").exists()
    assert not (job / "output").exists()
    assert not list((job / "checkpoints").iterdir())


def test_outside_of_a_container_nothing_is_taken_and_nothing_said(checkpoint, capsys):
    assert container.defaults({"PATH": "/bin", "SM_NUM_NEURONS": "0", "SM_MODEL_DIR": ""}) == {}
    options = parse([], {})
    assert (options.ops, options.device, options.model_dir, options.checkpoints) == ("both", "cpu", None, None)
    assert run("--model", checkpoint, "--ops", "stock", "--steps", 1, *SMALL) == 0
    assert "environment" not in capsys.readouterr().out


def test_neuron_cores_of_the_container_are_used_unless_a_flag_says_otherwise():
    assert parse([], {"SM_NUM_NEURONS": "2"}).device == "neuron"
    assert parse(["--device", "cpu"], {"SM_NUM_NEURONS": "2"}).device == "cpu"


def test_without_checkpoints_in_the_job_there_are_none(monkeypatch, tmp_path):
    monkeypatch.setattr(container, "CHECKPOINTS", tmp_path / "none")
    assert parse([], {"SM_MODEL_DIR": "/opt/ml/model"}).checkpoints is None


def test_hyperparameters_are_flags_with_underscores_words_and_nothing():
    text = "--batch_size 8 --checkpoints c --fresh True --lr 3e-05 --model  --steps 5 --seed=7"
    options = parse(text.split(" "), {"SM_MODEL_DIR": "/opt/ml/model"})
    assert (options.batch_size, options.lr, options.steps, options.seed) == (8, 3e-5, 5, 7)
    assert options.fresh is True
    assert options.model is None
    assert parse(["--checkpoints", "c", "--fresh", "false"], {}).fresh is False
    assert parse(["--model", "a_b/c_d"], {}).model == "a_b/c_d"


def test_a_hyperparameter_has_one_name(capsys):
    with pytest.raises(SystemExit):
        parse(["--op", "stock"], {})
    assert "unrecognized arguments: --op stock" in capsys.readouterr().err


def test_what_a_job_costs_is_not_known_unless_it_is_told():
    assert parse([], {}).price_per_hour is None
    assert parse([], {"SM_MODEL_DIR": "/opt/ml/model"}).price_per_hour is None
    assert parse(["--price-per-hour", "1.5"], {"SM_MODEL_DIR": "/opt/ml/model"}).price_per_hour == 1.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--checkpoints", "c", "--fresh", "perhaps"], "--fresh: expected true or false, found 'perhaps'"),
        (["--dropout", "1"], "--dropout: expected a number of at least 0 and below 1, found '1'"),
        (["--checkpoint_every", "0"], "--checkpoint-every: expected a whole number of at least 1, found '0'"),
        (["--checkpoints", __file__], "--checkpoints: expected a folder, found the file"),
        (["--worker-timeout", "0"], "--worker-timeout: expected a number greater than 0 and at most 86400, found '0'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_hyperparameter_is_refused_with_what_was_expected(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit:
        parse(arguments, {})
    assert exit.value.code == 2
    assert message in capsys.readouterr().err


# Channels


@pytest.mark.parametrize("channel", ["REVIEWS", "TEST"])
def test_a_job_whose_channels_hold_nothing_to_train_on_is_refused(channel, capsys):
    with pytest.raises(SystemExit) as exit:
        parse([], {"SM_MODEL_DIR": "/opt/ml/model", f"SM_CHANNEL_{channel}": "/opt/ml/input/data/x"})
    assert exit.value.code == 2
    assert f"expected it, or a channel called train or training, found the channels {channel.lower()}" in (
        capsys.readouterr().err
    )
    assert parse(["--data", "x"], {f"SM_CHANNEL_{channel}": "/x"}).data == "x"


def test_channels_may_be_named_training_and_validation(tmp_path):
    write_csv(tmp_path / "training" / "a.csv", 5)
    write_csv(tmp_path / "validation" / "b.csv", 3)
    write_csv(tmp_path / "test" / "c.csv", 4)
    variables = {f"SM_CHANNEL_{name.upper()}": str(tmp_path / name) for name in ("training", "validation", "test")}
    options = parse([], variables)
    source = open_source(options.data, options.channels)
    assert (len(source.train.labels), len(source.validation.labels)) == (5, 3)
    assert "SM_CHANNEL_TRAINING, SM_CHANNEL_VALIDATION" in options.origins[0]


def test_without_a_channel_to_validate_with_a_tenth_or_test_csv_is_held_out(tmp_path):
    write_csv(tmp_path / "one" / "all.csv", 40)
    source = open_source(None, container.Channels(str(tmp_path / "one"), None))
    assert (len(source.train.labels), len(source.validation.labels)) == (36, 4)
    reviews(tmp_path / "two")
    source = open_source(None, container.Channels(str(tmp_path / "two"), None))
    assert (len(source.train.labels), len(source.validation.labels)) == (40, 12)


def test_a_test_file_in_the_training_channel_is_not_trained_on(tmp_path):
    folder = reviews(tmp_path / "all", train=40, test=12)
    source = open_source(None, container.Channels(str(folder), str(folder)))
    assert (len(source.train.labels), len(source.validation.labels)) == (40, 12)


def test_several_files_are_one_set_in_the_order_of_their_names(tmp_path):
    for name, count in (("b.csv", 3), ("a.csv", 2)):
        write_csv(tmp_path / name, count)
    parts = [CsvReviews(tmp_path / name) for name in ("a.csv", "b.csv")]
    together = Concatenated(parts)
    texts = parts[0].contents([0, 1]) + parts[1].contents([0, 1, 2])
    assert together.labels.tolist() == [0, 1, 0, 1, 0]
    assert together.contents([4, 0, 2, 1, 4]) == [texts[at] for at in (4, 0, 2, 1, 4)]


@pytest.mark.parametrize("data", ["s3://bucket/reviews", "s3://bucket/train.csv"])
def test_s3_is_for_channels(data):
    with pytest.raises(TrainerError, match="does not read from S3 itself; in a training job, make it the channel"):
        open_source(data)


def test_an_empty_channel_is_an_error(tmp_path, job, checkpoint, monkeypatch, capsys):
    monkeypatch.setenv("SM_CHANNEL_TRAIN", str(tmp_path / "nothing"))
    assert run("--model", checkpoint, "--steps", 1, *SMALL) == 2
    assert re.search(r"error: channel \S+nothing: expected CSV files with reviews, found none", capsys.readouterr().err)


# Metric lines


def matches(text: str) -> dict[str, list[float]]:
    """What SageMaker would read from a log: one search per line and definition."""
    found = {}
    for definition in metrics.DEFINITIONS:
        hits = (re.search(definition["Regex"], line) for line in text.splitlines())
        found[definition["Name"]] = [float(hit[1]) for hit in hits if hit]
    return found


def test_the_definitions_find_in_a_real_log_what_the_report_holds(job, checkpoint, capsys):
    assert run("--model", checkpoint, "--steps", 12, "--metric-every", 3, "--lr", "1e-3", *SMALL) == 0
    found = matches(capsys.readouterr().out)
    (row,) = json.loads((job / "output" / "data" / "training.json").read_text())["rows"]
    assert found["train:step"] == [3, 6, 9, 12]
    assert found["train:loss"] == pytest.approx([row["losses"][step - 1] for step in (3, 6, 9, 12)], abs=1e-6)
    assert found["validation:accuracy"] == pytest.approx([row["validation_accuracy"]], abs=1e-6)
    assert found["train:throughput"] == pytest.approx([row["throughput_it_s"]], rel=1e-6)
    assert found["train:seconds"] == pytest.approx([row["billable_s"]], rel=1e-6)
    # The third step is the warm-up's last: no rate yet.
    assert len(found["train:it_per_s"]) == 3
    assert found["train:lr"] == pytest.approx([1e-3, 7e-4, 4e-4, 1e-4])


def test_metric_lines_are_as_documented():
    assert metrics.step_line(20, 0.6931, 1.25, 4.5e-5, "rust") in (metrics.__doc__ or "")
    assert metrics.final_line(0.984, 6.64, 6033.0, "rust") in (metrics.__doc__ or "")


@pytest.mark.parametrize("before", ["", "[1,mpirank:0,algo-1]<stdout>:", "[default0]:", "2026-01-01T00:00:00 "])
def test_a_prefix_of_the_log_does_no_harm(before):
    assert matches(before + metrics.step_line(20, 0.5, 1.25, 4.5e-5, "rust")) | {"train:lr": [4.5e-5]} == {
        "train:step": [20],
        "train:loss": [0.5],
        "train:it_per_s": [1.25],
        "train:lr": [4.5e-5],
        "train:throughput": [],
        "train:seconds": [],
        "validation:accuracy": [],
    }


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_not_a_number_is_in_the_line_and_no_metric(loss):
    line = metrics.step_line(3, loss, None, 1e-5, "stock")
    assert f"loss={loss}" in line
    assert matches(line)["train:loss"] == []


def test_no_key_ends_like_another_and_sagemaker_takes_the_definitions():
    keys = [re.search(r"\.\*(\w+)=", definition["Regex"])[1] for definition in metrics.DEFINITIONS]
    assert not [(a, b) for a in keys for b in keys if a != b and a.endswith(b)]
    # The limits of CreateTrainingJob.
    assert len(metrics.DEFINITIONS) <= 40
    assert all(0 < len(each["Name"]) <= 255 and 0 < len(each["Regex"]) <= 500 for each in metrics.DEFINITIONS)


def test_a_bar_and_metric_lines_do_not_mix(monkeypatch, capsys):
    from gpsimd_bert.progress import Progress

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress("training", 2, "steps") as bar:
        bar.print("metric step=1 loss=0.5 lr=1e-05 ops=rust")
    assert capsys.readouterr().out == "metric step=1 loss=0.5 lr=1e-05 ops=rust\n"


# The model


def test_the_model_needs_nothing_of_this_package(job, checkpoint, tmp_path):
    arguments = ["--model", checkpoint, "--steps", 4, "--lr", "1e-2", *SMALL, "--ops", "rust"]
    ((status, _, errors),) = finish(start(*arguments))
    assert status == 0, errors
    texts = ["it is good, number 3", "bad, very bad"]
    script = f"""
        import json, sys
        for name in ("gpsimd_torch", "gpsimd_torch._native"):
            sys.modules[name] = None
        from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline
        model = AutoModelForSequenceClassification.from_pretrained({str(job / "model")!r}).eval()
        tokenizer = AutoTokenizer.from_pretrained({str(job / "model")!r})
        logits = model(**tokenizer({texts!r}, padding=True, return_tensors="pt")).logits
        labels = [result["label"] for result in pipeline("text-classification", model, tokenizer=tokenizer)({texts!r})]
        print(json.dumps([logits.tolist(), labels, str(model.config._attn_implementation)]))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=os.environ, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    logits, labels, attention = json.loads(done.stdout.splitlines()[-1])

    from gpsimd_torch.models import use_custom_ops

    trained = use_custom_ops(AutoModelForSequenceClassification.from_pretrained(job / "model")).eval()
    tokenizer = AutoTokenizer.from_pretrained(job / "model")
    with torch.no_grad():
        here = trained(**tokenizer(texts, padding=True, return_tensors="pt")).logits
    # Stock and Rust ops differ by units in the last place.
    torch.testing.assert_close(here, torch.tensor(logits), rtol=0, atol=1e-5)
    assert labels == [["negative", "positive"][row.argmax()] for row in here]
    assert attention != "gpsimd"
