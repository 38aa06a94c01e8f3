"""`launch`: the trainer as a training job on Trn1."""

import argparse
import re
import tempfile
import time
from pathlib import Path
from typing import Any

from gpsimd_bert.arguments import number, whole

from . import bundle, estimator, images, prices, s3
from .aws import Aws, split_uri
from .errors import UsageError
from .follow import Training
from .options import (
    MOST_IN_TRAINING,
    add_connection,
    add_environment,
    add_log_lines,
    add_poll,
    add_role_and_bucket,
    add_tags,
    resource_name,
    say,
)
from .resource import Resource, check_free, create, may_be_made, print_plan, tell, training_job
from .status import follow, report

# Instance -> GB of disk. The disk of the small one has 474 GB, and SageMaker refuses volumes above that.
INSTANCES = {"ml.trn1.2xlarge": 450, "ml.trn1.32xlarge": 512, "ml.trn1n.32xlarge": 512}
SMALLEST = next(iter(INSTANCES))
# What `launch` decides for the trainer unless told otherwise after `--`.
DEFAULTS: dict[str, Any] = {"device": "neuron", "ops": "rust"}

DESCRIPTION = """\
Start the trainer as a SageMaker training job on Trn1 and follow it. Uploads the source (the wheels of gpsimd_torch and
gpsimd_bert, the op package of bert_ops) and the reviews, starts the job with torchrun on every NeuronCore of every
instance, and shows status, metrics and log until it ends. What stands after `--` goes to the trainer
(`python -m gpsimd_bert.train --help`).
"""

