"""`predict` and `compare`: a CSV file in, labels out; two models, one answer."""

import csv
import json
import os
import re
import signal
import subprocess
import sys

import pytest
import torch
from gpsimd_bert.serve import compare as comparison
from gpsimd_bert.serve import predict as prediction
from gpsimd_bert.serve.__main__ import main
from gpsimd_bert.serve.classifier import Classifier
from gpsimd_bert.serve.errors import ServeError
from gpsimd_bert.serve.review_file import ReviewFile

LABELS = ["negative", "positive"]
SHORT = ["--seq-len", "16", "--threads", "1"]


@pytest.fixture
def reviews(tmp_path):
    """30 reviews in the layout of Polarity."""
    path = tmp_path / "in.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        for row in range(30):
            writer.writerow([row % 2 + 1, "a title", f'{"very " * (row % 7)}"good", number {row},\nünïcode'])
    return path


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows(path) -> list[dict]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# predict


def test_every_review_gets_the_models_label_in_its_row(served, reviews, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(prediction, "ROWS_AT_A_TIME", 7)
    target, summary = tmp_path / "out.csv", tmp_path / "summary.json"
    assert main(["predict", str(served), str(reviews), str(target), *SHORT, "--json", str(summary)]) == 0
    found = rows(target)
    assert [row["row"] for row in found] == [str(number) for number in range(1, 31)]
    classifier = Classifier.load(served, seq_len=16)
    right = 0
    for row, review in zip(found, ReviewFile(reviews, LABELS), strict=True):
        [expected] = classifier.named(classifier.probabilities(classifier.encode([review.text])))
        assert row["label"] == expected["label"]
        assert float(row["score"]) == pytest.approx(expected["score"], abs=1e-5)
        right += LABELS.index(row["label"]) == review.label
    document = json.loads(summary.read_text())
    assert (document["reviews"], sum(document["labels"].values())) == (30, 30)
    assert document["accuracy"] == right / 30
    assert re.search(rf"accuracy +{right / 30:.4f}", capsys.readouterr().out)


def test_the_text_column_is_named_or_numbered(served, tmp_path):
    named = write(tmp_path / "named.csv", "sentiment,content\npositive,good\n0,bad\n")
    numbered = write(tmp_path / "numbered.csv", "1,good\n0,bad\n")
    summary = tmp_path / "summary.json"
    results = []
    for path, columns in (
        (named, ["--column", "content", "--label-column", "sentiment"]),
        (numbered, ["--column", "2", "--label-column", "1"]),
    ):
        target = tmp_path / f"out-{path.name}"
        arguments = ["predict", str(served), str(path), str(target), *columns, *SHORT, "--json", str(summary)]
        assert main(arguments) == 0
        results.append((rows(target), json.loads(summary.read_text())["accuracy"]))
    assert results[0] == results[1]
    assert len(results[0][0]) == 2


def test_without_labels_there_is_no_accuracy(served, tmp_path, capsys):
    path, summary = write(tmp_path / "in.csv", "good\nbad\n"), tmp_path / "summary.json"
    arguments = [str(served), str(path), str(tmp_path / "out.csv"), "--column", "1", *SHORT, "--json", str(summary)]
    assert main(["predict", *arguments]) == 0
    assert json.loads(summary.read_text())["accuracy"] is None
    assert "accuracy" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("", [], "holds no reviews"),
        ('"1","t","x"\n"3","t","x"\n', [], r"in\.csv:2: .* found class '3'; correct it, or name the texts' --column"),
        ("good\n", [], r"in\.csv:1: .* found 1 column\(s\)"),
        ('"1","t","x\n', [], r"in\.csv:1: .*quotes closed"),
        ('"1","t","x"\r"2","t","y"\r', [], r"in\.csv:1: found a CR within the line; line ends must be LF or CRLF"),
        (b'"1","t","\xff"\n', [], r"in\.csv:1: byte 10 of the line is not UTF-8"),
        ("a,b\nx,y\n", ["--column", "c"], r"in\.csv:1: expected one column 'c' in the header, found 'a', 'b'"),
        ("a,a\nx,y\n", ["--column", "a"], "expected one column 'a'"),
        ("a,b\n", ["--column", "3"], r"expected a column 3, found 2 column\(s\)"),
        # More digits than Python reads, and names of what cannot be printed.
        ("a,b\n", ["--column", "1" * 5000], r"expected a column 1{40}, found 2 column\(s\)"),
        ("\x01" * 300 + ",b\n", ["--column", "\x02" * 300], r"^.{0,600}: expected one column .{60}\.\. in the header"),
        ("a,b\nx\n", ["--column", "1"], r"in\.csv:2: expected 2 columns as in the first row, found 1"),
        ("good,5\n", ["--column", "1", "--label-column", "2"], "expected a label negative, positive, or its number"),
        # More digits than Python reads.
        (f"good,{'1' * 5000}\n", ["--column", "1", "--label-column", "2"], "expected a label negative, positive"),
        ("text\n", ["--column", "text"], "holds no reviews"),
    ],
    ids=[
        "empty",
        "class",
        "one column",
        "quote",
        "CR",
        "bytes",
        "no name",
        "twice",
        "number",
        "long number",
        "long names",
        "ragged",
        "label",
        "long label",
        "header",
    ],
)
def test_a_malformed_file_is_status_1_with_its_line_and_leaves_no_output(
    served, tmp_path, capsys, text, columns, message
):
    path, target = write(tmp_path / "in.csv", text), tmp_path / "out.csv"
    target.write_text("earlier")
    assert main(["predict", str(served), str(path), str(target), *columns, *SHORT]) == 1
    assert re.search(message, capsys.readouterr().err)
    assert target.read_text() == "earlier"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in.csv", "out.csv"]


