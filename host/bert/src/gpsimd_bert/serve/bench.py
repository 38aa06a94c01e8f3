"""`bench`: the server under load, beside one without micro-batching, or beside one in f32.

Each server runs in a process of its own, started as a user would start it, and they are under load in turn, a few
seconds at a time: what else the machine does meets both alike. The client keeps `connections` requests of one text
under way, over connections that stay open. A request has failed if its status is not 200, its connection breaks, or its
answer is not what the model says about that text alone.
"""

import asyncio
import contextlib
import dataclasses
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from gpsimd_bert.progress import Progress
from gpsimd_bert.table import text

from .bench_client import SCORE_TOLERANCE, problem, request, response
from .dtype import F32
from .errors import ServeError
from .options import ONE_BY_ONE, Bench
from .predict import load, write_json
from .review_file import ReviewFile

WARM_UP_S = 2.0
# One turn of a server under load.
TURN_S = 5.0
START_S = 180.0
# Of a CSV file, as many different texts as are sent in turn.
TEXTS = 256
RECONNECT_S = 0.05

SENTENCES = [
    "it broke after two days and nobody answered",
    "great sound and easy to set up",
    "i would buy it again",
    "the picture is dark and the plot goes nowhere",
    "arrived late but works as described",
    "do not waste your money on this one",
    "my kids love it and so do i",
    "the battery lasts an hour at best",
]


@dataclass
class Measurement:
    """One server under load."""

    name: str
    max_batch: int
    dtype: str
    seconds: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def requests_per_s(self) -> float:
        """Answered requests per second."""
        return len(self.latencies_s) / self.seconds

    def percentile_ms(self, share: float) -> float | None:
        """The latency that `share` of the answered requests do not exceed."""
        if not self.latencies_s:
            return None
        ordered = sorted(self.latencies_s)
        return 1000 * ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def bench(options: Bench) -> int:
    """Measures and prints the table; 1 if a request failed."""
    classifier = load(options.model_dir, options)
    texts = _texts(options, classifier.review_text)
    options = dataclasses.replace(options, seq_len=classifier.seq_len, dtype=classifier.dtype)
    alone = [classifier.named(classifier.probabilities(classifier.encode([text])))[0] for text in texts]
    tokens = sum(len(ids) for ids in classifier.encode(texts)) / len(texts)
    del classifier
    print(
        f"{options.connections} connections, one text of {tokens:.0f} tokens on average per request, "
        f"{options.threads} threads, {options.dtype}, {options.seconds} s each",
        flush=True,
    )
    rows = _rows(options)
    turns = max(1, round(options.seconds / TURN_S))
    total = round(len(rows) * (options.seconds + WARM_UP_S))
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(_server(options, row)) for row in rows]
        bar = stack.enter_context(Progress("under load", total, "s"))
        for row, port in zip(rows, ports, strict=True):
            warm_up = Measurement(row.name, row.max_batch, row.dtype)
            asyncio.run(_load(options, warm_up, port, WARM_UP_S, texts, alone, bar))
            row.failures += warm_up.failures
        for _ in range(turns):
            for row, port in zip(rows, ports, strict=True):
                asyncio.run(_load(options, row, port, options.seconds / turns, texts, alone, bar))
    if options.json is not None:
        write_json(options.json, _document(options, rows, tokens))
    print(table(rows))
    return 1 if any(row.failures or not row.latencies_s for row in rows) else 0


def table(rows: list[Measurement]) -> str:
    """The rows as text, the ratio of the first two, and the first failures."""
    heads = ["", "requests/s", "p50 ms", "p99 ms", "requests", "failed"]
    cells = [
        [
            row.name,
            f"{row.requests_per_s:.1f}",
            _milliseconds(row.percentile_ms(0.5)),
            _milliseconds(row.percentile_ms(0.99)),
            f"{len(row.latencies_s) + len(row.failures):,}",
            f"{len(row.failures):,}",
        ]
        for row in rows
    ]
    lines = [text(heads, cells)]
    if all(row.latencies_s for row in rows):
        ratio = rows[0].requests_per_s / rows[1].requests_per_s
        lines.append(f"{rows[0].name} answers {ratio:.2f} times as many requests")
    lines += [f"failed, {row.name}: {failure}" for row in rows for failure in row.failures[:3]]
    return "\n".join(lines)


