"""`python -m gpsimd_bert.train`: from the command line to the table."""

import os
import signal
import sys
import time
from pathlib import Path

from gpsimd_bert import console

from .errors import JobFailure, TrainerError
from .options import Options, parse


@console.command
def main(argv: list[str] | None = None) -> int:
    """Runs the trainer; returns the exit status.

    0 done, 1 failed, 2 wrong arguments or data, 130 stopped by SIGINT, 143 stopped by SIGTERM.
    """
    options = parse(argv)
    # Until there is something to save; then `Interrupt` takes over.
    previous = {number: signal.signal(number, _stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return _train(options)
    except (TrainerError, JobFailure) as error:
        # Before the processes have met, each host prints its own.
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print(f"error: {error}", file=sys.stderr, flush=True)
        return 2 if isinstance(error, TrainerError) else 1
    except KeyboardInterrupt:
        return 130
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _stop(number: int, _frame):
    """Ends the process at once: an exception would be swallowed by some of the libraries that are being imported."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        print("stopped before the first step", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(128 + number)


def _train(options: Options) -> int:
    # Imported here: torch and transformers take seconds, which --help and a wrong flag need not wait for.
    from . import distributed

    process = distributed.start(options.device, options.worker_timeout)
    try:
        status = _job(options, process)
    except (TrainerError, JobFailure) as error:
        if process.peers is None:
            raise
        _finish_undisturbed()
        process.fail(str(error))
        if process.peers.is_first_to_say(str(error)):
            print(f"error: {error} ({process.peers.name})", file=sys.stderr, flush=True)
        return 2 if isinstance(error, TrainerError) else 1
    except RuntimeError as error:
        # Any collective may fail when a process is gone; where all are there it is a fault of this program.
        _finish_undisturbed()
        missing = process.peers.missing() if process.peers is not None else []
        if not missing:
            process.fail(f"{type(error).__name__}: {error}".splitlines()[0])
            raise
        message = _lost(missing, options)
        process.fail(f"stopped, as {missing[0]}")
        if process.peers.is_first_to_say(message, of_group=True):
            print(f"error: {message} ({process.peers.name})", file=sys.stderr, flush=True)
        return 1
    except BaseException as error:
        process.fail(type(error).__name__)
        raise
    process.end()
    return status


def _finish_undisturbed():
    """torchrun sends SIGTERM to the workers beside one that failed; they have yet to find out and say who did."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _lost(missing: list[str], options: Options) -> str:
    if options.checkpoints is None:
        then = "start it again, best with --checkpoints, from which it would have gone on"
    else:
        then = f"start it again with the same command: it goes on from the newest checkpoint in {options.checkpoints}"
    return f"{'; '.join(missing)}; the job ends here, {then}"


def _job(options: Options, process) -> int:
    from .interrupt import Interrupt
    from .machine import Machine, lines
    from .model import load_ops, open_checkpoint
    from .prepared import prepare
    from .report import Row, table, write_json
    from .run import run_all, try_outputs
    from .sources import open_source

    started = time.perf_counter()
    if options.origins:
        process.say("from the container's environment, which flags override:")
    for line in options.origins:
        process.say(line)
    if "rust" in options.ops_to_run():
        load_ops(options.device, options.neuron_library, options.rust_ops)
    try_outputs(options, process)
    checkpoint = open_checkpoint(options.model, options.seq_len, options.ops_to_run())
    process.say(f"model: {checkpoint.description}")
    source = open_source(options.data, options.channels, options.text, progress=process.is_main)
    process.say(f"data: {source.description}")
    prepared = prepare(options, source, checkpoint, process, started)
    processes = f", {process.world} processes" if process.world > 1 else ""
    process.say(
        f"training: {prepared.steps:,} steps of {options.reviews_per_step * process.world} reviews of up to "
        f"{options.seq_len} tokens on {options.device}{processes}"
    )

    rows = [Row(ops, prepared.steps, options.price_per_hour, options.patience) for ops in options.ops_to_run()]
    machine = Machine(process)
    with Interrupt() as interrupt:
        try:
            run_all(options, prepared, checkpoint, process, interrupt, rows)
            machine.stop()
        except KeyboardInterrupt:
            for row in rows:
                row.stopped = row.stopped or row.validation_accuracy is None
        facts = machine.facts(emulation="fast" if "rust" in options.ops_to_run() else None)
        if process.is_main:
            process.say("\n" + "\n".join([table(rows), *lines(facts)]))
            if options.json is not None:
                write_json(options.json, rows, _settings(options, process), facts)
    failed = [f"{row.ops} ops: {row.failed}" for row in rows if row.failed is not None]
    if failed:
        raise JobFailure(f"{'; '.join(failed)}; lower --lr, or look for the step's reviews with --metric-every 1")
    return interrupt.status


def _settings(options: Options, process) -> dict:
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
    channels = None if options.channels is None else vars(options.channels)
    return settings | {"channels": channels, "origins": list(options.origins), "processes": process.world}


if __name__ == "__main__":
    sys.exit(main())
