"""`python -m gpsimd_bert.sagemaker`: the commands and their exit status."""

import argparse
import sys

from gpsimd_bert import console
from gpsimd_bert.arguments import Parser

from . import compare, deploy, launch, status, transform
from .errors import CommandError

DESCRIPTION = """\
Train the BERT classifier on SageMaker (Trn1), compare what jobs cost, and serve the result from a CPU. Every command
has its own --help with examples. Written from AWS's public documentation and tested against a mock of the
service, not against the service itself.
"""

EPILOG = """\
a round:
  python -m gpsimd_bert.sagemaker launch --role SageMakerRole --data reviews/ --name first -- --epochs 1
  python -m gpsimd_bert.sagemaker compare first --chart first.png
  python -m gpsimd_bert.sagemaker deploy first --role SageMakerRole

exit status: 0 done, 1 AWS refused or a job failed, 2 wrong arguments, 130 Ctrl-C
"""


@console.command
def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    # argparse would take what stands after `--` for positional arguments.
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    parser = Parser(
        prog="python -m gpsimd_bert.sagemaker",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in (launch, status, compare, deploy, transform):
        command.add_parser(commands)
    options = parser.parse_args(arguments[:cut])
    options.trainer = arguments[cut + 1 :]
    if options.trainer and options.command != "launch":
        parser.error(f"only launch takes arguments for the trainer after `--`, not {options.command}")
    try:
        return options.execute(options)
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        print(f"error: {where}{error.strerror or error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
