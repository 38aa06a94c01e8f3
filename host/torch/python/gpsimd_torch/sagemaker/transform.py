"""`transform`: a batch job on a CPU, a prediction for each review of a file."""

import argparse
import csv
import json
import os
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from . import s3, serving
from .aws import Aws, split_uri
from .errors import CommandError, UsageError, calling
from .follow import Display, poll
from .options import add_connection, add_role_and_bucket, add_tags, check_name, console, output_file, pairs

# Reviews in one request: one forward pass of the handlers.
TEXTS_PER_LINE = 32
# What the handlers take of one text; they look at its first tokens only, so that the rest can stay here.
MAX_CHARACTERS = 100_000
CSV_LAYOUT = 'expected "class","title","content" or one column, the text, in UTF-8 without a header'

DESCRIPTION = """\
Classify the reviews of a file in a batch job on a CPU instance. A local CSV file (the layout of Amazon Reviews
Polarity, or one column) is sent as JSON lines of 32 reviews each: batch jobs split files at line ends, which reviews
contain. The result is one JSON object per review, in their order.
"""

EPILOG = """\
examples:
  python -m gpsimd_torch.sagemaker transform checkpoint/ reviews/test.csv --dry-run --region us-east-1 --role R
  python -m gpsimd_torch.sagemaker transform gpsimd-bert-1 reviews/test.csv --role SageMakerRole \\
          --predictions predictions.jsonl
      {"label": "positive", "score": 0.98} for each review
  python -m gpsimd_torch.sagemaker transform gpsimd-bert-1 s3://my-bucket/lines/ --role SageMakerRole
      files of JSON lines, each {"texts": [..]}, in S3 already
  aws sagemaker stop-transform-job --transform-job-name NAME
      ends it early. The instance is gone when the job ends; the model entry is deleted then, files in S3 stay

Ctrl-C leaves the job running.
Exit status: 0 done, 1 AWS refused or the job failed, 2 wrong arguments, 130 Ctrl-C.
This has been tested against a local double of AWS, not yet against the real one.
"""


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "transform",
        help="a batch job on a CPU",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serving.add_arguments(parser)
    parser.add_argument("input", metavar="INPUT", help="a CSV file of reviews, or s3://BUCKET/PREFIX of JSON lines")
    parser.add_argument("--name", metavar="NAME", help="name of the job (default: gpsimd-transform- and the time)")
    parser.add_argument("--predictions", type=output_file, metavar="FILE", help="download the result to FILE")
    add_role_and_bucket(parser)
    add_tags(parser)
    parser.add_argument("--no-wait", action="store_true", help="start the job and return")
    parser.add_argument("--dry-run", action="store_true", help="print uploads and requests as JSON; ask AWS nothing")
    parser.add_argument("--json", action="store_true", help="print the job as JSON")
    add_connection(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Runs the batch job."""
    name = check_name(options.name or time.strftime("gpsimd-transform-%Y%m%d-%H%M%S"))
    tags = {"project": "gpsimd"} | pairs("--tag", options.tag)
    pairs("--env", options.env)
    local = not options.input.startswith("s3://")
    if options.predictions is not None and (not local or options.no_wait):
        raise UsageError("--predictions: expected a CSV file as INPUT and no --no-wait; otherwise copy them from S3")
    serving.find_model(options.model, "")
    with tempfile.TemporaryDirectory(prefix="gpsimd-") as scratch:
        lines = Path(scratch) / "reviews.jsonl"
        reviews = write_lines(Path(options.input), lines) if local else None
        if not local:
            split_uri(options.input)
        aws = Aws(options.region, options.profile, dry_run=options.dry_run)
        role, bucket = aws.role(options.role), aws.bucket(options.bucket)
        base = f"s3://{bucket}/gpsimd/{name}"
        model = serving.find_model(options.model, f"{base}/model.tar.gz")
        source = f"{base}/input/{lines.name}" if local else options.input
        requests = [
            ("create_model", serving.create_model_request(aws, name, options, role, model.archive, tags)),
            ("create_transform_job", transform_request(name, source, base, options, tags)),
        ]
        if options.dry_run:
            uploads = [model.plan()]
            if local:
                uploads.append({"from": options.input, "to": source, "reviews": reviews, "bytes": lines.stat().st_size})
            calls = [{"call": call, "parameters": parameters} for call, parameters in requests]
            print(json.dumps({"region": aws.region, "uploads": uploads, "requests": calls}, indent=2))
            return 0
        model.publish(aws)
        if local:
            s3.upload(aws, lines, source, what=f"{reviews:,} reviews")
    return start(aws, options, name, requests, f"{base}/output")


def start(aws: Aws, options: argparse.Namespace, name: str, requests: list, output: str) -> int:
    """Starts the job, waits for it, fetches the predictions."""
    made: list[tuple[str, dict[str, str]]] = []
    try:
        for call, parameters in requests:
            with calling(f"making the {call.removeprefix('create_').replace('_', ' ')} {name}"):
                getattr(aws.client("sagemaker"), call)(**parameters)
            made.append(("delete_model", {"ModelName": name}))
    except BaseException:
        serving.undo(aws, made[:1])
        raise
    found: dict[str, Any] = {"TransformJobStatus": "InProgress"}
    if not options.no_wait:
        try:
            found = wait(aws, name, options.poll)
        except KeyboardInterrupt:
            console(
                f"\nthe job {name} goes on without you; its predictions will be below {output}\n"
                f"  look: aws sagemaker describe-transform-job --transform-job-name {name} --region {aws.region}\n"
                f"  stop: aws sagemaker stop-transform-job --transform-job-name {name} --region {aws.region}"
            )
            raise
        serving.undo(aws, made[:1])
        if found["TransformJobStatus"] != "Completed":
            reason = found.get("FailureReason") or "AWS names no reason; see the log group /aws/sagemaker/TransformJobs"
            raise CommandError(f"the job {name} ended as {found['TransformJobStatus']}: {reason}")
        if options.predictions is not None:
            partial = options.predictions.with_name(f".{options.predictions.name}.partial")
            s3.download(aws, f"{output}/reviews.jsonl.out", partial, what="the predictions")
            os.replace(partial, options.predictions)
            console(f"predictions: {options.predictions}")
    if options.json:
        print(json.dumps({"job": name, "status": found["TransformJobStatus"], "output": output}, indent=2))
    else:
        print(f"job {name}: {found['TransformJobStatus']}, predictions below {output}")
    return 0


def transform_request(
    name: str, source: str, base: str, options: argparse.Namespace, tags: dict[str, str]
) -> dict[str, Any]:
    """The request that starts the job: one line of JSON is one request, one prediction one line of the result."""
    return {
        "TransformJobName": name,
        "ModelName": name,
        "BatchStrategy": "SingleRecord",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": source}},
            "ContentType": "application/json",
            "SplitType": "Line",
        },
        "TransformOutput": {
            "S3OutputPath": f"{base}/output",
            "Accept": "application/jsonlines",
            "AssembleWith": "Line",
        },
        "TransformResources": {"InstanceType": options.instance, "InstanceCount": options.instances},
        "Tags": serving.tag_list(tags),
    }


def write_lines(reviews: Path, lines: Path) -> int:
    """Writes the texts of a CSV file as JSON lines; returns their number."""
    count = 0
    with lines.open("w") as out:
        texts = read_texts(reviews)
        while batch := list(islice(texts, TEXTS_PER_LINE)):
            out.write(json.dumps({"texts": batch}) + "\n")
            count += len(batch)
    if count == 0:
        raise UsageError(f"{reviews}: {CSV_LAYOUT}, found no row")
    return count


def read_texts(path: Path) -> Iterator[str]:
    """The texts of a CSV file, one at a time."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for row in reader:
                if not row:
                    continue
                if len(row) not in (1, 3):
                    raise UsageError(f"{path}:{reader.line_num}: {CSV_LAYOUT}, found {len(row)} columns")
                yield row[-1][:MAX_CHARACTERS]
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; {CSV_LAYOUT}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {CSV_LAYOUT}; found {error}") from error


def wait(aws: Aws, name: str, poll_s: float) -> dict[str, Any]:
    """Shows the job until it has ended."""
    started, found = time.monotonic(), {}

    def look() -> tuple[str, str] | None:
        with calling(f"looking at the job {name}"):
            found.update(aws.client("sagemaker").describe_transform_job(TransformJobName=name))
        if found["TransformJobStatus"] in ("Completed", "Failed", "Stopped"):
            return None
        return f"{name}: {found['TransformJobStatus']}", f"{time.monotonic() - started:.0f} s"

    with Display() as display:
        poll(display, look, poll_s)
    return found
