"""Options that several commands share."""

import argparse
import re
import sys
from pathlib import Path

from gpsimd_torch.arguments import whole

from .errors import UsageError
from .follow import POLL_S

JOB_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


def add_connection(parser: argparse.ArgumentParser) -> None:
    """`--region`, `--profile`, `--poll`."""
    parser.add_argument("--region", metavar="NAME", help="AWS region (default: that of the AWS profile or environment)")
    parser.add_argument("--profile", metavar="NAME", help="profile of ~/.aws/config whose credentials to use")
    parser.add_argument(
        "--poll",
        type=_seconds,
        default=POLL_S,
        metavar="S",
        help=f"seconds between two looks while following (default: {POLL_S:g})",
    )


def add_role_and_bucket(parser: argparse.ArgumentParser) -> None:
    """`--role`, `--bucket`."""
    parser.add_argument(
        "--role",
        metavar="NAME",
        help="name or ARN of the IAM role that SageMaker takes on (default: the role of this session, as in a "
        "SageMaker notebook)",
    )
    parser.add_argument(
        "--bucket",
        metavar="NAME",
        help="S3 bucket for what is uploaded and for results, below gpsimd/ (default: "
        "sagemaker-REGION-ACCOUNT, made if it does not exist)",
    )


def add_tags(parser: argparse.ArgumentParser) -> None:
    """`--tag`."""
    parser.add_argument(
        "--tag",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="tag for what is created, e.g. for the bill; may be repeated (project=gpsimd is always there)",
    )


def add_log_lines(parser: argparse.ArgumentParser) -> None:
    """`--log-lines`."""
    parser.add_argument(
        "--log-lines",
        type=whole(0),
        default=5,
        metavar="N",
        help="show the last N new lines of the job's log at each look (default: 5; 0: none)",
    )


def add_environment(parser: argparse.ArgumentParser) -> None:
    """`--env`."""
    parser.add_argument(
        "--env", action="append", default=[], metavar="NAME=VALUE", help="environment variable of the containers"
    )


def pairs(flag: str, values: list[str]) -> dict[str, str]:
    """`NAME=VALUE` texts as a dictionary."""
    found = {}
    for value in values:
        name, equals, rest = value.partition("=")
        if not name or not equals:
            raise UsageError(f"{flag} {value}: expected NAME=VALUE, e.g. {flag} team=research")
        found[name] = rest
    return found


def check_name(name: str) -> str:
    """`name` if SageMaker takes it."""
    if not JOB_NAME.fullmatch(name):
        raise UsageError(f"--name {name}: expected at most 63 letters, digits and hyphens, the first no hyphen")
    return name


def output_file(text: str) -> Path:
    """An argparse type: a file that can be made."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"expected a file in a folder that exists, found {text!r}")
    return path


def console(text: str) -> None:
    """Prints for people, beside what programs read from standard output."""
    print(text, file=sys.stderr, flush=True)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"expected seconds from 0 to 3600, found {text!r}")
    return value
