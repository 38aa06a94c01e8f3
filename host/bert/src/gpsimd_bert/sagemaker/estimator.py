"""The one place that uses the SageMaker Python SDK: its PyTorch estimator starts the training job.

Version 2 of the SDK, as version 3 has no estimators; version 2 is in maintenance until July 2027. Importing it takes
seconds, prints, and replaces how Python shows exceptions; all that stays here. Its telemetry, a request to a bucket of
AWS with the account's number after each call, is switched off.
"""

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .aws import Aws
from .errors import UsageError

ENTRY_POINT = "job_entry.py"
# Where the SDK looks for the names of files with defaults; the last is the user's.
CONFIG_FILES = ("SAGEMAKER_ADMIN_CONFIG_OVERRIDE", "SAGEMAKER_USER_CONFIG_OVERRIDE")


@dataclass(frozen=True)
class Job:
    """A training job, every value decided."""

    name: str
    image: str
    role: str
    instance: str
    instances: int
    volume_gb: int
    max_run_s: int
    max_wait_s: int | None
    """Longest run and wait for capacity on spot instances; None for on-demand ones."""
    bucket: str
    source: str
    output: str
    checkpoints: str | None
    channels: dict[str, str]
    hyperparameters: dict[str, Any]
    metrics: list[dict[str, str]]
    environment: dict[str, str]
    tags: dict[str, str]


@dataclass(frozen=True)
class Sdk:
    """The SDK and the user's defaults for it (network, encryption)."""

    module: Any
    estimator: Any
    config: dict[str, Any]

    @classmethod
    def load(cls) -> "Sdk":
        """`UsageError` if it is not there, or its defaults cannot be read."""
        hook = sys.excepthook
        try:
            with _quiet():
                import sagemaker
                from sagemaker.pytorch import PyTorch
        except ImportError as error:
            raise UsageError(
                f"launch needs version 2 of the SageMaker Python SDK ({error}): `python -m pip install "
                "'gpsimd_bert[sagemaker]'`"
            ) from error
        finally:
            sys.excepthook = hook
        try:
            with _quiet():
                config = sagemaker.config.load_sagemaker_config()
        except Exception as error:  # of yaml, jsonschema, S3 and the SDK itself
            files = [f"{name}={os.environ[name]}" for name in CONFIG_FILES if name in os.environ]
            # A validator goes on with the whole schema after a blank line.
            reason = " ".join(str(error).partition("\n\n")[0].split())
            where = ", ".join(files) or "config.yaml in the SDK's default folders"
            raise UsageError(
                f"{where}: expected defaults for the SageMaker SDK, but {reason}; correct the "
                f"file, or name another with {CONFIG_FILES[-1]}"
            ) from error
        modules = config.setdefault("SageMaker", {}).setdefault("PythonSDK", {}).setdefault("Modules", {})
        modules["TelemetryOptOut"] = True
        config.setdefault("SchemaVersion", "1.0")
        return cls(sagemaker, PyTorch, config)

    def start(self, aws: Aws, job: Job) -> None:
        """Creates the training job and returns; its source and data are in S3 already."""
        with _quiet():
            session = self.module.Session(
                boto_session=aws.session,
                sagemaker_client=aws.client("sagemaker"),
                default_bucket=job.bucket,
                sagemaker_config=self.config,
            )
            estimator = self.estimator(
                entry_point=ENTRY_POINT,
                source_dir=job.source,
                image_uri=job.image,
                role=job.role,
                instance_type=job.instance,
                instance_count=job.instances,
                volume_size=job.volume_gb,
                max_run=job.max_run_s,
                use_spot_instances=job.max_wait_s is not None,
                max_wait=job.max_wait_s,
                output_path=job.output,
                code_location=job.output,
                checkpoint_s3_uri=job.checkpoints,
                distribution={"torch_distributed": {"enabled": True}},
                hyperparameters=job.hyperparameters,
                metric_definitions=job.metrics,
                environment=job.environment or None,
                tags=[{"Key": key, "Value": value} for key, value in job.tags.items()],
                # Neuron's tools profile NeuronCores; SageMaker's debugger and profiler know GPUs.
                disable_profiler=True,
                debugger_hook_config=False,
                sagemaker_session=session,
            )
            estimator.fit(job.channels, wait=False, logs=False, job_name=job.name)
            if estimator.latest_training_job is None:
                # Its decorator for telemetry swallows Ctrl-C.
                raise KeyboardInterrupt


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the SDK's log lines and its warning that there is a version 3."""
    previous = logging.root.manager.disable
    os.environ.setdefault("SAGEMAKER_SUPPRESS_V2_WARNING", "1")
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)