def test_a_byte_order_mark_and_blank_lines_do_no_harm(tmp_path):
    path = write(tmp_path / "a.csv", b'\xef\xbb\xbf"1","t","one"\r\n\r\n"2","t","two"\r\n\r\n')
    assert [(review.text, review.label) for review in ReviewFile(path, LABELS)] == [("one", 0), ("two", 1)]


def test_a_long_review_is_read_up_to_a_bound(tmp_path, monkeypatch):
    path = write(tmp_path / "a.csv", f'"1","t","{"x" * 150_000}"\n"2","t","good"\n')
    assert [len(review.text) for review in ReviewFile(path, LABELS)] == [150_000, 4]
    monkeypatch.setattr("gpsimd_bert.reviews.MAX_FIELD", 149_999)
    with pytest.raises(ServeError, match=r"a\.csv:1: expected fields of at most 149,999 characters, found more"):
        list(ReviewFile(path, LABELS))


def test_classes_say_nothing_about_a_model_with_other_labels(tmp_path):
    path = write(tmp_path / "a.csv", '"1","t","one"\n')
    assert [review.label for review in ReviewFile(path, ["bad", "fair", "good"])] == [None]


def test_ctrl_c_leaves_the_earlier_output(served, reviews, tmp_path, monkeypatch, capsys):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Classifier, "encode", stopped)
    target = write(tmp_path / "out.csv", "earlier")
    assert main(["predict", str(served), str(reviews), str(target), *SHORT]) == 130
    assert target.read_text() == "earlier"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in.csv", "out.csv"]


def test_sigterm_leaves_the_earlier_output(served, reviews, tmp_path, monkeypatch):
    monkeypatch.setattr(Classifier, "encode", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    target = write(tmp_path / "out.csv", "earlier")
    # What main() does not handle is lost here, instead of the end of the tests.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        assert main(["predict", str(served), str(reviews), str(target), *SHORT]) == 143
    finally:
        signal.signal(signal.SIGTERM, before)
    assert target.read_text() == "earlier"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in.csv", "out.csv"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_stdout_that_is_full_is_an_error_and_the_files_are_written(served, reviews, tmp_path, monkeypatch, capsys):
    target, summary = tmp_path / "out.csv", tmp_path / "summary.json"
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(["predict", str(served), str(reviews), str(target), *SHORT, "--json", str(summary)]) == 1
    assert "error: cannot write to stdout: No space left on device" in capsys.readouterr().err
    assert len(rows(target)) == json.loads(summary.read_text())["reviews"] == 30


def test_a_link_stays_and_what_it_names_is_replaced(served, reviews, tmp_path):
    target, link = write(tmp_path / "out.csv", "earlier"), tmp_path / "link.csv"
    link.symlink_to(target.name)
    assert main(["predict", str(served), str(reviews), str(link), *SHORT]) == 0
    assert link.is_symlink()
    assert len(rows(target)) == 30


@pytest.mark.parametrize("at", ["OUT.csv", "--json"])
def test_a_device_or_a_pipe_is_not_replaced(served, reviews, tmp_path, capsys, at):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to("/dev/null")
    for path in (pipe, link):
        files = [str(path)] if at == "OUT.csv" else [str(tmp_path / "out.csv"), "--json", str(path)]
        with pytest.raises(SystemExit) as caught:
            main(["predict", str(served), str(reviews), *files])
        assert caught.value.code == 2
        assert "expected a regular file, found a device or a pipe" in capsys.readouterr().err
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "MODEL", "IN", "OUT", "--json", "IN"], "--json: expected another file than IN.csv"),
        (["predict", "MODEL", "IN", "OUT", "--json", "OUT"], "--json: expected another file than OUT.csv"),
        (["predict", "MODEL", "IN", "LINK"], "OUT.csv: expected another file than IN.csv"),
        (["compare", "MODEL", "MODEL", "IN", "--json", "IN"], "--json: expected another file than IN.csv"),
        (["bench", "MODEL", "--data", "IN", "--json", "LINK"], "--json: expected another file than --data"),
    ],
)
def test_no_file_is_written_over_another_of_the_command(served, reviews, tmp_path, capsys, arguments, message):
    link = tmp_path / "link.csv"
    link.symlink_to(reviews)
    words = {"MODEL": str(served), "IN": str(reviews), "OUT": str(tmp_path / "out.csv"), "LINK": str(link)}
    before = reviews.read_bytes()
    with pytest.raises(SystemExit) as caught:
        main([words.get(word, word) for word in arguments])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
    assert reviews.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["MODEL", "missing.csv", "out.csv"], "expected a file, found none at 'missing.csv'"),
        (["MODEL", "IN", "no/such/out.csv"], "the folder 'no/such' does not exist"),
        (["MODEL", "IN", "IN"], "expected another file than IN.csv"),
        (["MODEL", "IN", "out.csv", "--label-column", "1"], "expected --column beside it"),
        (["MODEL", "IN", "out.csv", "--column", "text", "--label-column", "1"], "both names, or both numbers"),
    ],
)
def test_a_wrong_argument_is_status_2(served, reviews, capsys, arguments, message):
    words = {"MODEL": str(served), "IN": str(reviews)}
    with pytest.raises(SystemExit) as caught:
        main(["predict", *(words.get(word, word) for word in arguments)])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


