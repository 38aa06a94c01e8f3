"""What the commands make in SageMaker: made under a free name, deleted again, or left with the commands to return."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from .aws import Aws
from .errors import CommandError, calling, is_missing, is_taken, is_unanswered
from .follow import Display, poll
from .options import say

# How far this machine's clock may be from that of AWS, which signs no request that is 5 minutes off.
CLOCKS = timedelta(minutes=5)


@dataclass(frozen=True)
class Resource:
    """A thing of SageMaker that has a name."""

    kind: str
    """As in the names of calls: `training_job`, `transform_job`, `model`, `endpoint_config`, `endpoint`."""
    name: str

    def __str__(self) -> str:
        """E.g. `endpoint config shop`."""
        return f"{self.kind.replace('_', ' ')} {self.name}"

    def call(self, aws: Aws, verb: str, **parameters: Any) -> dict[str, Any]:
        """Asks AWS to `create`, `describe`, `delete` .. it."""
        key = self.kind.title().replace("_", "") + "Name"
        return getattr(aws.client("sagemaker"), f"{verb}_{self.kind}")(**{key: self.name}, **parameters)

    def command(self, aws: Aws, verb: str) -> str:
        """The same as a line for a shell."""
        kind = self.kind.replace("_", "-")
        return f"aws sagemaker {verb}-{kind} --{kind}-name {self.name}{aws.flags}"

    def find(self, aws: Aws) -> dict[str, Any] | None:
        """How AWS describes it; None if there is none."""
        try:
            with calling(f"looking for the {self}"):
                return self.call(aws, "describe")
        except CommandError as error:
            if not is_missing(error):
                raise
            return None


def training_job(aws: Aws, name: str) -> list[tuple[str, str]]:
    """How to return to a training job."""
    follow = f"python -m gpsimd_bert.sagemaker status {name} --follow{aws.flags}"
    return [("return", follow), ("stop it", Resource("training_job", name).command(aws, "stop"))]


def check_free(aws: Aws, *resources: Resource) -> None:
    """Raises if one of them is there: what is uploaded would replace the files that it may still need."""
    for resource in resources:
        if resource.find(aws) is not None:
            raise CommandError(f"the {resource} exists already in {aws.region}: choose another name with --name")


def create(aws: Aws, resource: Resource, how: Callable[[], Any] | dict[str, Any]) -> None:
    """Makes `resource`, whose name was free, with these parameters or by calling `how`.

    When AWS's answer is lost, botocore asks again, and finds that the name is taken: by what the first request made.
    """
    asked = datetime.now(UTC)
    try:
        with calling(f"making the {resource}"):
            how() if callable(how) else resource.call(aws, "create", **how)
    except CommandError as error:
        if not is_taken(error):
            raise
        try:
            found = resource.find(aws)
        except CommandError:
            found = None
        if found is None or found["CreationTime"] < asked - CLOCKS:
            raise


def wait(aws: Aws, resource: Resource, key: str, under_way: tuple[str, ...], poll_s: float) -> dict[str, Any]:
    """Shows the status of `resource`, which its description has under `key`, until it is none of `under_way`."""
    started, found = time.monotonic(), {}

    def look() -> tuple[str, str] | None:
        with calling(f"looking at the {resource}"):
            found.update(resource.call(aws, "describe"))
        if found[key] not in under_way:
            return None
        return f"{resource.name}: {found[key]}", f"{time.monotonic() - started:.0f} s"

    with Display() as display:
        poll(display, look, poll_s)
    return found


def undo(aws: Aws, made: list[Resource]) -> bool:
    """Deletes what was made before something failed, last first; says what is left, and whether all is gone."""
    left = list(made)
    while left:
        try:
            with calling(f"deleting the {left[-1]}"):
                left[-1].call(aws, "delete")
        except (CommandError, KeyboardInterrupt) as error:
            # What was made first is needed by what was made last: it stays while that does.
            if not is_missing(error):
                commands = [("delete it", resource.command(aws, "delete")) for resource in reversed(left)]
                tell(f"left behind: {', '.join(map(str, left))} ({error or 'Ctrl-C'})", commands)
                return False
        left.pop()
    return True


@contextmanager
def goes_on(what: str, commands: list[tuple[str, str]]) -> Iterator[None]:
    """Around looks at something that AWS does: if they end early, says that it goes on and how to return."""
    try:
        yield
    except BaseException as error:
        if not is_missing(error):
            tell(f"\n{what}", commands)
        raise


@contextmanager
def may_be_made(what: str, commands: list[tuple[str, str]]) -> Iterator[None]:
    """Around the request for a job: if nobody heard the answer, it may run, and cost."""
    try:
        yield
    except BaseException as error:
        if is_unanswered(error):
            tell(f"\n{what} may or may not have been started", commands)
        raise


def print_plan(aws: Aws, uploads: list[dict[str, Any]]) -> None:
    """For `--dry-run`: prints what would be uploaded, and the requests that were made of `aws`."""
    requests = [call for call in aws.calls if call["service"] == "sagemaker"]
    print(json.dumps({"region": aws.region, "uploads": uploads, "requests": requests}, indent=2))


def tell(what: str, commands: list[tuple[str, str]]) -> None:
    """Prints `what`, and below it what can be done about it."""
    width = max(len(name) for name, _ in commands) + 1
    say("\n".join([what, *(f"  {name + ':':<{width}} {command}" for name, command in commands)]))
