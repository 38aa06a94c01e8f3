"""Watching something that AWS does until it ends: a status line that renews itself, log lines above it.

On a terminal the status stays on the last line; elsewhere (a log, CI) a line is printed when the status changes and
once a minute.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .aws import Aws
from .errors import CommandError, calling, is_transient

POLL_S = 10.0
# Without a terminal, between two lines that say the same.
LINE_EVERY_S = 60.0
# A connection may be gone for a while; a job does not care.
MAX_FAILURES = 12
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
ENDED = ("Completed", "Failed", "Stopped")


class Display:
    """One line of status on standard error, and lines above it."""

    def __init__(self) -> None:
        """Nothing is printed yet."""
        self._terminal = sys.stderr.isatty()
        self._status, self._printed = "", 0.0

    def __enter__(self) -> "Display":
        """For `with`."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leaves the last status on a line of its own."""
        if self._terminal and self._status:
            print(file=sys.stderr)

    def status(self, key: str, details: str) -> None:
        """Shows `key` and `details`; elsewhere than on a terminal only a new `key` is shown at once."""
        if self._terminal:
            line = f"{key}  {details}"
            print(f"\r\x1b[K{line[: _columns() - 1]}", end="", file=sys.stderr, flush=True)
        elif key != self._status or time.monotonic() - self._printed >= LINE_EVERY_S:
            print(f"{key}  {details}".rstrip(), file=sys.stderr, flush=True)
            self._printed = time.monotonic()
        self._status = key

    def line(self, text: str) -> None:
        """Prints `text` above the status."""
        print(f"\r\x1b[K{text}" if self._terminal else text, file=sys.stderr, flush=True)


@dataclass
class Training:
    """What is known of a training job, renewed by `look`."""

    name: str
    description: dict[str, Any] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _since_ms: int = 0

    @property
    def ended(self) -> bool:
        """Whether it will not change any more."""
        return self.description.get("TrainingJobStatus") in ENDED

    def look(self, aws: Aws) -> None:
        """Asks AWS for the job's description."""
        with calling(f"looking at the job {self.name}"):
            self.description = aws.client("sagemaker").describe_training_job(TrainingJobName=self.name)

    def status(self) -> str:
        """E.g. `InProgress (Training)`."""
        primary, secondary = (self.description.get(key, "") for key in ("TrainingJobStatus", "SecondaryStatus"))
        return primary if secondary in ("", primary) else f"{primary} ({secondary})"

    def details(self) -> str:
        """Elapsed time and last metrics in one line."""
        parts = [_duration(self.elapsed_s())]
        parts += [f"{name} {value:.4g}" for name, value in self.metrics().items()]
        return "  ".join(parts)

    def elapsed_s(self) -> float:
        """From its creation to its end, or to now."""
        created = self.description.get("CreationTime")
        if created is None:
            return 0.0
        end = self.description.get("TrainingEndTime") if self.ended else None
        return ((end or datetime.now(UTC)) - created).total_seconds()

    def metrics(self) -> dict[str, float]:
        """The last value of each metric that the job's lines have had."""
        return {metric["MetricName"]: metric["Value"] for metric in self.description.get("FinalMetricDataList") or []}

    def new_log_lines(self, aws: Aws) -> list[str]:
        """What the containers have printed since the last call; nothing where the logs cannot be read.

        The log group appears with the first line, and reading it is a permission of its own: no reason to stop.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        # Of the whole query: AWS takes the token of a page only beside what the first page was asked with.
        lines, since_ms, more = [], self._since_ms, {}
        try:
            while True:
                page = aws.client("logs").filter_log_events(
                    logGroupName=LOG_GROUP, logStreamNamePrefix=f"{self.name}/", startTime=since_ms, **more
                )
                for event in page.get("events", []):
                    if event["eventId"] not in self._seen:
                        self._seen.add(event["eventId"])
                        self._since_ms = max(self._since_ms, event["timestamp"])
                        lines.append(event["message"].rstrip())
                if not page.get("nextToken"):
                    return lines
                more = {"nextToken": page["nextToken"]}
        except (ClientError, BotoCoreError):
            return lines


def watch(aws: Aws, job: Training, *, log_lines: int, poll_s: float = POLL_S) -> None:
    """Shows the job until it has ended; the last `log_lines` new lines of each look."""
    with Display() as display:

        def look() -> tuple[str, str] | None:
            job.look(aws)
            lines = job.new_log_lines(aws) if log_lines else []
            if len(lines) > log_lines:
                display.line(f"  ... {len(lines) - log_lines} more lines of the log")
            for line in lines[max(0, len(lines) - log_lines) :]:
                display.line(f"  {line}")
            return None if job.ended else (job.status(), job.details())

        poll(display, look, poll_s)
        display.status(job.status(), job.details())


def poll(display: Display, look: Callable[[], tuple[str, str] | None], poll_s: float = POLL_S) -> None:
    """Calls `look` until it returns None, showing the status it returns; outlives failures that pass."""
    failures = 0
    while True:
        try:
            status = look()
            failures = 0
        except CommandError as error:
            failures += 1
            if not is_transient(error) or failures >= MAX_FAILURES:
                raise
            status = ("no answer", f"{error}; trying again")
        if status is None:
            return
        display.status(*status)
        time.sleep(poll_s)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns
