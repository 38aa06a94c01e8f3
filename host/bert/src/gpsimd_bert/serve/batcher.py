"""Micro-batching: texts of requests that arrive together share a forward pass.

On a CPU a pass over one short text is mostly overhead and reading weights, which a second text in the same pass does
not pay again. A batch begins when the model is free and a request waits; it is held open for `max_wait_s` after that
request's arrival unless it fills up before. Requests that came while the model was busy have waited already, so under
load no time is spent waiting. Each batch takes one text of every request in turn: one request with 1,000 texts does
not hold up the small ones behind it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from .classifier import Classifier, portions
from .response import Scores


class Busy(Exception):
    """More texts are waiting than may wait."""


@dataclass(eq=False)
class _Request:
    tokens: list[list[int]]
    answer: asyncio.Future
    arrived: float = field(default_factory=time.monotonic)
    # Texts are taken into batches in order, and batches end in order: so are the results.
    taken: int = 0
    results: list[Scores] = field(default_factory=list)


class Batcher:
    """Answers requests with one `Classifier`, which runs in a thread of its own."""

    def __init__(
        self,
        classifier: Classifier,
        forward: ThreadPoolExecutor,
        *,
        max_wait_s: float,
        max_waiting: int,
        observe: Callable[[int, int, float], None],
    ):
        """`forward`: the one thread that calls the model; batches hold up to `classifier.max_batch` texts.

        `observe` is told the texts, tokens and seconds of each batch.
        """
        self._classifier, self._forward = classifier, forward
        self.review_text = classifier.review_text
        """What the classifier reads of a review."""
        self._max_batch, self._max_wait_s, self._max_waiting = classifier.max_batch, max_wait_s, max_waiting
        # Tokenising a large request takes long enough to delay /ping, and the tokenizer wants one thread.
        self._tokenizing = ThreadPoolExecutor(1, "tokenize")
        self._waiting: deque[_Request] = deque()
        self._texts_waiting = 0
        self._texts_promised = 0
        self._observe = observe
        self._arrival = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def predict(self, texts: list[str]) -> list[Scores]:
        """The scores of each text, in their order; `Busy` if too many texts wait already.

        A caller that is cancelled gives up its place: what has not been in a batch yet is dropped.
        """
        # A request of its own may be larger than what may wait: it is taken when nothing waits.
        if self._texts_promised and self._texts_promised + len(texts) > self._max_waiting:
            raise Busy
        self._texts_promised += len(texts)
        request = None
        try:
            loop = asyncio.get_running_loop()
            tokens = []
            # In turn with the portions of other requests.
            for portion in portions(texts):
                tokens += await loop.run_in_executor(self._tokenizing, self._classifier.encode, portion)
            request = _Request(tokens, loop.create_future())
            self._waiting.append(request)
            self._texts_waiting += len(tokens)
            self._arrival.set()
            return await request.answer
        finally:
            self._texts_promised -= len(texts)
            if request is not None:
                self._drop(request)

    @property
    def waiting(self) -> int:
        """Texts of requests that are not answered yet."""
        return self._texts_promised

    @property
    def is_full(self) -> bool:
        """Whether one more text would be refused."""
        return 0 < self._texts_promised >= self._max_waiting

    async def close(self):
        """Ends the task. Requests under way are not waited for: the server has done that."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._tokenizing.shutdown(wait=False, cancel_futures=True)

    async def _run(self):
        loop = asyncio.get_running_loop()
        while True:
            await self._full_or_due()
            batch = self._take()
            if not batch:
                continue
            started = time.perf_counter()
            try:
                results = await loop.run_in_executor(self._forward, self._predict, [tokens for _, tokens in batch])
            # Whatever a pass raises belongs to the requests in it; those to come get their own.
            except Exception as error:
                for request, _ in batch:
                    if not request.answer.done():
                        request.answer.set_exception(error)
                    self._drop(request)
                continue
            seconds = time.perf_counter() - started
            self._observe(len(batch), sum(len(tokens) for _, tokens in batch), seconds)
            for (request, _), result in zip(batch, results, strict=True):
                request.results.append(result)
                if len(request.results) == len(request.tokens) and not request.answer.done():
                    request.answer.set_result(request.results)

    async def _full_or_due(self):
        while not self._waiting:
            self._arrival.clear()
            await self._arrival.wait()
        due = self._waiting[0].arrived + self._max_wait_s
        while self._texts_waiting < self._max_batch and (left := due - time.monotonic()) > 0:
            self._arrival.clear()
            try:
                async with asyncio.timeout(left):
                    await self._arrival.wait()
            except TimeoutError:
                return

    def _take(self) -> list[tuple[_Request, list[int]]]:
        batch = []
        while self._waiting and len(batch) < self._max_batch:
            request = self._waiting.popleft()
            batch.append((request, request.tokens[request.taken]))
            request.taken += 1
            self._texts_waiting -= 1
            if request.taken < len(request.tokens):
                self._waiting.append(request)
        return batch

    def _drop(self, request: _Request):
        if request in self._waiting:
            self._waiting.remove(request)
            self._texts_waiting -= len(request.tokens) - request.taken

    def _predict(self, tokens: list[list[int]]) -> list[Scores]:
        return self._classifier.scores(self._classifier.probabilities(tokens))
