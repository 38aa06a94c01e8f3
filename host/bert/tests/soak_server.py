"""The server at its limit of connections for a long time: `cargo xtask soak server`.

A small random model, and as many connections as the server takes, all kept open: each asks for something in its turn,
once a minute. In between one more connects, which has to be turned away. Memory, threads and files of the server are
sampled from the outside. It fails if an answer is wrong, if anything grows, or if something is left when the clients
have gone.
"""

import argparse
import asyncio
import json
import logging
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from conftest import classifier_folder
from gpsimd_bert import console
from gpsimd_bert.progress import Progress
from gpsimd_bert.serve.bench import SENTENCES
from gpsimd_bert.serve.bench_client import SCORE_TOLERANCE, problem, request, response
from gpsimd_bert.serve.dtype import F32
from gpsimd_bert.serve.server import connections
from gpsimd_bert.table import facts
from server_harness import LOCAL, Process, port_of

# Each connection asks once in this time, unless told otherwise: the server closes those that do not within 75 s.
TURN_S = 60.0
# An answer that takes longer does not come.
PATIENCE_S = 60.0
# A machine that stands still this long (it was suspended, or its processes were) is no fault of the server, nor are the
# connections that the server finds expired afterwards.
PAUSE_S = 5.0
# What is not the model: answered from the event loop.
OTHERS = ("/ping", "/ping", "/health", "/metrics")
# Of the time, in which connections are made and memory is taken that stays.
WARM_UP = 0.2
MiB = 1 << 20
# Memory may grow by this, or it has to be less than twice its error.
GROWTH_MIB = 2.0


@dataclass
class Soak:
    """What was measured."""

    connections: int
    seconds: float = 0.0
    requests: int = 0
    predictions: int = 0
    turned_away: int = 0
    # Of this machine, in seconds; and connections that were made anew after one.
    pauses: list[float] = field(default_factory=list)
    reconnected: int = 0
    failures: list[str] = field(default_factory=list)
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    worst_ms: float = 0.0
    rss_first_mib: float = 0.0
    rss_last_mib: float = 0.0
    rss_slope_mib_per_hour: float = 0.0
    rss_slope_error: float = 0.0
    threads: tuple[int, int] = (0, 0)
    files: tuple[int, int] = (0, 0)
    files_before_and_after: tuple[int, int] = (0, 0)


@dataclass
class Sample:
    """The server, seen from the outside."""

    second: float
    rss: int
    threads: int
    files: int


