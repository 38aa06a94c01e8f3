"""A trained model as SageMaker serves it: `model.tar.gz` with our handlers, in the stock PyTorch container."""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpsimd_torch.arguments import whole

from . import bundle, images, s3
from .aws import Aws, split_uri
from .errors import CommandError, UsageError, calling, code_of
from .options import add_environment, console, pairs

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
    """A model to serve: where it comes from, and where the archive with the handlers goes."""

    what: str
    """As it was named."""
    kind: str
    """`folder`, `archive`, `s3` or `job`."""
    archive: str

    def publish(self, aws: Aws) -> None:
        """Puts the archive into S3."""
        with tempfile.TemporaryDirectory(prefix="gpsimd-") as scratch:
            packed = Path(scratch) / "model.tar.gz"
            if self.kind == "folder":
                bundle.pack_model(Path(self.what), packed)
            else:
                original = Path(self.what)
                if self.kind != "archive":
                    original = Path(scratch) / "original" / "model.tar.gz"
                    original.parent.mkdir()
                    s3.download(aws, self.origin(aws), original, what="the model")
                bundle.repack_model(original, packed)
            s3.upload(aws, packed, self.archive, what="the model")

    def origin(self, aws: Aws) -> str:
        """Where in S3 the model is that a job or URI names."""
        if self.kind == "s3":
            return self.what
        with calling(f"looking at the job {self.what}"):
            found = aws.client("sagemaker").describe_training_job(TrainingJobName=self.what)
        artifacts = (found.get("ModelArtifacts") or {}).get("S3ModelArtifacts")
        if found["TrainingJobStatus"] != "Completed" or not artifacts:
            raise CommandError(
                f"the job {self.what}: expected a completed one with a model, found {found['TrainingJobStatus']}"
            )
        return artifacts

    def plan(self) -> dict[str, Any]:
        """For `--dry-run`: what `publish` would do."""
        return {"from": self.what, "kind": self.kind, "to": self.archive, "adds": sorted(bundle.handlers())}


def find_model(what: str, archive: str) -> Model:
    """Which kind of model `what` names; `UsageError` if it is a local one that cannot be served."""
    bundle.handlers()
    if what.startswith("s3://"):
        split_uri(what)
        if not what.endswith(".tar.gz"):
            raise UsageError(f"{what}: expected the model.tar.gz of a training job")
        return Model(what, "s3", archive)
    path = Path(what)
    if path.is_dir():
        bundle.check_model(path)
        return Model(what, "folder", archive)
    if path.is_file():
        return Model(what, "archive", archive)
    if "/" in what or what.endswith(".tar.gz"):
        raise UsageError(f"{what}: expected a model folder or a model.tar.gz, found neither")
    return Model(what, "job", archive)


def create_model_request(
    aws: Aws, name: str, options: argparse.Namespace, role: str, archive: str, tags: dict[str, str]
) -> dict[str, Any]:
    """The request that tells SageMaker of a model."""
    return {
        "ModelName": name,
        "PrimaryContainer": {
            "Image": options.image or images.uri(images.INFERENCE, aws.region),
            "ModelDataUrl": archive,
            "Environment": PROGRAM | {"SAGEMAKER_REGION": aws.region} | pairs("--env", options.env),
        },
        "ExecutionRoleArn": role,
        "Tags": tag_list(tags),
    }


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    """Tags as requests carry them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def undo(aws: Aws, steps: list[tuple[str, dict[str, str]]]) -> None:
    """Deletes what was created before something failed; what cannot be deleted is named."""
    for call, parameters in steps:
        try:
            with calling(f"cleaning up with {call}"):
                getattr(aws.client("sagemaker"), call)(**parameters)
        except CommandError as error:
            if code_of(error) not in {"ResourceNotFound", "ValidationException"}:
                console(f"left behind: {', '.join(parameters.values())} ({error})")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What both commands take."""
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument(
        "--instance", default="ml.c5.xlarge", metavar="TYPE", help="instance type (default: ml.c5.xlarge, a CPU)"
    )
    parser.add_argument("--instances", type=whole(1), default=1, metavar="N", help="how many (default: 1)")
    parser.add_argument("--image", metavar="URI", help=f"another container than AWS's {images.INFERENCE}")
    add_environment(parser)
