"""`python -m gpsimd_torch.train`: from the command line to the table."""

import os
import sys
import time
from pathlib import Path

from .errors import TrainerError
from .options import Options, parse


def main(argv: list[str] | None = None) -> int:
    """Runs the trainer; returns the exit status: 0 done, 2 wrong arguments or data, 130 stopped."""
    options = parse(argv)
    try:
        return _train(options)
    except TrainerError as error:
        if os.environ.get("RANK", "0") == "0":
            print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped before the first step", file=sys.stderr)
        return 130


def _train(options: Options) -> int:
    # Imported here: torch and transformers take seconds, which --help and a wrong flag need not wait for.
    from . import distributed

    process = distributed.start(options.device)
    try:
        return _job(options, process)
    finally:
        process.end()


def _job(options: Options, process) -> int:
    from .interrupt import Interrupt
    from .model import load_ops, open_checkpoint
    from .report import Row, table, write_json
    from .run import prepare, run
    from .sources import open_source

    started = time.perf_counter()
    if "rust" in options.ops_to_run():
        load_ops(options.device, options.neuron_library)
    checkpoint = open_checkpoint(options.model, options.seq_len)
    process.say(f"model: {checkpoint.description}")
    source = open_source(options.data, progress=process.is_main)
    process.say(f"data: {source.description}")
    prepared = prepare(options, source, checkpoint, process, started)
    processes = f", {process.world} processes" if process.world > 1 else ""
    process.say(
        f"training: {len(prepared.train):,} steps of {options.batch_size * process.world} reviews of up to "
        f"{options.seq_len} tokens on {options.device}{processes}"
    )

    rows: list[Row] = []
    with Interrupt() as interrupt:
        try:
            for ops in options.ops_to_run():
                if not interrupt.requested:
                    rows.append(Row(ops, len(prepared.train), options.price_per_hour))
                    run(options, prepared, checkpoint, process, interrupt, rows[-1])
        except KeyboardInterrupt:
            rows[-1].stopped = True
        if process.is_main:
            process.say("\n" + table(rows))
            if options.json is not None:
                write_json(options.json, rows, _settings(options, process))
    return 130 if interrupt.requested else 0


def _settings(options: Options, process) -> dict:
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
    return settings | {"processes": process.world}


if __name__ == "__main__":
    sys.exit(main())
