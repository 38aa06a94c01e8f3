"""`status JOB`: how a training job is doing, once or until it ends."""

import argparse
import json
from typing import Any

from gpsimd_bert import table

from .aws import Aws
from .errors import CommandError
from .follow import POLL_S, Training, watch
from .options import add_connection, add_log_lines, add_poll, resource_name, say
from .resource import goes_on, training_job

EXAMPLES = """\
examples:
  python -m gpsimd_bert.sagemaker status gpsimd-bert-20261123-161500
  python -m gpsimd_bert.sagemaker status gpsimd-bert-20261123-161500 --follow
      until the job has ended; Ctrl-C leaves it running
  aws sagemaker stop-training-job --training-job-name gpsimd-bert-20261123-161500
      ends it early (AWS's own command line); its last checkpoint stays

exit status: 0 running or completed, 1 failed, stopped or no answer, 2 wrong arguments, 130 Ctrl-C
"""


def add_parser(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "status",
        help="how a training job is doing",
        description="Say how a training job is doing: status, time, metrics, last lines of its log.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("job", type=resource_name, metavar="JOB", help="the job's name, as launch has printed it")
    parser.add_argument("--follow", action="store_true", help="go on until the job has ended")
    add_log_lines(parser)
    parser.add_argument("--json", action="store_true", help="print the job as JSON")
    add_connection(parser)
    add_poll(parser)
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Shows the job; 1 if it has failed."""
    aws = Aws(options.region, options.profile)
    job = Training(options.job)
    if options.follow:
        follow(aws, job, options.log_lines, options.poll)
    else:
        job.look(aws)
        if options.log_lines:
            for line in job.new_log_lines(aws)[-options.log_lines :]:
                say(f"  {line}")
    return report(job, as_json=options.json)


def follow(aws: Aws, job: Training, log_lines: int, poll_s: float = POLL_S) -> None:
    """Watches until the end. Ctrl-C, and AWS no longer answering, leave the job running: how to return is said."""
    with goes_on(f"the job {job.name} goes on without you", training_job(aws, job.name)):
        watch(aws, job, log_lines=log_lines, poll_s=poll_s)


def report(job: Training, *, as_json: bool) -> int:
    """Prints how the job stands; raises if it has failed."""
    if as_json:
        print(json.dumps(document(job), indent=2))
    else:
        print(table.facts(lines(job), right=False))
    status = job.description.get("TrainingJobStatus")
    if status == "Failed":
        reason = job.description.get("FailureReason") or "AWS names no reason; see the log"
        raise CommandError(f"the job {job.name} failed: {reason}")
    if status == "Stopped":
        raise CommandError(f"the job {job.name} was stopped before it was done")
    return 0


def lines(job: Training) -> list[tuple[str, str]]:
    """What a person wants to know of the job."""
    facts = document(job)
    rows = [
        ("job", job.name),
        ("status", job.status()),
        ("instances", f"{facts['instances']} x {facts['instance']}{', spot' if facts['spot'] else ''}"),
        ("training s", _seconds(facts["training_s"])),
        ("billable s", _seconds(facts["billable_s"])),
        *((name, f"{value:.6g}") for name, value in facts["metrics"].items()),
        ("model", facts["model"] or "-"),
    ]
    return rows


def document(job: Training) -> dict[str, Any]:
    """The same for programs."""
    found = job.description
    resources = found.get("ResourceConfig") or {}
    return {
        "job": job.name,
        "arn": found.get("TrainingJobArn"),
        "status": found.get("TrainingJobStatus"),
        "secondary_status": found.get("SecondaryStatus"),
        "failure_reason": found.get("FailureReason"),
        "instance": resources.get("InstanceType"),
        "instances": resources.get("InstanceCount"),
        "spot": bool(found.get("EnableManagedSpotTraining")),
        "training_s": found.get("TrainingTimeInSeconds"),
        "billable_s": found.get("BillableTimeInSeconds"),
        "metrics": job.metrics(),
        "model": (found.get("ModelArtifacts") or {}).get("S3ModelArtifacts") if job.ended else None,
    }


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:,}"