EPILOG = """\
examples:
  python -m gpsimd_bert.sagemaker launch --dry-run --region us-east-1 --role SageMakerRole --data reviews/ \\
          --wheels target/gpsimd/wheels --package target/gpsimd/bert_ops/package
      prints what would be uploaded and the whole request; asks AWS nothing. The folders are those where the
      wheels were built, and the op package of `cargo gpsimd build` in the crate bert-ops
  python -m gpsimd_bert.sagemaker launch --wheels W --package P --role SageMakerRole --data reviews/ \\
          -- --epochs 1 --batch-size 32
      reviews/train.csv and reviews/test.csv, on one ml.trn1.2xlarge
  python -m gpsimd_bert.sagemaker launch --wheels W --package P --role SageMakerRole \\
          --data s3://my-bucket/reviews --instance ml.trn1.32xlarge --instances 2 --spot --max-wait 36000
      64 NeuronCores on spot instances; checkpoints go to S3, and an interruption resumes from the last one

Before anything is uploaded or started, the largest bill that the limits allow is on standard error:
--max-run x --instances x the price of an hour. Lower --max-run to lower it.
Ctrl-C while the job runs leaves it running and says how to return (`status JOB --follow`).
Exit status: 0 done, 1 AWS refused or the job failed, 2 wrong arguments, 130 Ctrl-C.
Tested against a mock of AWS, not against the service.
"""


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "launch",
        help="start a training job on Trn1 and follow it",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--data",
        metavar="WHERE",
        required=True,
        help="a folder with train.csv and test.csv, or s3://BUCKET/PREFIX with the same below it",
    )
    add("--instance", choices=tuple(INSTANCES), default=SMALLEST, help=f"instance type (default: {SMALLEST})")
    add("--instances", type=whole(1), default=1, metavar="N", help="how many of them (default: 1)")
    add(
        "--price",
        type=number(0, unit="dollars"),
        metavar="X",
        help="$ per hour of one instance, for the cost that the trainer prints (known for "
        + " and ".join(f"{one}: {prices.PER_HOUR[one]}" for one in INSTANCES if one in prices.PER_HOUR)
        + ")",
    )
    add("--name", type=resource_name, metavar="NAME", help="name of the job (default: gpsimd-bert- and the time)")
    add_role_and_bucket(parser)
    add("--spot", action="store_true", help="spot instances: cheaper, may be interrupted, resumes from a checkpoint")
    add(
        "--max-run",
        type=whole(1),
        default=24 * prices.HOUR_S,
        metavar="S",
        help="end the job after S seconds of training (default: 86400); what that may cost is said before the start",
    )
    add(
        "--max-wait",
        type=whole(1),
        metavar="S",
        help="with --spot: end the job after S seconds of training and waiting for capacity (default: twice --max-run)",
    )
    add(
        "--checkpoints",
        metavar="URI",
        help="S3 prefix that mirrors the trainer's checkpoints; a job that finds some there resumes (default with "
        "--spot: checkpoints/ beside the job's results)",
    )
    add(
        "--volume",
        type=whole(1),
        metavar="GB",
        help=f"disk of each instance (default: 512, {INSTANCES[SMALLEST]} for {SMALLEST})",
    )
    add("--image", metavar="URI", help=f"another container than AWS's {images.TRAINING}")
    add(
        "--wheels",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="where the wheels of gpsimd_torch and gpsimd_bert are that the job installs",
    )
    add(
        "--package",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="op package of bert_ops, which is built in the container",
    )
    add(
        "--neuron-library",
        type=Path,
        metavar="FILE",
        help="send lib..._neuron.so, built on a Neuron host, instead of building in the container",
    )
    add_environment(parser, MOST_IN_TRAINING)
    add_tags(parser)
    add("--no-wait", action="store_true", help="start the job and return")
    add_log_lines(parser)
    add("--dry-run", action="store_true", help="print what would be uploaded and requested as JSON; ask AWS nothing")
    add("--json", action="store_true", help="print the job, at its end or with --no-wait at its start, as JSON")
    add_connection(parser)
    add_poll(parser)
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Starts the job and follows it."""
    price = prices.PER_HOUR.get(options.instance) if options.price is None else options.price
    hyperparameters = hyperparameters_of(options.trainer, None if price is None else price * options.instances)
    name = options.name or time.strftime("gpsimd-bert-%Y%m%d-%H%M%S")
    if options.max_wait is not None and not options.spot:
        raise UsageError("--max-wait: expected --spot beside it; on-demand instances do not wait")
    max_wait = (options.max_wait or 2 * options.max_run) if options.spot else None
    if max_wait is not None and max_wait < options.max_run:
        raise UsageError(f"--max-wait {max_wait}: expected at least --max-run, found {options.max_run} there")
    if options.checkpoints is not None:
        split_uri(options.checkpoints)
    source = bundle.find_source(options.wheels, options.package, options.neuron_library)
    reviews = s3.find_reviews(options.data)
    aws = Aws(options.region, options.profile, dry_run=options.dry_run)
    sdk = estimator.Sdk.load()

    role, bucket = aws.role(options.role), aws.bucket(options.bucket)
    base = f"s3://{bucket}/gpsimd/{name}"
    channels = s3.channels(options.data, f"{base}/data")
    uploads = [(path, f"{channels[path.stem]}/{path.name}") for path in reviews]
    job = estimator.Job(
        name=name,
        image=options.image or images.uri(images.TRAINING, aws.region),
        role=role,
        instance=options.instance,
        instances=options.instances,
        volume_gb=options.volume or INSTANCES[options.instance],
        max_run_s=options.max_run,
        max_wait_s=max_wait,
        bucket=bucket,
        source=f"{base}/source/sourcedir.tar.gz",
        output=f"s3://{bucket}/gpsimd",
        checkpoints=options.checkpoints or (f"{base}/checkpoints" if options.spot else None),
        channels=channels,
        hyperparameters=hyperparameters,
        metrics=metric_definitions(),
        environment=dict(options.env),
        tags={"project": "gpsimd", **dict(options.tag)},
    )
    say(prices.largest_bill(options.instance, options.instances, price, options.max_run))
    resource = Resource("training_job", name)
    if not options.dry_run:
        check_free(aws, resource)
    with tempfile.TemporaryDirectory(prefix="gpsimd-") as scratch:
        archive = Path(scratch) / "sourcedir.tar.gz"
        files = bundle.pack_source(source, archive)
        if options.dry_run:
            sdk.start(aws, job)
            plan = [{"from": archive.name, "to": job.source, "bytes": archive.stat().st_size, "files": files}]
            plan += [{"from": str(path), "to": uri, "bytes": path.stat().st_size} for path, uri in uploads]
            print_plan(aws, plan)
            return 0
        s3.upload(aws, archive, job.source, what="the source")
    for path, uri in uploads:
        s3.upload(aws, path, uri, what=path.name)
    say(f"starting {name} on {options.instances} x {options.instance} in {aws.region}")
    commands = training_job(aws, name)
    with may_be_made(f"the job {name}", commands):
        create(aws, resource, lambda: sdk.start(aws, job))
    training = Training(name)
    if options.no_wait:
        tell(f"the job {name} goes on without you", commands)
        training.look(aws)
    else:
        follow(aws, training, options.log_lines, options.poll)
    return report(training, as_json=options.json)


def metric_definitions() -> list[dict[str, str]]:
    """Which of the trainer's lines are metrics."""
    from gpsimd_bert.train.metrics import DEFINITIONS

    return [dict(definition) for definition in DEFINITIONS]