def sample(pid: int, second: float) -> Sample:
    """Of the process `pid`, now."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    kib = int(status["VmRSS"].split()[0])
    return Sample(second, kib << 10, int(status["Threads"]), len(list(Path(f"/proc/{pid}/fd").iterdir())))


def slope(samples: list[Sample], parts: int = 12) -> tuple[float, float]:
    """MiB per hour and its standard error, by least squares over means of `parts` of the time.

    Neighbouring samples are nearly the same one: taken one by one, they would make the error far too small.
    """
    groups = [group for group in np.array_split(np.array([(s.second, s.rss) for s in samples]), parts) if len(group)]
    hours, memory = np.array([group.mean(axis=0) for group in groups]).T / [[3600], [MiB]]
    if len(groups) < 3:
        return 0.0, float("inf")
    hours = hours - hours.mean()
    spread = (hours**2).sum()
    found = (hours * memory).sum() / spread
    rest = memory - memory.mean() - found * hours
    return float(found), float(np.sqrt((rest**2).sum() / (len(groups) - 2) / spread))


async def soak(port: int, pid: int, seconds: float, count: int, turn_s: float, bar: Progress) -> Soak:
    """Holds `count` connections for `seconds`, each of which asks every `turn_s`."""
    result, latencies, samples = Soak(count), [], []
    started, paused = time.monotonic(), float("-inf")
    requests = [request(text) for text in SENTENCES]
    before = sample(pid, 0).files

    async def get(streams, path: str):
        reader, writer = streams
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        status, body = await response(reader)
        if status != 200:
            raise ValueError(f"{path}: status {status}: {body[:200]!r}")

    async def predict(streams, at: int):
        reader, writer = streams
        writer.write(requests[at])
        status, body = await response(reader)
        if wrong := problem(status, body, answers[at], SCORE_TOLERANCE[F32]):
            raise ValueError(wrong)
        result.predictions += 1

    async def alone(streams, message: bytes) -> dict:
        """What the model says about one text, while nobody else asks."""
        streams[1].write(message)
        _, body = await response(streams[0])
        return json.loads(body)["predictions"][0]

    first = await asyncio.open_connection("127.0.0.1", port)
    answers = [await alone(first, message) for message in requests]
    everyone = [first]
    while len(everyone) < count:
        everyone += await asyncio.gather(
            *(asyncio.open_connection("127.0.0.1", port) for _ in range(min(50, count - len(everyone))))
        )
        # Whoever connects has to begin a request before long.
        await asyncio.gather(*(get(streams, "/ping") for streams in everyone[-50:]))

    async def one(index: int):
        """Asks in its turn, at moments of its own, until the time is over."""
        streams = everyone[index]
        at = started + turn_s * (index / count) + time.monotonic() - started
        turn = index
        while at < started + seconds:
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            turn, at = turn + 1, at + turn_s
            began = time.perf_counter()
            try:
                async with asyncio.timeout(PATIENCE_S):
                    if turn % 5 == 0:
                        await predict(streams, turn % len(requests))
                    else:
                        await get(streams, OTHERS[turn % len(OTHERS)])
                result.requests += 1
                latencies.append(time.perf_counter() - began)
            except (OSError, EOFError, ValueError) as error:
                if time.monotonic() - paused < turn_s + PATIENCE_S and not isinstance(error, ValueError):
                    streams[1].close()
                    streams = everyone[index] = await asyncio.open_connection("127.0.0.1", port)
                    result.reconnected += 1
                    continue
                result.failures.append(f"connection {index}, {time.monotonic() - started:.0f} s: {error!r}")
                return

    async def turned_away():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            if await asyncio.wait_for(reader.read(), PATIENCE_S):
                result.failures.append("a connection beyond the limit was answered")
        except TimeoutError:
            result.failures.append(f"a connection beyond the limit was still open after {PATIENCE_S:g} s")
        except ConnectionError:
            pass
        writer.close()
        result.turned_away += 1

    async def clock():
        nonlocal paused
        while (before := time.monotonic()) < started + seconds:
            await asyncio.sleep(0.5)
            if (gap := time.monotonic() - before) > PAUSE_S:
                paused = time.monotonic()
                result.pauses.append(round(gap, 1))

    async def watch():
        while (second := time.monotonic() - started) < seconds:
            # While connections are made anew, there is room.
            if time.monotonic() - paused > turn_s + PATIENCE_S:
                await turned_away()
            await asyncio.sleep(min(2.0, seconds / 50))
            samples.append(sample(pid, second))
            rss = f"{samples[-1].rss / MiB:.1f} MiB, {result.requests:,} requests, {len(result.failures)} failed"
            bar.advance_to(min(int(second), int(seconds)), rss)

    tasks = [asyncio.create_task(work) for work in (clock(), watch(), *map(one, range(count)))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        for _, writer in everyone:
            writer.close()
    await asyncio.sleep(1)
    result.seconds = time.monotonic() - started
    judge(result, samples, latencies, (before, sample(pid, 0).files))
    return result


def judge(result: Soak, samples: list[Sample], latencies: list[float], files: tuple[int, int]):
    """Fills in what the samples say, and what of it is a failure."""
    kept = samples[int(WARM_UP * len(samples)) :]
    tenth = max(1, len(kept) // 10)
    result.rss_first_mib = statistics.median(s.rss for s in kept[:tenth]) / MiB
    result.rss_last_mib = statistics.median(s.rss for s in kept[-tenth:]) / MiB
    result.rss_slope_mib_per_hour, result.rss_slope_error = slope(kept)
    result.threads = (kept[0].threads, kept[-1].threads)
    result.files = (kept[0].files, kept[-1].files)
    result.files_before_and_after = files
    latencies = sorted(latencies) or [0.0]
    result.p50_ms = 1000 * latencies[len(latencies) // 2]
    result.p99_ms = 1000 * latencies[len(latencies) * 99 // 100]
    result.worst_ms = 1000 * latencies[-1]
    grown = result.rss_last_mib - result.rss_first_mib
    if grown > GROWTH_MIB and result.rss_slope_mib_per_hour > 2 * result.rss_slope_error:
        result.failures.append(f"memory grew by {grown:.1f} MiB")
    for what, (first, last) in (("threads", result.threads), ("files", result.files)):
        if last > first:
            result.failures.append(f"{what} grew from {first} to {last}")
    if files[1] > files[0]:
        result.failures.append(f"{files[1] - files[0]} files are still open after all clients have gone")


def table(result: Soak) -> str:
    """The figures, and the first failures."""
    per_s = result.requests / result.seconds
    rows = [
        ("connections", f"{result.connections:,}"),
        ("seconds", f"{result.seconds:,.0f}"),
        ("requests", f"{result.requests:,} ({per_s:.1f} a second, {result.predictions:,} predictions)"),
        ("turned away beyond the limit", f"{result.turned_away:,}"),
        (
            "pauses of this machine",
            f"{len(result.pauses)}, {sum(result.pauses):.0f} s, {result.reconnected:,} reconnected",
        ),
        ("failures", f"{len(result.failures):,}"),
        ("latency p50, p99, worst", f"{result.p50_ms:.1f}, {result.p99_ms:.1f}, {result.worst_ms:.1f} ms"),
        ("memory first, last", f"{result.rss_first_mib:.1f}, {result.rss_last_mib:.1f} MiB"),
        ("memory slope", f"{result.rss_slope_mib_per_hour:+.2f} ± {result.rss_slope_error:.2f} MiB an hour"),
        ("threads first, last", "{}, {}".format(*result.threads)),
        ("files first, last", "{}, {}".format(*result.files)),
        ("files before, after the clients", "{}, {}".format(*result.files_before_and_after)),
    ]
    return "\n".join([facts(rows), *(f"failed: {failure}" for failure in result.failures[:5])])


def run(seconds: float, count: int | None, folder: Path, turn_s: float = TURN_S) -> Soak:
    """The soak, with a server of its own."""
    # As the server reckons; and this process needs as many files.
    limit, _ = connections()
    files = None
    if count is not None and count < limit:
        # The server takes a quarter and 128 off what it may have.
        files = (count + 128) * 4 // 3
        limit = files - files // 4 - 128
    logging.getLogger("transformers").setLevel(logging.ERROR)
    classifier_folder(folder)
    with Process(folder, *LOCAL, "--dtype", F32, hard_files=files) as server:
        port = port_of(server)
        server.until("ready after")
        with Progress("soak", int(seconds), "s") as bar:
            result = asyncio.run(soak(port, server.pid, seconds, limit, turn_s, bar))
        if (status := server.end(signal.SIGTERM)) != 0:
            result.failures.append(f"the server ended with status {status}: {''.join(server.said)[-300:]}")
    return result


@console.command
def main(arguments: list[str] | None = None) -> int:
    """Status 1 if anything failed, 130 at Ctrl-C."""
    parser = argparse.ArgumentParser(prog="cargo xtask soak server", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--connections", type=int, help="fewer than the server takes by itself")
    parser.add_argument(
        "--every", type=float, default=TURN_S, metavar="SECONDS", help="each connection asks once in it"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args(arguments)
    # Not without stopping the server.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory() as folder:
            result = run(60 * options.minutes, options.connections, Path(folder), options.every)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    print(json.dumps(asdict(result), indent=2) if options.json else table(result))
    return 1 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
