"""`transform`: a batch job on a CPU, a prediction for each review of a file."""

import argparse
import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gpsimd_bert.arguments import output_file, same_file
from gpsimd_bert.reviews import Lines, ReviewError, rows, text_of, what_is_read

from . import bundle, s3, serving
from .aws import Aws, split_uri
from .errors import CommandError, UsageError, is_taken, is_unanswered
from .options import say
from .resource import Resource, check_free, create, goes_on, may_be_made, print_plan, tell, undo, wait

# Reviews in one request: one forward pass of the handlers.
TEXTS_PER_LINE = 32
# SageMaker takes 6 MB of one request (MaxPayloadInMB).
BYTES_PER_LINE = 5 << 20
# What the handlers take of one text; they look at its first tokens only, so that the rest can stay here.
MAX_CHARACTERS = 1_000_000
CSV_LAYOUT = 'expected "class","title","content" or one column, the text, in UTF-8 without a header'

DESCRIPTION = """\
Classify the reviews of a file in a batch job on a CPU instance. A local CSV file (the layout of Amazon Reviews
Polarity, or one column) is sent as JSON lines of up to 32 reviews: batch jobs split files at line ends, which reviews
contain. The result is one JSON object per review, in their order.
"""

EPILOG = """\
examples:
  python -m gpsimd_bert.sagemaker transform checkpoint/ reviews/test.csv --dry-run --region us-east-1 --role R
  python -m gpsimd_bert.sagemaker transform gpsimd-bert-1 reviews/test.csv --role SageMakerRole \\
          --predictions predictions.jsonl
      {"label": "positive", "score": 0.98} for each review
  python -m gpsimd_bert.sagemaker transform gpsimd-bert-1 s3://my-bucket/lines/ --role SageMakerRole
      files of JSON lines, each {"texts": [..]}, in S3 already
  aws sagemaker stop-transform-job --transform-job-name NAME
      ends it early. The instance is gone when the job ends; files in S3 stay

The model entry is deleted when the job has ended. Ctrl-C and --no-wait leave the job running and its model entry there,
and print the commands to look, to stop, and to delete the entry afterwards.
Exit status: 0 done, 1 AWS refused or the job failed, 2 wrong arguments, 130 Ctrl-C.
Tested against a mock of AWS, not against the service.
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
    serving.add_arguments(parser, "transform")
    parser.add_argument("input", metavar="INPUT", help="a CSV file of reviews, or s3://BUCKET/PREFIX of JSON lines")
    parser.add_argument("--predictions", type=output_file, metavar="FILE", help="download the result to FILE")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Runs the batch job."""
    name = options.name or time.strftime("gpsimd-transform-%Y%m%d-%H%M%S")
    local = not options.input.startswith("s3://")
    if options.predictions is not None:
        if not local or options.no_wait:
            raise UsageError("--predictions: expected a CSV file as INPUT and no --no-wait; copy them from S3")
        if same_file(Path(options.input), options.predictions):
            raise UsageError(f"--predictions {options.predictions}: expected another file than INPUT, found the same")
    model = serving.find_model(options.model)
    with tempfile.TemporaryDirectory(prefix="gpsimd-") as scratch:
        lines = Path(scratch) / "reviews.jsonl"
        # What a model in S3 reads is found when it is fetched; mistakes in the file are told before.
        review_text = model.review_text() if local and model.is_here else "content"
        reviews = write_lines(Path(options.input), lines, review_text) if local else None
        if not local:
            split_uri(options.input)
        aws = Aws(options.region, options.profile, dry_run=options.dry_run)
        role, bucket = aws.role(options.role), aws.bucket(options.bucket)
        base = f"s3://{bucket}/gpsimd/{name}"
        archive = f"{base}/model.tar.gz"
        source = f"{base}/input/{lines.name}" if local else options.input
        entry, job = Resource("model", name), Resource("transform_job", name)
        requests = [
            (entry, serving.model_request(aws, options, role, archive)),
            (job, transform_request(name, source, base, options)),
        ]
        if options.dry_run:
            for resource, parameters in requests:
                resource.call(aws, "create", **parameters)
            uploads = [model.plan(archive)]
            if local:
                uploads.append({"from": options.input, "to": source, "reviews": reviews, "bytes": lines.stat().st_size})
            print_plan(aws, uploads)
            return 0
        check_free(aws, entry, job)
        files = model.publish(aws, archive)
        if local:
            if not model.is_here and (found := _review_text(files, options.model)) != review_text:
                write_lines(Path(options.input), lines, found)
            s3.upload(aws, lines, source, what=f"{reviews:,} reviews")
    commands = start(aws, requests)
    output, status = f"{base}/output", "InProgress"
    if options.no_wait:
        tell(f"the job {name} goes on without you", commands)
    else:
        with goes_on(f"the job {name} goes on without you; its predictions will be below {output}", commands):
            found = wait(aws, job, "TransformJobStatus", ("InProgress", "Stopping"), options.poll)
        status = found["TransformJobStatus"]
        undo(aws, [entry])
        if status != "Completed":
            reason = found.get("FailureReason") or "AWS names no reason; see the log group /aws/sagemaker/TransformJobs"
            raise CommandError(f"the job {name} ended as {status}: {reason}")
        if options.predictions is not None:
            fetch(aws, f"{output}/{lines.name}.out", options.predictions)
    if options.json:
        print(json.dumps({"job": name, "status": status, "output": output}, indent=2))
    else:
        print(f"job {name}: {status}, predictions below {output}")
    return 0


