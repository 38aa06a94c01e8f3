"""The command lines of `serve`, `predict`, `compare` and `bench`: flags, help, and the checks that need no model."""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from gpsimd_bert import arguments

from . import flags, help
from .dtype import AUTO, DTYPES, F32
from .request import MAX_TEXTS

COMMANDS = ("serve", "predict", "compare", "bench")
PORT = 8080
# Where the container finds the model.
CONTAINER_MODEL_DIR = "/opt/ml/model"
# The container is killed 30 s after SIGTERM.
GRACE_S = 25
# How requests are logged.
ACCESS_LOGS = ("json", "common")
# What `bench` compares a server with.
AGAINST = ONE_BY_ONE, IN_F32 = ("one-by-one", "f32")


@dataclass(frozen=True)
class Serve:
    """What the server was asked to do."""

    model_dir: Path
    host: str
    port: int
    threads: int
    seq_len: int | None
    max_batch: int
    max_wait_ms: float
    max_texts: int
    max_bytes: int
    max_waiting: int
    grace: int
    dtype: str
    access_log: str | None


@dataclass(frozen=True)
class Predict:
    """What is predicted from where to where."""

    model_dir: Path
    source: Path
    target: Path
    column: str | None
    label_column: str | None
    threads: int
    seq_len: int | None
    max_batch: int
    dtype: str
    json: Path | None


@dataclass(frozen=True)
class Compare:
    """Which models are compared on what."""

    first: Path
    second: Path
    source: Path
    column: str | None
    tie: float
    threads: int
    seq_len: int | None
    max_batch: int
    dtype: str
    second_dtype: str | None
    json: Path | None


@dataclass(frozen=True)
class Bench:
    """What load the server is put under."""

    model_dir: Path
    data: Path | None
    seconds: int
    connections: int
    threads: int
    seq_len: int | None
    max_batch: int
    max_wait_ms: float
    dtype: str
    against: str
    json: Path | None


def parse(argv: list[str]) -> Serve | Predict | Compare | Bench:
    """Reads the command line. A wrong value ends the process with status 2 and a message."""
    command = argv[0] if argv and argv[0] in COMMANDS else None
    parser = {"predict": _predict, "compare": _compare, "bench": _bench}.get(command, _serve)
    return parser(argv[1:] if command else argv)


def _serve(argv: list[str]) -> Serve:
    parser = _parser("", help.SERVE_DESCRIPTION, help.SERVE_EPILOG)
    add = parser.add_argument
    add(
        "model_dir",
        type=flags.model_folder,
        nargs="?",
        default=os.environ.get("SM_MODEL_DIR", CONTAINER_MODEL_DIR),
        metavar="MODEL_DIR",
        help=f"the folder of a trained model (default: $SM_MODEL_DIR, else {CONTAINER_MODEL_DIR})",
    )
    add("--host", default="0.0.0.0", help="the address to listen on (default: 0.0.0.0, all of this machine)")
    add(
        "--port",
        type=arguments.whole(0, 65535),
        default=os.environ.get("SAGEMAKER_BIND_TO_PORT") or str(PORT),
        help=f"the port to listen on, 0 for a free one (default: $SAGEMAKER_BIND_TO_PORT, else {PORT})",
    )
    flags.add_model_flags(parser, AUTO)
    flags.add_wait(parser)
    add(
        "--max-texts",
        type=arguments.whole(1),
        default=MAX_TEXTS,
        metavar="N",
        help=f"texts in one request; more are refused with 413 (default: {MAX_TEXTS})",
    )
    add(
        "--max-bytes",
        type=arguments.whole(1),
        default=10 << 20,
        metavar="N",
        help=f"bytes of one request; more are refused with 413, unread (default: {10 << 20}, 10 MiB)",
    )
    add(
        "--max-waiting",
        type=arguments.whole(1),
        default=4 * MAX_TEXTS,
        metavar="N",
        help=f"texts that may wait; requests beyond are refused with 503 (default: {4 * MAX_TEXTS})",
    )
    add(
        "--grace",
        type=arguments.whole(0),
        default=GRACE_S,
        metavar="S",
        help=f"seconds that requests under way have after SIGTERM (default: {GRACE_S})",
    )
    add(
        "--access-log",
        choices=ACCESS_LOGS,
        help="a line on stdout for each answered request, without what was classified: an object of JSON, or the "
        "Common Log Format (default: none)",
    )
    return Serve(**vars(parser.parse_args(argv)))


