"""Options that several commands share, and the types of arguments: what AWS certainly refuses is refused here."""

import argparse
import re
import sys
import unicodedata
from collections.abc import Callable

from gpsimd_bert.arguments import number, whole

from .aws import BUCKET
from .follow import POLL_S

# The patterns are those of botocore's service models.
NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")
MOST_OF_NAME = 63
ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}")
ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@/-]+")
INSTANCE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9-]+")
VARIABLE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
MOST_OF_KEY, MOST_OF_VALUE = 128, 256
# Of an environment variable.
MOST_IN_TRAINING, MOST_IN_MODEL = 512, 1024


def add_connection(parser: argparse.ArgumentParser) -> None:
    """`--region`, `--profile`."""
    parser.add_argument("--region", metavar="NAME", help="AWS region (default: that of the AWS profile or environment)")
    parser.add_argument("--profile", metavar="NAME", help="profile of ~/.aws/config whose credentials to use")


def add_poll(parser: argparse.ArgumentParser) -> None:
    """`--poll`."""
    parser.add_argument(
        "--poll",
        type=number(0, 3600, unit="seconds"),
        default=POLL_S,
        metavar="S",
        help=f"polling interval in seconds while following (default: {POLL_S:g})",
    )


def add_role_and_bucket(parser: argparse.ArgumentParser) -> None:
    """`--role`, `--bucket`."""
    parser.add_argument(
        "--role",
        type=role,
        metavar="NAME",
        help="name or ARN of the IAM role that SageMaker takes on (default: the role of this session, as in a "
        "SageMaker notebook)",
    )
    parser.add_argument(
        "--bucket",
        type=bucket,
        metavar="NAME",
        help="S3 bucket for what is uploaded and for results, below gpsimd/ (default: "
        "sagemaker-REGION-ACCOUNT, made if it does not exist)",
    )


def add_tags(parser: argparse.ArgumentParser) -> None:
    """`--tag`."""
    parser.add_argument(
        "--tag",
        type=tag,
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


def add_environment(parser: argparse.ArgumentParser, most: int) -> None:
    """`--env`, with at most `most` characters of name and of value."""
    parser.add_argument(
        "--env",
        type=variable(most),
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="environment variable of the containers; may be repeated",
    )


def resource_name(text: str) -> str:
    """The name of something that SageMaker has or makes."""
    if len(text) > MOST_OF_NAME or not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"expected at most {MOST_OF_NAME} letters, digits and hyphens, the first and the last no hyphen, found "
            f"{text[:80]!r}"
        )
    return text


def role(text: str) -> str:
    """The name or ARN of a role."""
    if text.startswith("arn:"):
        if not ROLE_ARN.fullmatch(text):
            raise argparse.ArgumentTypeError(
                f"expected the ARN of a role, arn:aws:iam::<12 digits>:role/<name>, found {text!r}"
            )
    elif not ROLE_NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"expected the name of a role, without its path, or its ARN, found {text!r}")
    return text


def bucket(text: str) -> str:
    """The name of a bucket."""
    if not BUCKET.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"expected the name of a bucket, without s3://: letters, digits, dots and hyphens, found {text!r}"
        )
    return text


def instance(text: str) -> str:
    """A type of instance of SageMaker."""
    if not INSTANCE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"expected a type of instance such as ml.c5.xlarge, found {text!r}")
    return text


def tag(text: str) -> tuple[str, str]:
    """`NAME=VALUE` of a tag."""
    key, value = _pair(text)
    odd = next((one for one in text if one not in "_.:/=+-@" and unicodedata.category(one)[0] not in "LZN"), None)
    if odd is not None:
        raise argparse.ArgumentTypeError(f"expected letters, digits, spaces and _.:/=+-@, found {odd!r} in {text!r}")
    if len(key) > MOST_OF_KEY or len(value) > MOST_OF_VALUE:
        raise argparse.ArgumentTypeError(
            f"expected at most {MOST_OF_KEY} characters of name and {MOST_OF_VALUE} of value, found {len(key)} and "
            f"{len(value)}"
        )
    if key.lower().startswith("aws:"):
        raise argparse.ArgumentTypeError(f"expected another name than AWS's own aws:.., found {key!r}")
    return key, value


def variable(most: int) -> Callable[[str], tuple[str, str]]:
    """`NAME=VALUE` of an environment variable, each of at most `most` characters."""

    def convert(text: str) -> tuple[str, str]:
        key, value = _pair(text)
        if not VARIABLE.fullmatch(key):
            raise argparse.ArgumentTypeError(f"expected a name of letters, digits and _, no digit first, found {key!r}")
        if max(len(key), len(value)) > most:
            raise argparse.ArgumentTypeError(
                f"expected at most {most} characters of name and of value, found {len(key)} and {len(value)}"
            )
        return key, value

    return convert


def say(text: str) -> None:
    """Prints for people, beside what programs read from standard output."""
    print(text, file=sys.stderr, flush=True)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, e.g. team=research, found {text!r}")
    return key, value
