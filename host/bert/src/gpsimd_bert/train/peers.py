"""The other processes of a job: who they are, and which of them are gone when the job breaks.

A collective that fails says only that some connection is closed. Who died is found by a roll call in the store through
which the processes met: a thread of each process answers it, also while the process waits in a collective.
"""

import contextlib
import hashlib
import os
import socket
import threading
import time

import torch.distributed as dist

# Who has not answered after this long is taken for dead.
ROLL_CALL_S = 6.0
POLL_S = 0.5


class Peers:
    """The processes of a job, of which this is `rank`; made by all of them."""

    def __init__(self, store: dist.Store, rank: int, world: int):
        """`store` must outlive the other processes, as that of torchrun does."""
        self._rank, self._world = rank, world
        self._prefix = f"gpsimd_bert.train/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
        self._store = dist.PrefixStore(self._prefix, store.clone())
        self.name = f"process {rank} of {world} on {socket.gethostname()} (pid {os.getpid()})"
        self._store.set(f"name/{rank}", self.name)
        self._left = threading.Event()
        # With a connection of its own: a store answers one question at a time.
        own = dist.PrefixStore(self._prefix, store.clone())
        self._answering = threading.Thread(target=self._answer, args=(own,), name="roll call", daemon=True)
        self._answering.start()

    def missing(self) -> list[str]:
        """The processes whose end broke the job, each in words; empty if all are there and well.

        All processes that ask get the same answer. It takes `ROLL_CALL_S` at most.
        """
        try:
            return self._call_roll()
        except RuntimeError:
            # Of the store's address: where torchrun's first agent runs, or without torchrun process 0.
            return [f"process 0 of {self._world}, or torchrun on its host {os.environ.get('MASTER_ADDR')}, is gone"]

    def end(self):
        """Answers no more.

        To be called before the interpreter ends: a thread that returns from the store to an interpreter that is gone
        aborts the process, which torchrun takes for a failure of a job that has succeeded.
        """
        self._left.set()
        # A store that does not answer does not return either.
        self._answering.join(ROLL_CALL_S)

    def leave(self, reason: str):
        """Tells the others that this process ends, and why."""
        self.end()
        # Where the store went first, nobody is left to ask.
        with contextlib.suppress(RuntimeError):
            self._store.set(f"left/{self._rank}", reason)

    def is_first_to_say(self, message: str, *, of_group: bool = False) -> bool:
        """Whether no other process has asked this for `message`: of the job, or `of_group` of the same torchrun."""
        digest = hashlib.sha256(message.encode()).hexdigest()
        group = os.environ.get("GROUP_RANK", "") if of_group else ""
        try:
            return self._store.add(f"said/{group}/{digest}", 1) == 1
        except RuntimeError:
            return True

    def _call_roll(self) -> list[str]:
        call = self._store.add("calls", 1)
        absent = [rank for rank in range(self._world) if rank != self._rank]
        deadline = time.monotonic() + ROLL_CALL_S
        gone: dict[int, str] = {}
        while absent and not gone and time.monotonic() < deadline:
            time.sleep(POLL_S / 2)
            if self._has("cause"):
                return self._text("cause").split("\n")
            gone = {rank: f"ended: {self._text(f'left/{rank}')}" for rank in absent if self._has(f"left/{rank}")}
            absent = [rank for rank in absent if not self._has(f"here/{call}/{rank}")]
        gone = gone or dict.fromkeys(absent, "died or does not answer")
        if not gone:
            return []
        lines = "\n".join(f"{self._name(rank)} {what}" for rank, what in sorted(gone.items()))
        # The first verdict counts: those who fail later find the others gone as well.
        return self._store.compare_set("cause", "", lines).decode().split("\n")

    def _answer(self, store: dist.Store):
        answered = 0
        while not self._left.wait(POLL_S):
            try:
                call = store.add("calls", 0)
                for number in range(answered + 1, call + 1):
                    store.set(f"here/{number}/{self._rank}", "")
                answered = call
            except RuntimeError:
                return

    def _has(self, key: str) -> bool:
        return self._store.check([key])

    def _text(self, key: str) -> str:
        return self._store.get(key).decode()

    def _name(self, rank: int) -> str:
        return self._text(f"name/{rank}") if self._has(f"name/{rank}") else f"process {rank} of {self._world}"
