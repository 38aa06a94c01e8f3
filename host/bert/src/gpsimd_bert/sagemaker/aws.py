"""One connection to AWS: region, account, role, bucket, clients; and its mock for `--dry-run`."""

import json
import re
import shlex
from functools import cached_property
from typing import Any

from .errors import CommandError, UsageError, calling, code_of

# What stands for the account where nobody may be asked for it.
DRY_RUN_ACCOUNT = "ACCOUNT"
# What botocore sends to S3. New buckets have fewer characters to choose from, old ones have these.
BUCKET = re.compile(r"[a-zA-Z0-9._-]{3,255}")


class Aws:
    """What the commands know of the account; every question to AWS is asked once, when it is needed.

    With `dry_run` no request leaves this machine: calls are recorded in `calls` and answered with nothing.
    """

    def __init__(self, region: str | None, profile: str | None, *, dry_run: bool = False):
        """`UsageError` if the profile does not exist, or the region, or none is named anywhere."""
        try:
            import boto3
            from botocore.exceptions import BotoCoreError, UnknownRegionError
        except ImportError as error:
            raise UsageError(
                "this needs boto3, which is not installed: `python -m pip install 'gpsimd_bert[sagemaker]'`"
            ) from error
        keys: dict[str, Any] = {}
        if dry_run:
            keys = {"aws_access_key_id": "dry-run", "aws_secret_access_key": "dry-run"}
        try:
            # With keys beside it, boto3 would ignore the profile: it is read for its region.
            found = region or boto3.Session(profile_name=profile).region_name
            self.session = boto3.Session(region_name=found, profile_name=None if dry_run else profile, **keys)
        except BotoCoreError as error:
            what = "the configuration of AWS" if profile is None else f"--profile {profile}"
            raise UsageError(f"{what}: {error}; check --profile, AWS_PROFILE and ~/.aws/config") from error
        if not found:
            raise UsageError(
                "no AWS region is named: expected --region, e.g. --region us-east-1, or AWS_DEFAULT_REGION, or a "
                "region in the AWS profile"
            )
        try:
            self.partition: str = self.session.get_partition_for_region(found)
        except UnknownRegionError as error:
            raise UsageError(f"--region {found}: expected the name of a region of AWS such as us-east-1") from error
        self.region: str = found
        # What our own commands and those of AWS need to come here again.
        self.flags = f" --region {found}" + (f" --profile {shlex.quote(profile)}" if profile else "")
        self.dry_run = dry_run
        self.calls: list[dict[str, Any]] = []
        self._clients: dict[str, Any] = {}
        if dry_run:
            self.session.events.register("before-parameter-build.*.*", self._record)
            self.session.events.register("before-call.*.*", self._answer)

    def client(self, service: str) -> Any:
        """boto3's client of `service`; retries what AWS throttles, then gives up."""
        from botocore.config import Config

        if service not in self._clients:
            # `standard`: 5 attempts with growing pauses, on throttling and on a connection that breaks.
            config = Config(retries={"mode": "standard", "total_max_attempts": 5}, user_agent_extra="gpsimd_bert")
            with calling(f"connecting to {service}"):
                self._clients[service] = self.session.client(service, config=config)
        return self._clients[service]

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Who we are to AWS: `Account`, `Arn`."""
        if self.dry_run:
            return {"Account": DRY_RUN_ACCOUNT, "Arn": ""}
        with calling("asking AWS who we are"):
            return self.client("sts").get_caller_identity()

    def role(self, name: str | None) -> str:
        """The ARN of the role that SageMaker takes on: `name` is its ARN, its name, or None for our own role.

        Our own is the SDK's default, and right in a SageMaker notebook; people signed in as users have none.
        """
        if name is None:
            if self.dry_run:
                raise UsageError(_MISSING_ROLE.format("--dry-run, which asks AWS nothing"))
            # arn:aws:sts::123456789012:assumed-role/NAME/session
            kind, _, rest = self.identity["Arn"].rpartition(":")[2].partition("/")
            if kind != "assumed-role":
                raise UsageError(_MISSING_ROLE.format(self.identity["Arn"]))
            name = rest.partition("/")[0]
        if name.startswith("arn:"):
            return name
        if self.dry_run:
            return f"arn:{self.partition}:iam::{DRY_RUN_ACCOUNT}:role/{name}"
        with calling(f"looking up the role {name}"):
            return self.client("iam").get_role(RoleName=name)["Role"]["Arn"]

    def bucket(self, name: str | None) -> str:
        """The bucket for source, data and results: `name`, or the SDK's default of the account, made if missing."""
        if name is not None:
            return name
        default = f"sagemaker-{self.region}-{self.identity['Account']}"
        if self.dry_run:
            return default
        s3 = self.client("s3")
        try:
            with calling(f"looking up the bucket {default}"):
                s3.head_bucket(Bucket=default)
        except CommandError as error:
            if code_of(error) not in {"404", "NoSuchBucket"}:
                raise
            # us-east-1 is the one region that may not be named here.
            where = {} if self.region == "us-east-1" else {"LocationConstraint": self.region}
            with calling(f"making the bucket {default}"):
                s3.create_bucket(Bucket=default, **({"CreateBucketConfiguration": where} if where else {}))
        return default

    def _record(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        shown = json.loads(json.dumps(params, default=lambda value: f"<{type(value).__name__}>"))
        self.calls.append({"service": model.service_model.service_name, "call": model.name, "parameters": shown})

    def _answer(self, model: Any, **_: Any) -> tuple[Any, dict[str, Any]]:
        from botocore.awsrequest import AWSResponse

        empty = {name: "DRY-RUN" for name in (model.output_shape.members if model.output_shape else {})}
        return AWSResponse("dry-run:", 200, {}, None), {**empty, "ResponseMetadata": {"HTTPStatusCode": 200}}


_MISSING_ROLE = (
    "no role for SageMaker is named: expected --role with the name or ARN of an IAM role that trusts "
    "sagemaker.amazonaws.com and may read and write the bucket (policy AmazonSageMakerFullAccess), found {}; without "
    "--role only a session that has such a role itself, as in a SageMaker notebook, can launch"
)


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not BUCKET.fullmatch(bucket):
        raise UsageError(f"{uri}: expected s3://BUCKET/KEY")
    return bucket, key
