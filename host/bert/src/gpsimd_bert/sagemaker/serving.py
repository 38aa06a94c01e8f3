"""A trained model as SageMaker serves it: `model.tar.gz` with our handlers, in the stock PyTorch container."""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpsimd_bert.arguments import whole

from . import bundle, images, s3
from .aws import Aws, split_uri
from .errors import CommandError, UsageError
from .options import (
    MOST_IN_MODEL,
    add_connection,
    add_environment,
    add_poll,
    add_role_and_bucket,
    add_tags,
    instance,
    resource_name,
)
from .resource import Resource

MODEL_HELP = (
    "a folder that plain transformers loads (the trainer's --model-dir), a model.tar.gz, s3://.../model.tar.gz, or "
    "the name of a training job that has completed"
)
# What the stock container asks the environment for.
PROGRAM = {
    "SAGEMAKER_PROGRAM": "inference.py",
    "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
    "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
}


@dataclass(frozen=True)
class Model:
    """A model to serve."""

    what: str
    """As it was named."""
    kind: str
    """`folder`, `archive`, `s3` or `job`."""

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine, not in S3."""
        return self.kind in ("folder", "archive")

    def review_text(self) -> str:
        """What of a review a model that `is_here` reads."""
        return bundle.review_text(bundle.read_model(Path(self.what)), self.what)

    def publish(self, aws: Aws, archive: str) -> bundle.Files:
        """Puts the archive with the handlers into S3; returns the model's files."""
        with tempfile.TemporaryDirectory(prefix="gpsimd-") as scratch:
            packed = Path(scratch) / "model.tar.gz"
            if self.is_here:
                files = bundle.read_model(Path(self.what))
            else:
                origin, original = self.origin(aws), Path(scratch) / "original.tar.gz"
                s3.download(aws, origin, original, what="the model")
                try:
                    files = bundle.read_model(original)
                except UsageError as error:
                    raise CommandError(str(error).replace(str(original), origin)) from error
            bundle.pack_model(files, packed)
            s3.upload(aws, packed, archive, what="the model")
        return files

    def origin(self, aws: Aws) -> str:
        """Where in S3 the model is that a job or URI names."""
        if self.kind == "s3":
            return self.what
        found = Resource("training_job", self.what).find(aws)
        if found is None:
            raise CommandError(
                f"{self.what}: neither a model folder or model.tar.gz here nor a training job in {aws.region}; check "
                "the name and --region"
            )
        artifacts = (found.get("ModelArtifacts") or {}).get("S3ModelArtifacts")
        if found["TrainingJobStatus"] != "Completed" or not artifacts:
            raise CommandError(
                f"the job {self.what}: expected a completed one with a model, found {found['TrainingJobStatus']}"
            )
        return artifacts

    def plan(self, archive: str) -> dict[str, Any]:
        """For `--dry-run`: what `publish` would do."""
        return {"from": self.what, "kind": self.kind, "to": archive, "adds": sorted(bundle.handlers())}


def find_model(what: str) -> Model:
    """Which kind of model `what` names; `UsageError` if it is none, or a local one that cannot be served."""
    bundle.handlers()
    if what.startswith("s3://"):
        split_uri(what)
        if not what.endswith(".tar.gz"):
            raise UsageError(f"{what}: expected the model.tar.gz of a training job")
        return Model(what, "s3")
    path = Path(what)
    if path.is_dir() or path.is_file():
        bundle.read_model(path)
        return Model(what, "folder" if path.is_dir() else "archive")
    try:
        return Model(resource_name(what), "job")
    except argparse.ArgumentTypeError as error:
        raise UsageError(
            f"{what}: neither a model folder or model.tar.gz here, nor the name of a training job ({error})"
        ) from error


def model_request(aws: Aws, options: argparse.Namespace, role: str, archive: str) -> dict[str, Any]:
    """The model entry of SageMaker."""
    return {
        "PrimaryContainer": {
            "Image": options.image or images.uri(images.INFERENCE, aws.region),
            "ModelDataUrl": archive,
            "Environment": PROGRAM | {"SAGEMAKER_REGION": aws.region} | dict(options.env),
        },
        "ExecutionRoleArn": role,
        "Tags": tags(options),
    }


def tags(options: argparse.Namespace) -> list[dict[str, str]]:
    """Tags as requests carry them."""
    return [{"Key": key, "Value": value} for key, value in {"project": "gpsimd", **dict(options.tag)}.items()]


def add_arguments(parser: argparse.ArgumentParser, what: str) -> None:
    """What both commands take; `what` they make, `endpoint` or `job`."""
    add = parser.add_argument
    add("model", metavar="MODEL", help=MODEL_HELP)
    add(
        "--name",
        type=resource_name,
        metavar="NAME",
        help=f"name of the {what} and of its model (default: gpsimd-{what}- and the time)",
    )
    add(
        "--instance",
        type=instance,
        default="ml.c5.xlarge",
        metavar="TYPE",
        help="instance type (default: ml.c5.xlarge, a CPU)",
    )
    add("--instances", type=whole(1), default=1, metavar="N", help="how many (default: 1)")
    add("--image", metavar="URI", help=f"another container than AWS's {images.INFERENCE}")
    add_environment(parser, MOST_IN_MODEL)
    add_role_and_bucket(parser)
    add_tags(parser)
    add("--no-wait", action="store_true", help=f"start the {what} and return")
    add("--dry-run", action="store_true", help="print uploads and requests as JSON; ask AWS nothing")
    add("--json", action="store_true", help=f"print the {what} as JSON")
    add_connection(parser)
    add_poll(parser)