# compare


def model_like(served, folder, change):
    from transformers import AutoTokenizer, BertForSequenceClassification

    model = BertForSequenceClassification.from_pretrained(served)
    with torch.no_grad():
        change(model)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(served).save_pretrained(folder)
    return folder


def test_a_model_agrees_with_itself_and_not_with_its_opposite(served, reviews, tmp_path, capsys):
    summary = tmp_path / "summary.json"
    arguments = [str(reviews), *SHORT, "--json", str(summary)]
    assert main(["compare", str(served), str(served), *arguments]) == 0
    assert re.search(r"same label +30\n", capsys.readouterr().out)

    opposite = model_like(served, tmp_path / "opposite", lambda model: model.classifier.weight.neg_())
    assert main(["compare", str(served), str(opposite), *arguments]) == 1
    assert re.search(r"row \d+: (negative by .*, positive|positive by .*, negative) by ", capsys.readouterr().out)
    document = json.loads(summary.read_text())
    assert document["disagreements"] == len(document["differences"]) - document["ties"] > 15


def test_a_model_is_compared_with_itself_in_bf16_and_accuracy_is_said(served, reviews, tmp_path, capsys):
    summary = tmp_path / "summary.json"
    arguments = [str(reviews), *SHORT, "--second-dtype", "bf16", "--tie", "1", "--json", str(summary)]
    assert main(["compare", str(served), str(served), *arguments]) == 0
    document = json.loads(summary.read_text())
    assert document["dtypes"] == ["f32", "bf16"]
    assert 0 < document["largest_score_difference"] < 0.1
    output = capsys.readouterr().out
    for name, right in zip(("first", "second"), document["right"], strict=True):
        assert re.search(rf"accuracy of the {name} +{right / 30:.4f}\n", output)


def test_models_of_other_labels_are_not_compared(served, reviews, tmp_path, capsys):
    other = model_like(served, tmp_path / "other", lambda model: setattr(model.config, "id2label", {0: "a", 1: "b"}))
    assert main(["compare", str(served), str(other), str(reviews), *SHORT]) == 1
    assert "expected the labels negative, positive" in capsys.readouterr().err


def test_only_what_both_models_find_undecided_is_a_tie():
    agreement = comparison.Agreement(tie=0.01)
    first = torch.tensor([[0.9, 0.1], [0.501, 0.499], [0.501, 0.499], [0.9, 0.1]])
    second = torch.tensor([[0.8, 0.2], [0.498, 0.502], [0.4, 0.6], [0.1, 0.9]])
    agreement.add(first, second, LABELS)
    assert [(difference.row, difference.is_tie) for difference in agreement.differences] == [
        (2, True),
        (3, False),
        (4, False),
    ]
    assert (agreement.ties, agreement.disagreements) == (1, 2)
    assert agreement.largest_score_difference == pytest.approx(0.8)
    report = comparison.report(agreement)
    assert report.index("row 3") < report.index("row 4") < report.index("row 2: negative by 2.00e-03, positive by 4.0")


def test_a_file_that_disappears_is_an_error(tmp_path):
    path = write(tmp_path / "a.csv", "x")
    reviews = ReviewFile(path, LABELS, "1")
    path.unlink()
    with pytest.raises(ServeError, match=r"cannot read .*a\.csv: No such file"):
        list(reviews)


# The trained models


@pytest.mark.slow
def test_models_trained_with_rust_and_with_stock_ops_say_the_same(tmp_path):
    """40 steps with each from the same seed; on the reviews that the trainer makes up."""
    from gpsimd_bert.train.synthetic import SyntheticReviews

    trained, source = tmp_path / "trained", tmp_path / "test.csv"
    training = ["--ops", "both", "--steps", "40", "--batch-size", "8", "--seq-len", "64", "--output-dir", str(trained)]
    subprocess.run([sys.executable, "-m", "gpsimd_bert.train", *training], check=True)
    reviews = SyntheticReviews("validation")
    with source.open("w", newline="") as file:
        texts = reviews.contents(range(len(reviews.labels)))
        csv.writer(file).writerows([label + 1, "", text] for label, text in zip(reviews.labels, texts, strict=True))
    assert main(["compare", str(trained / "stock"), str(trained / "rust"), str(source)]) == 0
