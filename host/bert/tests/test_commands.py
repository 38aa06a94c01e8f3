"""What all commands have in common: no empty values, and an output that may be closed, full, or not UTF-8."""

import argparse
import os
import pathlib
import re
import subprocess
import sys

import pytest
from gpsimd_bert import arguments
from gpsimd_bert.sagemaker import __main__ as sagemaker
from gpsimd_bert.serve import options as serve
from gpsimd_bert.train import options as train
from trainer_process import reviews

PACKAGE = pathlib.Path(arguments.__file__).parent
SMALL = ["--batch-size", "4", "--seq-len", "16"]

PARSE = {
    "train": (train.parse, []),
    "serve": (serve.parse, []),
    "predict": (serve.parse, ["predict"]),
    "compare": (serve.parse, ["compare"]),
    "serve bench": (serve.parse, ["bench"]),
} | {
    f"sagemaker {command}": (sagemaker.main, [command])
    for command in ("launch", "status", "compare", "deploy", "transform")
}


def parser_of(command: str, monkeypatch) -> arguments.Parser:
    """The parser that the command uses."""
    parse, argv = PARSE[command]
    used = []

    def keep(self, *_):
        used.append(self)
        raise SystemExit(0)

    monkeypatch.setattr(arguments.Parser, "parse_known_args", keep)
    with pytest.raises(SystemExit):
        parse(argv)
    monkeypatch.undo()
    (parser,) = used
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action.choices[argv[0]]
    return parser


@pytest.mark.parametrize("empty", ["", " "])
@pytest.mark.parametrize("command", PARSE)
def test_no_option_of_any_command_takes_an_empty_value(command, empty, monkeypatch, capsys):
    parser = parser_of(command, monkeypatch)
    parse, argv = PARSE[command]
    taking = [action for action in parser._actions if action.nargs != 0]
    positionals = [action.metavar for action in taking if not action.option_strings]
    names = [action.option_strings[0] for action in taking if action.option_strings]
    assert len(names) > 1
    for name in [*names, *positionals[:1]]:
        with pytest.raises(SystemExit) as exit:
            parse([*argv, *([name] if name in names else []), empty])
        assert exit.value.code == 2
        assert re.search(rf"argument .*{re.escape(name)}.*: .*expected", capsys.readouterr().err), name


def test_an_empty_value_behind_an_equals_sign_is_one_too(capsys):
    with pytest.raises(SystemExit):
        train.parse(["--model-dir=", "--steps", "1"], {})
    assert "argument --model-dir/--output-dir: expected a value, found an empty one" in capsys.readouterr().err


def test_every_parser_is_the_one_with_the_rule():
    others = [path.name for path in PACKAGE.rglob("*.py") if "argparse.ArgumentParser(" in path.read_text()]
    assert others == []


def test_in_a_training_job_a_null_hyperparameter_is_left_out(capsys):
    job = {"SM_MODEL_DIR": "/opt/ml/model"}
    arguments = ["--model", "", "--steps", "5", "--data", "", "--fresh", "", "--price_per_hour", ""]
    options = train.parse(arguments, job)
    assert (options.model, options.data, options.steps, options.fresh) == (None, None, 5, False)
    with pytest.raises(SystemExit):
        train.parse(arguments, {"SM_MODEL_DIR": ""})
    assert "argument --model: expected a value, found an empty one" in capsys.readouterr().err


# Output


@pytest.fixture
def training(checkpoint, tmp_path) -> list[str]:
    """A short training that saves its model in `model`; its data folder has a name that is not ASCII."""
    data = reviews(tmp_path / "réviews", train=24, test=4)
    model = ["--model", str(checkpoint), "--model-dir", str(tmp_path / "model")]
    return ["train", "--data", str(data), *model, "--ops", "stock", "--steps", "6", "--metric-every", "1", *SMALL]


@pytest.fixture
def predicting(served, tmp_path) -> list[str]:
    """A prediction that writes `out.csv`; its model's folder has a name that is not ASCII."""
    folder = tmp_path / "mödel"
    folder.symlink_to(served)
    data = reviews(tmp_path / "data") / "test.csv"
    return ["serve", "predict", str(folder), str(data), str(tmp_path / "öut.csv"), "--seq-len", "16", "--threads", "1"]


def run(command: list[str], then: str = "", **environment) -> subprocess.CompletedProcess:
    """Through a shell, which adds `then` to the command; the status is the command's own."""
    python = [sys.executable, "-m", f"gpsimd_bert.{command[0]}"]
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", f'"$@" {then}', "-", *python, *command[1:]],
        env=os.environ | environment,
        capture_output=True,
        timeout=240,
    )


@pytest.mark.parametrize(
    ("then", "status", "message"),
    [
        ("| head -2", 0, b"error: cannot write to stdout: Broken pipe"),
        ("2>&1 | head -2", 0, b""),
        ("> /dev/full", 1, b"error: cannot write to stdout: No space left on device"),
        ("> /dev/full 2> /dev/full", 1, b""),
        (">&-", 1, b"error: cannot write to stdout: it is closed"),
        (">&- 2>&-", 1, b""),
        ("2>&-", 0, b""),
    ],
)
def test_what_was_trained_is_kept_whatever_becomes_of_the_output(training, tmp_path, then, status, message):
    done = run(training, then)
    assert done.returncode == status
    assert done.stderr.count(b"error: ") == (1 if message else 0)
    assert message in done.stderr
    assert b"Traceback" not in done.stdout + done.stderr and b"Exception" not in done.stderr
    assert (tmp_path / "model" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("then", "status"), [("| true", 0), ("> /dev/full", 1), (">&- 2>&-", 1)], ids=["closed pipe", "full", "closed"]
)
def test_what_was_predicted_is_kept_whatever_becomes_of_the_output(predicting, tmp_path, then, status):
    done = run(predicting, then)
    assert done.returncode == status
    assert b"Traceback" not in done.stderr and b"Exception" not in done.stderr
    assert len((tmp_path / "öut.csv").read_text().splitlines()) == 13


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "LANG": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
    ids=["ascii", "C", "latin-1"],
)
@pytest.mark.parametrize("command", ["training", "predicting"])
def test_a_terminal_that_is_not_utf8_sees_escapes(request, tmp_path, command, environment):
    done = run(request.getfixturevalue(command), **environment)
    assert done.returncode == 0, done.stderr
    shown = r"\xe9" if command == "training" else r"\xf6"
    if environment.get("PYTHONIOENCODING") == "latin-1":
        shown = "é" if command == "training" else "ö"
    elif "LC_ALL" in environment:
        # Python keeps the bytes of a name that its locale cannot say.
        shown = r"\udcc3"
    assert shown in done.stdout.decode("latin-1")


@pytest.mark.parametrize("command", ["train", "serve", "sagemaker"])
def test_help_into_a_full_disk_fails(command):
    done = run([command, "--help"], "> /dev/full")
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1 and b"No space left on device" in done.stderr


def test_a_name_that_is_not_text_is_shown_with_escapes(capfdbinary):
    done = run(["train", "--data", os.fsdecode(b"./\xff.csv")])
    assert done.returncode == 2
    assert rb"\udcff.csv: no such file or folder" in done.stderr


def test_the_trainer_knows_the_ops_that_a_model_takes():
    from gpsimd_bert.train.flags import RUST_OPS
    from gpsimd_torch.models import OPS

    assert RUST_OPS == OPS