def hyperparameters_of(arguments: list[str], price_per_hour: float | None) -> dict[str, Any]:
    """The trainer's `--name value` arguments as SageMaker carries them; a flag without a value is true.

    Checked by the trainer's own parser, so that a wrong one is reported before an instance is paid for. A price that
    is not known is left out.
    """
    found: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        flag = rest.pop(0)
        if not flag.startswith("--") or len(flag) < 3:
            raise UsageError(f"after `--`: expected --name value pairs for the trainer, found {flag!r}")
        name, equals, value = flag[2:].partition("=")
        if not equals:
            value = rest.pop(0) if rest and not rest[0].startswith("--") else True
        found[name.replace("_", "-")] = value
    if "data" in found:
        raise UsageError("after `--`: the reviews are named by launch's own --data, before the `--`")
    model = str(found.get("model", ""))
    here = model.startswith((".", "~", "/")) or model.endswith("/") or (model and Path(model).is_dir())
    if here and not model.startswith("/opt/ml/"):
        raise UsageError(
            f"after `--`: --model {model}: a folder of this machine, which the container does not have; expected the "
            "name of a model on the Hugging Face Hub, or none for the bundled one"
        )
    _check_trainer_takes(found)
    defaults = DEFAULTS | ({} if price_per_hour is None else {"price-per-hour": round(price_per_hour, 4)})
    return {name: _plain(value) for name, value in (defaults | found).items()}


def _check_trainer_takes(found: dict[str, Any]) -> None:
    from gpsimd_bert.train.options import parse

    # Paths of the container do not exist here: the trainer gets to see one that may be made.
    elsewhere = str(Path(tempfile.gettempdir()) / "gpsimd-in-the-container")
    values = {"checkpoints": elsewhere, "data": elsewhere} | DEFAULTS | found
    checked: list[str] = []
    for name, value in values.items():
        if isinstance(value, str) and value.startswith("/opt/ml/"):
            if name == "neuron-library":
                continue
            value = elsewhere
        checked += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    try:
        parse(checked, {})
    except SystemExit as error:
        if error.code == 0:  # --help
            raise
        # argparse has said what is wrong, in the trainer's words.
        raise UsageError("the trainer does not take what stands after `--`") from error


def _plain(value: Any) -> Any:
    """Numbers as numbers, as the estimator would get them from a script."""
    if isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"-?(\d+\.\d*|\.\d+|\d+)([eE]-?\d+)?", value):
        return float(value)
    return value
