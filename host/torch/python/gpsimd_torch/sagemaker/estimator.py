"""The one place that uses the SageMaker Python SDK: its PyTorch estimator starts the training job.

Version 2 of the SDK, as version 3 has no estimators; version 2 is in maintenance until July 2027. Importing it takes
seconds and prints; both stay here. Its telemetry, a request to a bucket of AWS with the account's number after each
call, is switched off.
"""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .aws import Aws
from .errors import UsageError, calling

ENTRY_POINT = "job_entry.py"


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


def start(aws: Aws, job: Job) -> None:
    """Creates the training job and returns; its source and data are in S3 already."""
    with _quiet():
        sagemaker, PyTorch = _sdk()
        with calling("starting the training job"):
            session = sagemaker.Session(
                boto_session=aws.session,
                sagemaker_client=aws.client("sagemaker"),
                default_bucket=job.bucket,
                sagemaker_config=_config(sagemaker),
            )
            estimator = PyTorch(
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


def _sdk() -> tuple[Any, Any]:
    try:
        import sagemaker
        from sagemaker.pytorch import PyTorch
    except ImportError as error:
        raise UsageError(
            f"launch needs version 2 of the SageMaker Python SDK ({error}): `python -m pip install "
            "'gpsimd_torch[sagemaker]'`"
        ) from error
    return sagemaker, PyTorch


def _config(sagemaker: Any) -> dict[str, Any]:
    """The user's defaults for the SDK (network, encryption), with telemetry off."""
    config = sagemaker.config.load_sagemaker_config()
    modules = config.setdefault("SageMaker", {}).setdefault("PythonSDK", {}).setdefault("Modules", {})
    modules["TelemetryOptOut"] = True
    config.setdefault("SchemaVersion", "1.0")
    return config


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