def _predict(argv: list[str]) -> Predict:
    parser = _parser("predict ", help.PREDICT_DESCRIPTION, help.PREDICT_EPILOG)
    add = parser.add_argument
    add("model_dir", type=flags.model_folder, metavar="MODEL_DIR", help="the folder of a trained model")
    add("source", type=arguments.file, metavar="IN.csv", help="the reviews, UTF-8")
    add("target", type=arguments.output_file, metavar="OUT.csv", help="where the labels go; replaced if it is there")
    flags.add_column(parser)
    add(
        "--label-column",
        metavar="COLUMN",
        help="the column with the true labels, for the accuracy; with --column only",
    )
    flags.add_model_flags(parser, F32)
    flags.add_json(parser)
    values = parser.parse_args(argv)
    if values.label_column is not None:
        if values.column is None:
            parser.error("argument --label-column: expected --column beside it; without it, IN.csv is Polarity's")
        if values.column.isdecimal() != values.label_column.isdecimal():
            parser.error("argument --label-column: expected --column and --label-column both names, or both numbers")
    flags.check_distinct(parser, {"IN.csv": values.source, "OUT.csv": values.target, "--json": values.json})
    return Predict(**vars(values))


def _compare(argv: list[str]) -> Compare:
    parser = _parser("compare ", help.COMPARE_DESCRIPTION, help.COMPARE_EPILOG)
    add = parser.add_argument
    add("first", type=flags.model_folder, metavar="MODEL_A", help="the folder of a trained model")
    add("second", type=flags.model_folder, metavar="MODEL_B", help="the folder of another with the same labels")
    add("source", type=arguments.file, metavar="IN.csv", help="the reviews, UTF-8")
    flags.add_column(parser)
    add(
        "--tie",
        type=arguments.number(0.0, 1.0),
        default=1e-3,
        metavar="P",
        help="a model's two best labels less than P apart in probability are a tie (default: 0.001)",
    )
    flags.add_model_flags(parser, F32)
    add(
        "--second-dtype",
        choices=DTYPES,
        help="the number format of MODEL_B, which may be the same folder (default: that of --dtype)",
    )
    flags.add_json(parser)
    values = parser.parse_args(argv)
    flags.check_distinct(parser, {"IN.csv": values.source, "--json": values.json})
    return Compare(**vars(values))


def _bench(argv: list[str]) -> Bench:
    parser = _parser("bench ", help.BENCH_DESCRIPTION, help.BENCH_EPILOG)
    add = parser.add_argument
    add("model_dir", type=flags.model_folder, metavar="MODEL_DIR", help="the folder of a trained model")
    add(
        "--data",
        type=arguments.file,
        metavar="IN.csv",
        help="send the reviews of this file; without it, short sentences",
    )
    add("--seconds", type=arguments.whole(1), default=30, metavar="N", help="how long each is under load (default: 30)")
    add(
        "--connections", type=arguments.whole(1, 1000), default=16, metavar="N", help="requests at a time (default: 16)"
    )
    flags.add_model_flags(parser, AUTO)
    add(
        "--against",
        choices=AGAINST,
        default=AGAINST[0],
        help="what the server is compared with: one that takes each text in a pass of its own, or one that computes "
        f"in f32 (default: {AGAINST[0]})",
    )
    flags.add_wait(parser)
    flags.add_json(parser)
    values = parser.parse_args(argv)
    flags.check_distinct(parser, {"--data": values.data, "--json": values.json})
    return Bench(**vars(values))


def _parser(command: str, description: str, epilog: str) -> arguments.Parser:
    return arguments.Parser(
        prog=f"python -m gpsimd_bert.serve {command}".rstrip(),
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # `--max` for one of three flags would change its meaning with the next flag.
        allow_abbrev=False,
    )