def _rows(options: Bench) -> list[Measurement]:
    if options.against == ONE_BY_ONE:
        return [
            Measurement("micro-batching", options.max_batch, options.dtype),
            Measurement("one by one", 1, options.dtype),
        ]
    if options.dtype == F32:
        raise ServeError(
            "--against f32: expected a server in another format, found f32: this CPU does not multiply bf16; "
            "--dtype bf16 computes in it all the same"
        )
    return [Measurement(dtype, options.max_batch, dtype) for dtype in (options.dtype, F32)]


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _texts(options: Bench, review_text: str) -> list[str]:
    if options.data is None:
        return SENTENCES
    texts = []
    for review in ReviewFile(options.data, ["negative", "positive"], text=review_text):
        texts.append(review.text)
        if len(texts) == TEXTS:
            break
    if not texts:
        raise ServeError(f"{options.data} holds no reviews; expected at least one row")
    return texts


@contextlib.contextmanager
def _server(options: Bench, row: Measurement) -> Iterator[int]:
    """The port of a server, ready; stopped at the end, in order or with a failure in `row`."""
    flags = {
        "--host": "127.0.0.1",
        "--port": 0,
        "--threads": options.threads,
        "--seq-len": options.seq_len,
        "--max-batch": row.max_batch,
        "--dtype": row.dtype,
        "--max-wait-ms": options.max_wait_ms if row.max_batch > 1 else 0,
    }
    arguments = [str(word) for flag in flags.items() for word in flag]
    server = subprocess.Popen(
        [sys.executable, "-m", "gpsimd_bert.serve", str(options.model_dir), *arguments],
        stderr=subprocess.PIPE,
        text=True,
        # Ctrl-C is for this process, which stops the server itself.
        start_new_session=True,
    )
    try:
        yield _ready(server)
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            _, errors = server.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            server.kill()
            _, errors = server.communicate()
        if server.returncode != 0:
            row.failures.append(f"the server ended with status {server.returncode}: {errors.strip()[-200:]}")


def _ready(server: subprocess.Popen) -> int:
    """The port of the server once its model is loaded."""
    port, said = None, []
    assert server.stderr is not None
    too_long = threading.Timer(START_S, server.kill)
    too_long.start()
    try:
        while line := server.stderr.readline():
            said.append(line.strip())
            if found := re.search(r"listening on http://\S+:(\d+)", line):
                port = int(found[1])
            if line.startswith("ready") and port is not None:
                return port
    finally:
        too_long.cancel()
    raise ServeError(f"the server did not start: {' / '.join(said)[-400:]}")


async def _load(
    options: Bench, row: Measurement, port: int, seconds: float, texts: list[str], alone: list[dict], bar: Progress
):
    requests = [request(text) for text in texts]
    # What the model says alone it says in the format of `options`.
    tolerance = max(SCORE_TOLERANCE[dtype] for dtype in (options.dtype, row.dtype))
    start = last = time.perf_counter()

    async def connection(index: int):
        nonlocal last
        reader = writer = None
        while (began := time.perf_counter()) < start + seconds:
            at = index % len(texts)
            index += options.connections
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(requests[at])
                failure = problem(*await response(reader), alone[at], tolerance)
            except (OSError, EOFError, ValueError) as error:
                failure = f"{type(error).__name__}: {error}"
                writer = None
                await asyncio.sleep(RECONNECT_S)
            last = time.perf_counter()
            if failure is None:
                row.latencies_s.append(last - began)
            else:
                row.failures.append(failure)
        if writer is not None:
            writer.close()

    async def progress():
        for _ in range(round(seconds)):
            await asyncio.sleep(1)
            bar.advance(1, row.name)

    showing = asyncio.create_task(progress())
    await asyncio.gather(*(connection(index) for index in range(options.connections)))
    showing.cancel()
    row.seconds += last - start


def _document(options: Bench, rows: list[Measurement], tokens: float) -> dict:
    return {
        "rows": [
            {
                "name": row.name,
                "max_batch": row.max_batch,
                "dtype": row.dtype,
                "requests_per_s": round(row.requests_per_s, 2),
                "p50_ms": row.percentile_ms(0.5),
                "p99_ms": row.percentile_ms(0.99),
                "requests": len(row.latencies_s) + len(row.failures),
                "failed": len(row.failures),
            }
            for row in rows
        ],
        "ratio": rows[0].requests_per_s / rows[1].requests_per_s if rows[1].latencies_s else None,
        "tokens_per_text": tokens,
        "seconds": options.seconds,
        "connections": options.connections,
        "threads": options.threads,
        "seq_len": options.seq_len,
        "max_wait_ms": options.max_wait_ms,
        "cpus": os.cpu_count(),
    }
