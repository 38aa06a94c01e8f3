"""The trainer, `python -m gpsimd_bert.train`, with a model of one layer."""

import csv
import json
import math
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from gpsimd_bert.train import distributed
from gpsimd_bert.train.__main__ import main
from gpsimd_bert.train.batches import IGNORED_LABEL, Batches, TokenizedReviews, by_length, order_of_steps
from gpsimd_bert.train.errors import TrainerError
from gpsimd_bert.train.loop import STEPS_PER_PART
from gpsimd_bert.train.model import schedule
from gpsimd_bert.train.report import Row, largest_difference, table, write_json
from gpsimd_bert.train.review_sets import CsvReviews
from gpsimd_bert.train.sources import open_source
from gpsimd_bert.train.synthetic import SyntheticReviews
from transformers import AutoModelForSequenceClassification, AutoTokenizer

SMALL = ["--batch-size", "4", "--seq-len", "16"]


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    """A data folder with 40 and 12 reviews."""
    for name, count in (("train.csv", 40), ("test.csv", 12)):
        with (tmp_path / name).open("w", newline="") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            for row in range(count):
                text = f'it is "{"good" if row % 2 else "bad"}", number {row}\nsecond line, ünïcode ' + "very " * row
                writer.writerow([row % 2 + 1, "a title", text])
    return tmp_path


def write(path, text) -> pathlib.Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def start(*arguments, torchrun=None, **environment) -> subprocess.Popen:
    module = ["-m", "gpsimd_bert.train", *map(str, arguments)]
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", str(torchrun), "--standalone"] if torchrun else []
    return subprocess.Popen(
        [sys.executable, *launcher, *module],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def finish(process, timeout=240) -> tuple[int, str, str]:
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.terminate()
        output, errors = process.communicate(timeout=60)
        pytest.fail(f"not done after {timeout} s: {output[-2000:]}{errors[-2000:]}")
    return process.returncode, output, errors


# Reviews


def test_reviews_are_read_with_quotes_line_breaks_and_labels(folder):
    reviews = CsvReviews(folder / "train.csv")
    assert len(reviews.labels) == 40
    assert reviews.labels[:4].tolist() == [0, 1, 0, 1]
    third, first = reviews.contents([3, 1])
    assert third.startswith('it is "good", number 3\nsecond line, ünïcode very very very')
    assert first.startswith('it is "good", number 1\n')


def test_a_byte_order_mark_and_blank_lines_do_no_harm(tmp_path):
    path = write(tmp_path / "a.csv", b'\xef\xbb\xbf"1","t","one"\r\n\r\n"2","t","two"\r\n\r\n')
    reviews = CsvReviews(path)
    assert reviews.labels.tolist() == [0, 1]
    assert reviews.contents([0, 1]) == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"1","t","x"\n"3","t","x"\n', r"a\.csv:2: .* found class '3'"),
        ('"class","title","content"\n', r"a\.csv:1: .*without a header.* found class 'class'"),
        ('"1","t","x"\n"1","x"\n', r"a\.csv:2: .* found 2 column\(s\)"),
        ('"1","t","x","y"\n', r"a\.csv:1: .* found 4 column\(s\)"),
        ('"1","t","x\ny"\n"2","t","no end\n', r"a\.csv:3: .*quotes closed"),
        ('"1","t","a "word" b"\n', r"a\.csv:1: .*inner quotes doubled"),
        (b'"1","t","x"\n"1","t","\xff"\n', r"a\.csv:2: byte 10 of the line is not UTF-8 \(0xff\)"),
        ("", r"a\.csv holds no reviews"),
    ],
    ids=["class", "header", "two columns", "four columns", "open quote", "inner quote", "bytes", "empty"],
)
def test_a_malformed_file_is_an_error_with_file_and_line(tmp_path, text, message):
    path = write(tmp_path / "a.csv", text)
    with pytest.raises(TrainerError, match=message):
        CsvReviews(path)


def test_one_file_is_split_in_the_same_two_parts_every_time(folder):
    first, second = (open_source(str(folder / "train.csv")) for _ in range(2))
    train, validation = (set(part.contents(range(len(part.labels)))) for part in (first.train, first.validation))
    assert (len(train), len(validation)) == (36, 4)
    assert not train & validation
    assert second.validation.contents(range(4)) == first.validation.contents(range(4))
    assert "held out" in first.description


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("no/such/folder", "no such file or folder"),
        ("missing.csv", "no such file or folder"),
        (".", r"train.csv and test.csv missing"),
    ],
)
def test_data_that_is_not_there_is_an_error(tmp_path, monkeypatch, data, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TrainerError, match=message):
        open_source(data)


def test_a_hub_dataset_without_network_is_an_error(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    def offline(name):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(TrainerError, match=r"could not be loaded .*no route to host.* name a folder"):
        open_source("someone/reviews")


def test_a_hub_dataset_is_read_by_content_and_label(monkeypatch):
    import datasets

    split = datasets.Dataset.from_dict({"title": ["t", "t"], "content": ["bad", "good"], "label": [0, 1]})
    monkeypatch.setattr(datasets, "load_dataset", lambda name: {"train": split, "test": split})
    source = open_source("someone/reviews")
    assert source.train.labels.tolist() == [0, 1]
    assert source.train.contents(np.array([1, 0])) == ["good", "bad"]
    monkeypatch.setattr(datasets, "load_dataset", lambda name: {"train": split})
    with pytest.raises(TrainerError, match="expected the splits train and test"):
        open_source("someone/reviews")


def test_synthetic_reviews_are_the_same_everywhere_and_of_both_labels():
    first, second = SyntheticReviews("training"), SyntheticReviews("training")
    assert first.contents([0, 959]) == second.contents([0, 959])
    assert 0.4 < first.labels.mean() < 0.6
    assert not set(first.contents(range(960))) & set(SyntheticReviews("validation").contents(range(240)))


# Batches


def test_every_epoch_is_a_permutation_cut_among_the_processes():
    ranks = [order_of_steps(50, 4, seed=1, epochs=2, steps=None, rank=rank, world=3) for rank in range(3)]
    assert ranks[0].shape == (8, 4)
    for epoch in (slice(0, 4), slice(4, 8)):
        seen = np.concatenate([rank[epoch].ravel() for rank in ranks])
        assert len(set(seen.tolist())) == 48
    assert not np.array_equal(ranks[0][:4], ranks[0][4:])


def test_steps_go_on_into_further_epochs():
    assert order_of_steps(10, 4, seed=0, epochs=1, steps=7).shape == (7, 4)


def test_too_few_reviews_for_a_step_is_an_error():
    with pytest.raises(TrainerError, match=r"10 reviews .* one step of 12 \(--batch-size 4 x 3 process"):
        order_of_steps(10, 4, seed=0, epochs=1, steps=1, world=3)
    with pytest.raises(TrainerError, match=r"one step of 16 \(--batch-size 4 x --accumulate 2 x 2 process"):
        order_of_steps(10, 4, seed=0, epochs=1, steps=1, accumulate=2, world=2)


def test_batches_are_the_tokenizers_own_padding(folder, checkpoint):
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    reviews = CsvReviews(folder / "train.csv")
    rows = np.array([5, 2, 30])
    tokens = TokenizedReviews(reviews, rows, tokenizer, 24, "", progress=False)
    expected = tokenizer(reviews.contents(rows), truncation=True, max_length=24, padding=True, return_tensors="pt")
    batch = next(iter(Batches(tokens, [rows])))
    assert torch.equal(batch["input_ids"], expected["input_ids"])
    assert torch.equal(batch["attention_mask"], expected["attention_mask"])
    assert batch["labels"].tolist() == [1, 0, 0]
    fixed = tokens.batch(rows, (4, 24))
    assert fixed["input_ids"].shape == (4, 24)
    assert fixed["labels"].tolist() == [1, 0, 0, IGNORED_LABEL]
    assert sorted(np.concatenate(by_length(tokens, rows, 2)).tolist()) == sorted(rows.tolist())


# Table and schedule


def rows_of(losses, others):
    rows = [Row("stock", 4, 36.0), Row("rust", 4, 36.0)]
    for row, values in zip(rows, (losses, others), strict=True):
        row.start_clock()
        row.record(values)
        row.validation_accuracy, row.billable_s = 0.875, 100.0
    return rows


def test_the_table_has_the_briefs_columns_and_the_difference_of_losses():
    text = table(rows_of([1.0, 2.0, 3.0, 4.0], [1.0, 2.5, 3.0, 4.0]))
    heads, _, stock, _rust, difference = text.splitlines()
    assert heads.split()[0] == "ops"
    assert all(head in heads for head in ("throughput it/s", "validation accuracy", "billable s", "training cost $"))
    assert re.search(r"stock .* 0\.8750 .* 100\.0 .* 1\.0000", stock)
    assert difference == "losses differ by at most 5.00e-01 (step 2 of 4)"


def test_a_loss_that_is_not_a_number_never_passes_for_agreement(tmp_path):
    rows = rows_of([1.0, math.nan], [1.0, 2.0])
    assert math.isnan(largest_difference(rows)[0])
    assert "not a number at step 2" in table(rows)
    write_json(tmp_path / "a.json", rows, {})
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["max_loss_difference"] is None
    assert document["rows"][0]["losses"] == [1.0, None]


def test_throughput_leaves_the_warm_up_out():
    row = Row("stock", 8, 1.0)
    assert row.warm_up_steps == 2
    row._times = [(0, 0.0), (1, 100.0), (2, 110.0), (3, 110.5), (8, 113.0)]
    assert row.throughput_it_s == 2.0


@pytest.mark.parametrize("steps", [1, 2, 10, 100])
def test_the_learning_rate_climbs_then_falls_and_is_never_zero(steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    scheduler = schedule(optimizer, steps)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert max(rates) == 1.0
    assert min(rates) > 0
    peak = rates.index(1.0)
    assert rates == sorted(rates[:peak]) + sorted(rates[peak:], reverse=True)


# Whole runs


def test_both_runs_agree_and_write_table_json_and_checkpoints(folder, checkpoint, tmp_path, capsys):
    result, saved = tmp_path / "out.json", tmp_path / "saved"
    arguments = ["--data", folder, "--model", checkpoint, "--steps", 12, "--lr", "1e-3", *SMALL]
    assert (
        main(
            [
                *map(str, arguments),
                "--json",
                str(result),
                "--output-dir",
                str(saved),
                "--price-per-hour",
                "36",
                # With PyTorch's dropout, so that both drop the same elements.
                "--rust-ops",
                "gelu,softmax,norm",
            ]
        )
        == 0
    )
    text = capsys.readouterr().out
    assert re.search(r"^ *stock +\d", text, re.M)
    assert "losses differ by at most" in text
    document = json.loads(result.read_text())
    assert [row["ops"] for row in document["rows"]] == ["stock", "rust"]
    assert 0 <= document["max_loss_difference"] < 1e-4
    for row in document["rows"]:
        assert len(row["losses"]) == 12
        assert row["throughput_it_s"] > 0
        assert 0 <= row["validation_accuracy"] <= 1
        assert row["training_cost_usd"] == pytest.approx(row["billable_s"] * 36 / 3600)
    for ops in ("stock", "rust"):
        model, info = AutoModelForSequenceClassification.from_pretrained(saved / ops, output_loading_info=True)
        assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
        assert model.config.id2label == {0: "negative", 1: "positive"}
        assert AutoTokenizer.from_pretrained(saved / ops).pad_token_id == 0
        assert not (saved / ops / ".partial").exists()


def test_a_single_run_saves_in_the_folder_itself_and_repeats_exactly(folder, checkpoint, tmp_path):
    losses = []
    for name in ("a", "b"):
        arguments = [
            "--data",
            folder / "train.csv",
            "--model",
            checkpoint,
            "--ops",
            "rust",
            "--epochs",
            1,
            *SMALL,
        ]
        out = tmp_path / f"{name}.json"
        assert main([*map(str, arguments), "--output-dir", str(tmp_path / name), "--json", str(out)]) == 0
        losses.append(json.loads(out.read_text())["rows"][0]["losses"])
    assert (tmp_path / "a" / "config.json").exists()
    assert len(losses[0]) == 9
    assert losses[0] == losses[1]


def test_without_data_the_reviews_are_said_to_be_synthetic(checkpoint, capsys):
    assert main(["--model", str(checkpoint), "--ops", "stock", "--steps", "2", *SMALL]) == 0
    assert "synthetic reviews (made up by this package" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "expected a whole number of at least 1, found '0'"),
        (["--epochs", "1", "--steps", "2"], "not allowed with argument"),
        (["--batch-size", "many"], "expected a whole number of at least 1, found 'many'"),
        (["--lr", "0"], "expected a number greater than 0, found '0'"),
        (["--lr", "nan"], "expected a number greater than 0, found 'nan'"),
        (["--price-per-hour", "-1"], "expected a number of at least 0, found '-1'"),
        (["--worker-timeout", "1e300"], "expected a number greater than 0 and at most 86400, found '1e300'"),
        (["--model", ".", "--model-dir", f"../{pathlib.Path.cwd().name}"], "expected another folder than --model"),
        (["--seed", "-1"], "expected a whole number from 0 to 4294967295"),
        (["--device", "cuda"], "invalid choice: 'cuda'"),
        (["--json", "no/such/folder/out.json"], "does not exist; create it first"),
        (["--output-dir", __file__], "expected a folder, found the file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_flag_is_refused_with_what_was_expected(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("data", ["", "train.csv"])
def test_a_report_never_replaces_the_reviews(folder, capsys, data):
    before = (folder / "train.csv").read_bytes()
    with pytest.raises(SystemExit) as exit:
        main(["--data", str(folder / data), "--json", str(folder / "train.csv")])
    assert exit.value.code == 2
    assert "--json: expected a file of its own, found the reviews" in capsys.readouterr().err
    assert (folder / "train.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"WORLD_SIZE": "0"}, "RANK=0, WORLD_SIZE=0"),
        ({"WORLD_SIZE": "2", "RANK": "2", "MASTER_ADDR": "x", "MASTER_PORT": "1"}, "RANK=2, WORLD_SIZE=2"),
        ({"WORLD_SIZE": "2"}, "RANK=0, WORLD_SIZE=2, no MASTER_ADDR, no MASTER_PORT"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_half_of_torchruns_variables_are_an_error(monkeypatch, capsys, variables, found):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main([]) == 2
    assert f"expected the environment variables of torchrun, or none; found {found}" in capsys.readouterr().err


def test_wrong_models_are_refused(checkpoint, tmp_path, capsys):
    assert main(["--model", str(checkpoint), "--seq-len", "65"]) == 2
    assert "--seq-len 65: the model takes at most 64 tokens" in capsys.readouterr().err
    assert main(["--model", str(tmp_path / "none")]) == 2
    assert "no such folder" in capsys.readouterr().err
    assert main(["--model", str(tmp_path)]) == 2
    assert "no BERT checkpoint could be loaded" in capsys.readouterr().err
    (tmp_path / "config.json").write_text('{"model_type": "roberta"}')
    assert main(["--model", str(tmp_path)]) == 2
    assert "error: --model" in capsys.readouterr().err


def test_help_teaches_with_examples(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert "examples:" in text
    assert "torchrun --nproc_per_node 2" in text
    assert '"class","title","content"' in text


@pytest.mark.xla
def test_xla_with_several_cpu_processes_is_refused(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("PJRT_DEVICE", "CPU")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "1")
    with pytest.raises(TrainerError, match="--device xla with 2 processes needs NeuronCores"):
        distributed.start("xla")


def test_ctrl_c_ends_the_step_saves_both_and_prints_the_table(folder, checkpoint, tmp_path):
    out, saved = tmp_path / "out.json", tmp_path / "saved"
    arguments = ["--data", folder, "--model", checkpoint, "--steps", 100_000, "--json", out, "--output-dir", saved]
    process = start(*arguments, *SMALL)
    # The first line about the training itself; then a moment for the steps.
    for line in process.stderr:
        if "training: " in line:
            break
    time.sleep(2.0)
    process.send_signal(signal.SIGINT)
    status, text, _ = finish(process)
    assert status == 130
    document = json.loads(out.read_text())
    assert [row["ops"] for row in document["rows"]] == ["stock", "rust"]
    for row in document["rows"]:
        assert row["stopped"] and row["failed"] is None
        assert row["validation_accuracy"] is None
        assert 0 < len(row["losses"]) < 100_000
        assert f"{row['ops']}: stopped after {len(row['losses'])} of 100000 steps" in text
        assert AutoModelForSequenceClassification.from_pretrained(saved / row["ops"]) is not None
    made = [len(row["losses"]) for row in document["rows"]]
    assert abs(made[0] - made[1]) <= STEPS_PER_PART


def test_two_processes_train_on_halves_and_print_once(folder, checkpoint, tmp_path):
    out = tmp_path / "out.json"
    process = start(
        *[
            "--data",
            folder,
            "--model",
            checkpoint,
            "--steps",
            3,
            "--json",
            out,
            "--ops",
            "both",
            "--dropout",
            0,
            *SMALL,
        ],
        torchrun=2,
    )
    status, text, errors = finish(process)
    assert status == 0, errors
    assert text.count("validation accuracy") == 1
    assert "2 processes" in text
    document = json.loads(out.read_text())
    assert document["settings"]["processes"] == 2
    assert document["max_loss_difference"] < 1e-4
    assert (document["rows"][0]["validation_accuracy"] * 12) % 1 == pytest.approx(0), "all 12 reviews were seen once"


@pytest.mark.xla
def test_xla_trains_with_both_ops(folder, checkpoint, tmp_path):
    out, saved = tmp_path / "out.json", tmp_path / "saved"
    process = start(
        *["--data", folder, "--model", checkpoint, "--steps", 2, "--device", "xla", "--output-dir", saved],
        *["--json", out, *SMALL],
    )
    status, text, errors = finish(process)
    assert status == 0, errors
    assert "on xla" in text
    document = json.loads(out.read_text())
    assert document["max_loss_difference"] < 1e-4
    assert AutoModelForSequenceClassification.from_pretrained(saved / "rust") is not None