def start(aws: Aws, requests: list[tuple[Resource, dict[str, Any]]]) -> list[tuple[str, str]]:
    """Makes model entry and job; returns the commands to return to them."""
    (entry, of_entry), (job, of_job) = requests
    commands = [
        ("look", job.command(aws, "describe")),
        ("stop it", job.command(aws, "stop")),
        ("when it has ended", entry.command(aws, "delete")),
    ]
    try:
        create(aws, entry, of_entry)
    except BaseException as error:
        if not is_taken(error):
            undo(aws, [entry])
        raise
    try:
        with may_be_made(f"the job {job.name}", commands):
            create(aws, job, of_job)
    except BaseException as error:
        # A job that may run needs its model.
        if not is_unanswered(error):
            undo(aws, [entry])
        raise
    return commands


def fetch(aws: Aws, uri: str, path: Path) -> None:
    """Downloads the predictions; where that fails, they are in S3 all the same."""
    try:
        s3.download(aws, uri, path, what="the predictions")
    except OSError as error:
        raise CommandError(
            f"--predictions {path}: {error.strerror or error}; fetch them with: aws s3 cp {uri} FILE{aws.flags}"
        ) from error
    say(f"predictions: {path}")


def transform_request(name: str, source: str, base: str, options: argparse.Namespace) -> dict[str, Any]:
    """What starts the job: one line of JSON is one request, one prediction one line of the result."""
    return {
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
        "Tags": serving.tags(options),
    }


def _review_text(files: bundle.Files, what: str) -> str:
    try:
        return bundle.review_text(files, what)
    # It was not on this machine when the arguments were read.
    except UsageError as error:
        raise CommandError(str(error)) from error


def write_lines(reviews: Path, lines: Path, review_text: str) -> int:
    """Writes what a model reads of the reviews of a CSV file as JSON lines; returns their number."""
    count = 0
    with lines.open("wb") as out:
        for batch in batches(
            json.dumps(text, ensure_ascii=False).encode() for text in read_texts(reviews, review_text)
        ):
            out.write(b'{"texts": [' + b", ".join(batch) + b"]}\n")
            count += len(batch)
    if count == 0:
        raise UsageError(f"{reviews}: {CSV_LAYOUT}, found no row")
    return count


def batches(texts: Iterable[bytes]) -> Iterator[list[bytes]]:
    """As many texts at a time as fit into one request."""
    batch: list[bytes] = []
    for text in texts:
        if batch and (len(batch) == TEXTS_PER_LINE or sum(map(len, batch)) + len(text) > BYTES_PER_LINE):
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


def read_texts(path: Path, review_text: str = "content") -> Iterator[str]:
    """The texts of a CSV file, one at a time, for a model that reads `review_text`: `content` or `title+content`."""
    try:
        with path.open("rb") as file:
            for line, row in rows(Lines(file)):
                if len(row) not in (1, 3):
                    raise ReviewError(line, f"{CSV_LAYOUT}, found {len(row)} columns")
                title = text_of(row[1]) if len(row) == 3 else ""
                yield what_is_read(title, text_of(row[-1]), review_text)[:MAX_CHARACTERS]
    except ReviewError as error:
        raise UsageError(f"{path}:{error.line}: {error.problem}") from error
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; {CSV_LAYOUT}") from error
