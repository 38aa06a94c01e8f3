"""`compare`: what jobs cost, as a table and as a chart."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gpsimd_bert import table
from gpsimd_bert.arguments import output_file

from . import prices, results
from .aws import Aws
from .options import add_connection, resource_name, say

DESCRIPTION = """\
Compare training runs: price per hour, throughput, validation accuracy, billable seconds, training cost. Takes names of
training jobs, and files that the trainer has written with --json. Runs of the same settings, ops and machines are one
row: the one with the best validation accuracy. Rows are ranked by it where they have the same model, data, steps and
other settings; otherwise the difference is shown. The rows that AWS published are below for reference.
"""

EPILOG = """\
examples:
  python -m gpsimd_bert.sagemaker compare gpsimd-bert-1 gpsimd-bert-2 gpsimd-bert-3
      three jobs; those on the same machines with the same ops are one row
  python -m gpsimd_bert.sagemaker compare out.json --chart out.png
      a local run beside the published ones; needs no AWS account
  python -m gpsimd_bert.sagemaker compare gpsimd-bert-1 --price ml.trn1.2xlarge=1.34 --markdown
      with the price of an hour (an example: look up that of your region)

training cost = billable seconds x price per hour x instances / 3600; beside it stands what AWS published. A local run
has neither price nor cost. On spot instances SageMaker counts fewer billable
seconds than the job took, so the on-demand price is the one to multiply with.
Exit status: 0 done, 1 AWS refused or a job has not completed, 2 wrong arguments.
"""

HEADS = (
    "model",
    "ops",
    "instance",
    "price $/h",
    "throughput it/s",
    "validation accuracy",
    "billable s",
    "training cost $",
    "best of",
)
LEFT = 3


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "compare",
        help="what training runs cost, as a table and a chart",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "runs",
        nargs="+",
        type=_run,
        metavar="JOB|FILE.json",
        help="a training job's name, or a file of the trainer's --json",
    )
    add(
        "--price",
        action="append",
        default=[],
        metavar="INSTANCE=X",
        help="$ per hour of an instance type, known for "
        + " and ".join(f"{name} ({price})" for name, price in prices.PER_HOUR.items()),
    )
    add("--no-published", action="store_true", help="without the rows that AWS published")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    form.add_argument("--json", action="store_true", help="print the rows as JSON")
    add("--chart", type=_chart_file, metavar="FILE", help="also draw them, into a .png or .svg file")
    add_connection(parser)
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Prints the table."""
    price_of = prices.parse(options.price)
    aws: Aws | None = None
    found: list[results.Result] = []
    for name in named_once(options.runs):
        if name.endswith(".json"):
            found += results.of_file(Path(name))
        else:
            aws = aws or Aws(options.region, options.profile)
            found.append(results.of_job(aws, name, price_of))
    for instance in sorted({price.partition("=")[0] for price in options.price} - {run.instance for run in found}):
        say(f"note: --price {instance}: none of the jobs was on such an instance")
    if not options.no_published:
        found += results.published()
    rows = results.best_of(found)
    if options.json:
        best = results.best(found)
        print(json.dumps([document(run, count, run in best) for run, count in rows], indent=2))
    else:
        form = table.markdown if options.markdown else table.text
        print(form(HEADS, [cells(run, count) for run, count in rows], left=LEFT))
    for note in notes(found):
        say(f"note: {note}")
    if options.chart is not None:
        from .chart import draw

        draw([run for run, _ in rows], options.chart)
        say(f"chart: {options.chart}")
    return 0


def named_once(names: list[str]) -> list[str]:
    """Every job and file once, in their order: the same run is not a second try."""
    found: dict[str, str] = {}
    for name in names:
        key = str(Path(name).resolve()) if name.endswith(".json") else name
        if key in found:
            say(f"note: {name} is named twice, and counted once")
        found.setdefault(key, name)
    return list(found.values())


def cells(run: results.Result, count: int) -> list[str]:
    """A row of the table."""
    return [
        f"{run.model} (published)" if run.published else run.model,
        run.ops,
        run.machine,
        table.number(run.price_per_hour, 3),
        table.number(run.throughput_it_s, 2),
        table.number(run.validation_accuracy, 3) if run.not_a_number is None else "not a number",
        table.number(run.billable_s, 0),
        cost(run),
        "-" if run.published else str(count),
    ]


def cost(run: results.Result) -> str:
    """By the formula, and what was published in its place."""
    text = table.number(run.training_cost_usd, 2 if (run.training_cost_usd or 1) >= 1 else 4)
    return text if run.published_cost_usd is None else f"{text} ({run.published_cost_usd:.2f} in the post)"


def document(run: results.Result, count: int, is_best: bool) -> dict[str, Any]:
    """The same for programs."""
    return asdict(run) | {"runs": None if run.published else count, "best": is_best}


def notes(found: list[results.Result]) -> list[str]:
    """What a reader of the table should know."""
    texts = []
    different = results.differences(found)
    best = results.best(found)
    if different:
        texts.append(f"the runs differ in {', '.join(different)}: none of them is called the best")
    elif best and len(found) > len(best):
        names = ", ".join(f"{run.source}, {run.ops} ops" for run in best)
        texts.append(f"best at equal settings: {names} (validation accuracy {best[0].validation_accuracy:.3f})")
    tries = results.differences(found, results.OF_A_TRY)
    if tries:
        texts.append(f"the runs differ in {', '.join(tries)}: that of a row is its best run's")
    texts += [f"{run.source}, {run.ops} ops: not a number: {run.not_a_number}" for run in found if run.not_a_number]
    jobs = [run for run in found if not run.is_local]
    unpriced = sorted({run.instance for run in jobs if run.price_per_hour is None})
    texts += [f"no price is known for {instance}: name it with --price {instance}=X" for instance in unpriced]
    silent = [run.source for run in jobs if run.throughput_it_s is None or run.validation_accuracy is None]
    if silent:
        texts.append(f"no final metrics were found for {', '.join(silent)}: its log had no such lines")
    return texts


def _run(text: str) -> str:
    try:
        return text if text.endswith(".json") else resource_name(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(
            f"expected the name of a training job, or a file that ends in .json, found {text[:80]!r}"
        ) from error


def _chart_file(text: str) -> Path:
    path = output_file(text)
    if path.suffix not in (".png", ".svg"):
        raise argparse.ArgumentTypeError(f"expected a name that ends in .png or .svg, found {text!r}")
    return path
